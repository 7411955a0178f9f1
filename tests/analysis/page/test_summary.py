from analysis.page.study_report import StudyReport
from analysis.page.summary import _plain, summary_text
from analysis.reading.sources.load import load_study


def test_the_run_of_a_study_says_what_its_report_says(store: str) -> None:
    report = StudyReport(record=load_study("full", store))
    text = summary_text(report)
    findings, rest = text.split("**Scores on the test tiles**")
    assert findings.startswith("**Findings**\n\n")
    rows = [line for line in rest.splitlines() if line.startswith("|")]
    assert rows[0].startswith("| &emsp;labels&emsp; | &emsp;model&emsp; | &emsp;seeds&emsp; ")
    assert len(rows) == 2 + len(report.tables.comparison)
    assert {row.count("|") for row in rows} == {8}
    assert len(text) < 8000, "MLflow takes no more"


def test_warnings_stand_beside_the_findings(store: str) -> None:
    text = summary_text(StudyReport(record=load_study("searching", store)))
    assert "**Before you read them**" in text
    assert "\n- " in text


def test_a_class_named_like_a_mark_of_markdown_is_shown_as_it_is() -> None:
    assert _plain("a|b_c *d*\ne") == "a\\|b\\_c \\*d\\* e"
