import re
from html.parser import HTMLParser

import jinja2
import pytest

from analysis.page.html_page import environment
from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import styles_of
from analysis.statistics.scores import score_trials
from analysis.tables.study_tables import study_tables
from analysis.tables.tables_view import TablesView, duration, tables_view, whole
from analysis.wording import MISSING

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

PARENT = """
{% macro downloads(stem) %}<a href="#{{ stem }}">CSV</a>{% endmacro %}
{% include "sections/tables.html" %}
"""
STUDIES = (
    "full", "variants", "one-seed", "one-model", "empty", "searching", "broken", "stopped",
    "absent-class", "profiled",
)  # fmt: skip


def view_of(store: str, study: str) -> tuple[TablesView, set[str]]:
    """The tables of a study on the page, and the names of its CSV files."""
    record = load_study(study, store)
    tables = study_tables(record, score_trials(record))
    return tables_view(record, tables), set(tables.csvs())


def rendered(view: TablesView) -> str:
    made = environment(STYLES)
    made.loader = jinja2.ChoiceLoader([jinja2.DictLoader({"page": PARENT}), made.loader])
    return made.get_template("page").render(
        tables=view, rebuilding=["U-REC"], labelling=[], validation="", charts={}
    )


class TableCheck(HTMLParser):
    """Fails on a tag that is closed out of turn; notes how many columns each row covers."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.widths: list[list[int]] = []
        self.spanned: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            return
        self.open.append(tag)
        given = dict(attrs)
        if tag == "table":
            self.widths.append([])
            self.spanned = []
        elif tag == "tr":
            self.widths[-1].append(len(self.spanned))
            self.spanned = [rows - 1 for rows in self.spanned if rows > 1]
        elif tag in ("td", "th"):
            self.widths[-1][-1] += int(given.get("colspan") or 1)
            if "rowspan" in given:
                rows = int(given["rowspan"] or 1)
                self.spanned += [rows - 1] if rows > 1 else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", "", html)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_is_rendered_well_formed_with_links_to_its_files(
    store: str, study: str
) -> None:
    view, stems = view_of(store, study)
    html = rendered(view)
    check = TableCheck()
    check.feed(html)
    assert check.open == []
    assert [len(set(widths)) for widths in check.widths] == [1] * html.count("<table")
    assert ">nan" not in html
    assert set(re.findall(r'href="#([^"]+)"', html)) <= stems


def test_every_fraction_is_on_the_page_the_largest_open(store: str) -> None:
    view, stems = view_of(store, "full")
    html = rendered(view)
    opened, _, folded = html.partition('<details class="more">')
    linked = re.findall(r'href="#(confusion[^"]+)"', opened)
    assert linked == [
        "confusion_unet_f1.00", "confusion_urec_f1.00", "confusion_urec_minus_unet_f1.00",
    ]  # fmt: skip
    assert re.findall(r'href="#(confusion[^"]+)"', folded) == [
        "confusion_unet_f0.02", "confusion_urec_f0.02", "confusion_urec_minus_unet_f0.02",
    ]  # fmt: skip
    assert {"comparison", "per_class", "costs"} <= set(re.findall(r'href="#([^"]+)"', html))
    assert len([stem for stem in stems if stem.startswith("confusion")]) == 9


def test_variant_without_the_largest_fraction_stands_open_at_its_own(store: str) -> None:
    view, _ = view_of(store, "variants")
    assert view.largest is not None
    assert [(m.table.variant, m.table.label_frac) for m in view.largest.matrices] == [
        ("unet", 1.0), ("urec-all", 1.0), ("urec-annotated", 0.02),
    ]  # fmt: skip
    assert [level.label_frac for level in view.others] == [0.1, 0.02]
    assert [m.table.variant for m in view.others[1].matrices] == ["unet", "urec-all"]
    assert {
        (d.table.variant, d.table.reference): d.table.label_frac for d in view.largest.differences
    } == {
        ("urec-all", "unet"): 1.0, ("urec-annotated", "unet"): 0.02,
        ("urec-all", "urec-annotated"): 0.02,
    }  # fmt: skip
    assert view.one_fraction is None


def test_published_figures_stand_in_columns_of_their_own(store: str) -> None:
    view, _ = view_of(store, "full")
    html = rendered(view)
    assert view.has_published
    assert '<td class="published">0.886</td>' in html
    assert '<td class="published">0.399</td>' in html
    assert "does not say whether it scored against the complete or the eroded" in html
    assert "instead of 17" in html


def test_published_accuracy_has_no_column_without_full_annotation(store: str) -> None:
    view, _ = view_of(store, "one-seed")
    assert not view.has_published
    assert view.has_published_classes
    assert "OA,<br>published" not in rendered(view)


def test_all_ways_of_counting_are_on_the_page(store: str) -> None:
    text = text_of(rendered(view_of(store, "full")[0]))
    for heading in ("Kappa,eroded", "Mean IoU, allclasses, eroded", "Mean F1,all classes"):
        assert heading in text
    one_seed = rendered(view_of(store, "one-seed")[0])
    assert "object boundaries" not in one_seed


def test_findings_are_worded_as_descriptions(store: str) -> None:
    text = text_of(rendered(view_of(store, "full")[0]))
    assert "no test is made per class" in text
    assert re.search(r"U-REC: F1 (up|down) .*\)", text)


def test_missing_class_is_a_dash_and_named(store: str) -> None:
    html = rendered(view_of(store, "absent-class")[0])
    assert html.count(f'<td class="faint">{MISSING}</td>') == 6
    assert "No test tile has reference pixels of car: no mean counts it." in html


def test_differences_of_each_class_stand_on_the_page_with_simultaneous_intervals(
    store: str,
) -> None:
    view, _ = view_of(store, "full")
    text = text_of(rendered(view))
    assert "hold all together" in text
    assert [rows[0].difference.class_name for rows in view.class_differences][:2] == [
        "impervious_surfaces", "building",
    ]  # fmt: skip
    assert [rows[0].place for rows in view.class_differences] == ["whole curve"] * 6
    assert "better on clutter and worse on cars" in text


def test_empty_study_says_so_and_shows_nothing_else(store: str) -> None:
    html = rendered(view_of(store, "empty")[0])
    assert text_of(html).strip() == "Comparison No trial has been recorded yet."


def test_costs_count_what_recorded_no_times(store: str) -> None:
    view, _ = view_of(store, "variants")
    text = text_of(rendered(view))
    # failed: 1 and 3 confirmations, 2 searches; pruned: 2 in each of 5 arms
    assert "6 trials that failed and 10 trials that were pruned recorded no times" in text
    assert len(view.costs) == 9
    assert len(view.phase_costs) == 18
    assert not view.has_gpus


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7.46, "7.5 s"), (119.9, "119.9 s"), (120.0, "2.0 min"), (5400.0, "90.0 min"),
        (7200.0, "2.0 h"), (7.2e6, "2,000.0 h"), (float("nan"), MISSING),
    ],
)  # fmt: skip
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_whole_numbers_are_grouped() -> None:
    assert (whole(1234567.0), whole(float("nan"))) == ("1,234,567", MISSING)


def test_where_the_time_went_is_shown_where_it_was_measured(store: str) -> None:
    html = rendered(view_of(store, "profiled")[0])
    text = text_of(html)
    assert "Where the time went" in text
    assert f"Slots without a trial30.0 s15.0 % {MISSING} {MISSING} " in text
    assert f"Writing the trace{MISSING}{MISSING} {MISSING} {MISSING} " in text
    assert f"Tracking, beside the trials4.0 s{MISSING} {MISSING} {MISSING} " in text
    assert 'href="#time_spent"' in html
    assert "Where the time went" not in rendered(view_of(store, "full")[0])


def test_test_tiles_have_a_column_where_they_were_timed(store: str) -> None:
    timed, untimed = (rendered(view_of(store, name)[0]) for name in ("profiled", "full"))
    assert "Test<br>tiles" in timed
    assert "test tiles are those of confirmation trials" in timed
    assert "Test<br>tiles" not in untimed
    assert "the test tiles are not timed" in untimed
