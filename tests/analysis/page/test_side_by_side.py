"""Studies that mean different things by one name."""

from pathlib import Path

from analysis.page.side_by_side import write_side_by_side
from analysis.page.study_report import StudyReport
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import trials_frame
from contract.protocol.looks import plan_looks
from tests.analysis.reading.test_looks import record_of


def report(study: str, label: str, others: dict[str, str]) -> StudyReport:
    """A study of `net`, the baseline, and others, of which no trial has begun."""
    variants = [
        {"name": name, "label": text, "short_label": text, "method": name,
         "is_baseline": name == "net", "levels": {}}
        for name, text in {"net": label, **others}.items()
    ]  # fmt: skip
    document = {"variants": variants, "config": {"space": "label_frac=0.1"}}
    record = StudyRecord(
        info=StudyInfo(name=study, status="finished", document=document),
        trials=trials_frame([]), confusions={}, failures={}, notes=(), tracking_uri="",
    )  # fmt: skip
    return StudyReport(record=record)


def test_a_name_of_two_meanings_keeps_the_label_of_each_study(tmp_path: Path) -> None:
    reports = {
        "a": report("a", "Net of A", {"wide": "Wide"}),
        "b": report("b", "Net of B", {"wide": "Wide"}),
    }
    page = write_side_by_side(reports, tmp_path)[-1].read_text()
    rows = page[page.index("<tbody>") :]
    marks = ["variant-0", "variant-1", "variant-2", "variant-1"]
    labels = ["Net of A", "Wide", "Net of B", "Wide"]
    for mark, label in zip(marks, labels, strict=True):
        cell = f'<span class="mark {mark}"></span>&nbsp;{label}'
        assert cell in rows, cell
        rows = rows[rows.index(cell) + 1 :]
    csv = (tmp_path / "tables" / "comparison.csv").read_text().split("\n")
    assert [line.split(",")[:2] for line in csv[1:-1]] == [
        ["a", "net"], ["a", "wide"], ["b", "net"], ["b", "wide"],
    ]  # fmt: skip


def test_a_p_of_a_look_stands_with_its_level_and_a_closed_study_has_none(tmp_path: Path) -> None:
    looks = plan_looks([8, 14])
    reports = {
        name: StudyReport(record=record_of(num, seeds=[8, 14], looks=looks))
        for name, num in (("read", 8), ("closed", 7))
    }
    page = write_side_by_side(reports, tmp_path)[-1].read_text()
    assert page.count('<span class="spread">level 0.0342</span>') == 2, "one per fraction of one"
    assert "until 8 seeds of every arm have ended (7 so far)" in page
