import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.charts.inline import PageChart
from analysis.findings.workers import InThisProcess
from analysis.page.html_page import environment
from analysis.page.report import ReportPaths, make_curves, make_report, make_tables
from analysis.page.study_report import StudyReport
from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from tests.analysis.page.conftest import SEVERAL

VOID = {"meta", "link", "img", "br", "use"}


class PageCheck(HTMLParser):
    """Collects what a page would ask for, its ids, and tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action") and value:
                self.asked.append(value)
            if name == "id" and value:
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def check(html: str) -> PageCheck:
    page = PageCheck()
    page.feed(html)
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def full_report(store: str, tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    return make_report("full", tracking_uri=store, out=tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def full_page(page_of: Callable[[str], Path]) -> str:
    return page_of("full").read_text()


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands draw in this process: others would load the libraries anew at each."""
    monkeypatch.setattr("analysis.__main__.worker_processes", InThisProcess)


def test_report_writes_every_file(full_report: ReportPaths) -> None:
    paths = full_report
    names = {str(path.relative_to(paths.folder)) for path in paths.files}
    pairs = ("unet", "urec", "urec_minus_unet")
    tables = ["comparison", "per_class", "class_differences", "costs"]
    tables += ["differences", "intervals", "curves"]
    tables += ["annotation_needed"]
    tables += [f"confusion_{pair}{at}" for pair in pairs for at in ("", "_f0.02", "_f1.00")]
    charts = ("label_scarcity", "annotation_needed")  # nothing was searched
    assert names == {
        "index.html",
        *(f"figures/{chart}.{suffix}" for chart in charts for suffix in ("png", "svg", "csv")),
        *(f"tables/{table}.{suffix}" for table in tables for suffix in ("csv", "md", "tex")),
    }
    assert all(path.is_file() for path in paths.files)
    assert len(paths.comparison) == 4


def test_page_asks_nothing_of_any_host(full_page: str) -> None:
    page = check(full_page)
    assert all(url.startswith(("data:", "#")) for url in page.asked)
    assert not re.search(r"https?://|@import|url\((?!#)", full_page)


def test_page_is_well_formed_and_its_ids_are_unique(full_page: str) -> None:
    page = check(full_page)
    assert len(page.ids) == len(set(page.ids))
    used = {url[1:] for url in page.asked if url.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", full_page))
    assert used <= set(page.ids)


def test_curves_over_a_compared_number_had_one_id_twice() -> None:
    """The heading and the figure of `dose_response_w1` had both its name."""
    chart = PageChart(
        name="dose_response_w1", panels=(), panel_width_px=300, num_columns=1, styles={}, note="",
        downloads=(),
    )  # fmt: skip
    section = environment({}).get_template("sections/answer.html")
    page = check(
        section.render(charts={chart.name: chart}, differences=(), answer={"measure": "oa"})
    )
    assert page.ids == ["over-w1", "dose_response_w1"]


def test_page_holds_all_its_parts(full_page: str) -> None:
    for heading in (
        "Averaged from 1.98", "How many labels the others need", "paired by seed",
        "Scores of all models", "Scores of every class", "Which class is called what", "Cost",
        "What the maps look like", "1 trial in each", "Provenance",
    ):  # fmt: skip
        assert heading in full_page
    assert full_page.count("data:image/png;base64,") == 4
    assert full_page.count("<svg") == 3
    assert "background:#00FFFF" in full_page
    assert "commit: 0123abc" in full_page
    assert "Before the findings" not in full_page


def test_curves_follow_the_page_from_light_to_dark(full_page: str) -> None:
    svg = full_page[full_page.index("<svg") : full_page.rindex("</svg>")]
    assert "var(--variant-1)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)


def test_report_is_the_same_bytes_every_time(full_report: ReportPaths, full_page: str) -> None:
    """Also where it is made with those of other studies."""
    assert full_report.index is not None
    assert full_report.index.read_text() == full_page


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("empty", "No trial has been recorded yet"),
        ("searching", "nothing to report"),
        ("one-seed", "No difference can be shown by 1 paired seed"),
        ("one-model", "without another model, nothing"),
        ("broken", "RuntimeError: out of memory"),
        ("stopped", "stopped before its end"),
        ("variants", "search: 2 of 2 failed"),
        ("absent-class", "No test tile has reference pixels of car"),
    ],
)
def test_page_says_what_is_missing(page_of: Callable[[str], Path], study: str, said: str) -> None:
    html = page_of(study).read_text()
    check(html)
    assert said in html
    assert ">nan" not in html


def test_what_a_page_explains_is_on_it(page_of: Callable[[str], Path]) -> None:
    """Intervals and p values were explained above a table that had neither."""
    for study, has_them in (("full", True), ("one-seed", False)):
        html = page_of(study).read_text()
        assert ("interval over seeds (t)" in html) == has_them
        assert "p: sign-flip test" not in html, "three seeds are too few for any test"
        assert ("an interval of it needs 3 seeds" in html) == (not has_them)


def test_a_study_is_repeated_by_its_own_file(full_page: str) -> None:
    provenance = full_page[full_page.index('id="provenance"') :]
    assert "python run_study.py --config study.yaml --name ANOTHER" in provenance


def test_warning_stands_before_the_finding(page_of: Callable[[str], Path]) -> None:
    html = page_of("broken").read_text()
    assert html.index("not converged") < html.index('class="finding first"')


def test_tables_and_curves_write_only_theirs(store: str, tmp_path: Path) -> None:
    make_tables("full", tracking_uri=store, out=tmp_path / "t")
    assert [p.name for p in (tmp_path / "t").iterdir()] == ["tables"]
    make_curves("full", tracking_uri=store, out=tmp_path / "c")
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["figures"]


def test_default_folder_is_the_studys(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tables", "one-seed", "--tracking-uri", store]) == 0
    assert (tmp_path / "studies/one-seed/report/tables/comparison.csv").is_file()


def test_command_prints_the_comparison_and_the_path(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["report", "full", "--tracking-uri", store, "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert code == 0
    assert "mean F1" in out
    assert out.endswith(f"{tmp_path / 'index.html'}\n")


@pytest.mark.usefixtures("drawn_here")
def test_unknown_study_is_one_line_and_code_2(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["report", "fulll", "--tracking-uri", store, "--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert "known studies: " in err
    assert "one-seed" in err


@pytest.mark.parametrize("arguments", [["exports", "full"], ["report"], ["report", "a", "--x"]])
def test_anything_else_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    err = capsys.readouterr().err
    assert caught.value.code == 2
    assert err.count("\n") == 1


@pytest.mark.usefixtures("drawn_here")
def test_nothing_to_draw_is_said(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curves", "empty", "--tracking-uri", store, "--out", str(tmp_path)]) == 1
    assert "no confirmed trial yet" in capsys.readouterr().err


@pytest.fixture(scope="module")
def variants_page(page_of: Callable[[str], Path]) -> str:
    return page_of("variants").read_text()


def part(page: str, heading: str) -> str:
    """The page from a heading to the next."""
    start = page.index(heading, page.index("<main>"))  # not its entry in the list of contents
    end = page.find("<h2", start)
    return page[start:end]


def test_variants_have_their_names_marks_and_colours(variants_page: str) -> None:
    check(variants_page)
    compared = re.sub("<.*?>", "", part(variants_page, ">Scores of all models<"))
    for label in ("U-Net", "U-REC (all pixels)", "U-REC (annotated pixels)"):
        assert compared.count(f"&nbsp;{label}\n") == 2 * 3  # also counted otherwise
    svg = variants_page[variants_page.index("<svg") : variants_page.rindex("</svg>")]
    for index in range(3):
        assert f"var(--variant-{index})" in svg
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert 'class="matrix many tint-variant-2"' in variants_page


def test_differences_stand_below_the_pair_they_are_of(variants_page: str) -> None:
    differences = part(variants_page, ">Differences, paired by seed<")
    names = re.findall(r'scope="rowgroup".*?</th>', differences)
    assert [re.sub("<.*?>", "", name.partition(">")[2]) for name in names] == [
        "U-REC (all pixels) minus U-Net",
        "U-REC (annotated pixels) minus U-Net",
        "U-REC (all pixels) minus U-REC (annotated pixels)",
    ]
    assert differences.count('<th scope="row">') == 3 + 1 + 1


def test_failed_trials_are_listed_with_attempts_and_reason(variants_page: str) -> None:
    listed = part(variants_page, ">Failed trials<")
    assert listed.count("<td>3</td>") == 6
    assert listed.count("RuntimeError: out of memory") == 6
    assert "confirm-urec-annotated-f0.10-s2" in listed
    assert 'href="#failed-trials"' in variants_page


def test_pruned_trials_are_counted_in_the_search(variants_page: str, full_page: str) -> None:
    search = part(variants_page, ">Search of hyperparameters<")
    assert "<th>Pruned</th>" in search
    assert "Validation mean IoU" in search
    assert "by mean IoU on the validation tiles" in search
    assert "Pruned" not in full_page
    assert "Failed trials" not in full_page


def test_of_several_studies_each_has_its_folder_and_one_page_shows_all(
    of_several: tuple[Path, str],
) -> None:
    folder, out = of_several
    assert out.endswith(f"{folder / 'index.html'}\n")
    assert all(f"\n{name}\n" in f"\n{out}" for name in SEVERAL)
    html = (folder / "index.html").read_text()
    page = check(html)
    links = [url for url in page.asked if not url.startswith(("data:", "#"))]
    assert links == [f"{name}/index.html" for name in SEVERAL]
    assert all((folder / link).is_file() for link in links)
    assert "U-REC (all pixels)" in re.sub("<.*?>", "", html)
    rows = (folder / "tables" / "comparison.csv").read_text().splitlines()
    assert rows[0].startswith("study,model,label_frac,")
    assert {row.partition(",")[0] for row in rows[1:]} == {"full", "variants"}
    assert (folder / "figures" / "label_scarcity.svg").is_file()


def test_a_study_named_twice_is_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(StudyDataError, match="different names, got full, full"):
        make_report("full", "full", tracking_uri=store, out=tmp_path)


def test_the_page_of_an_exported_study_says_the_same(
    page_of_exported: Path, full_page: str
) -> None:
    again = page_of_exported.read_text()
    for part_of in ("Averaged from 1.98", ">Scores of all models<", "paired by seed"):
        assert part(again, part_of) == part(full_page, part_of)
    assert "pictures of maps and of budgets are not part of it" in again


def test_pictures_that_are_not_kept_are_said_to_be_missing(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pictures", "full", "--tracking-uri", store, "--out", str(tmp_path)]) == 1
    assert "keeps no maps" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line_and_code_2(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file")
    assert main(["tables", "full", "--tracking-uri", store, "--out", out]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_name_cannot_lead_out_of_the_folder(store: str) -> None:
    record = load_study("full", store)
    for name, folder in (("../../x", "_.._x"), ("/etc/x", "_etc_x"), ("a b+c.d", "a b+c.d")):
        report = StudyReport(record=replace(record, info=replace(record.info, name=name)))
        assert report.folder_name == folder


def test_damaged_pictures_are_told_before_the_findings_and_cost_nothing_else(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StudyDataError("map must be a PNG, got damage")

    monkeypatch.setattr("analysis.page.study_report.picture_section", refuse)
    paths = make_report("one-seed", tracking_uri=store, out=tmp_path)
    assert paths.index is not None
    html = paths.index.read_text()
    said = html.index("No pictures are shown: map must be a PNG, got damage.")
    assert said < html.index('class="finding first"')
    assert ">Comparison<" in html


def test_amounts_of_labels_were_annotations_in_half_of_the_page(
    full_page: str, variants_page: str
) -> None:
    """docs/protocol.md says which word means what; `annotated` is said of pixels alone."""
    for page in (full_page, variants_page):
        shown = re.sub(r"<(style|pre)\b.*?</\1>", "", page, flags=re.DOTALL)
        described = re.findall(r'(?:alt|aria-label)="([^"]*)"', shown)
        text = " ".join([re.sub(r"<[^>]*>", " ", shown), *described])
        assert "needs fewer labels" in text
        assert re.findall(r"(?i)\bannotations?\b", text) == []


def test_links_say_of_which_table_they_are(full_page: str) -> None:
    said = re.findall(r'<a href="data:[^"]*" download="([^"]*)"[^>]*>([^<]*)</a>', full_page)
    named = dict(said)
    assert named["comparison.csv"] == "comparison table as CSV"
    assert named["per_class.csv"] == "classes table as CSV"
    assert named["confusion_urec_f1.00.csv"] == "confusion table as CSV"
    assert named["annotation_needed.svg"] == "labels needed figure as SVG"
    assert {text for _, text in said} & {"CSV", "SVG", ""} == set()
