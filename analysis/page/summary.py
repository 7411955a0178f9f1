"""A study in a page of Markdown: warnings, findings and main scores, for its run in MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.findings import findings
from analysis.wording import mean_and_sd, percent

if TYPE_CHECKING:
    import pandas as pd

    from analysis.page.study_report import StudyReport

_SCORES = {"oa": "OA", "mean_f1": "mean F1", "miou": "mean IoU"}
_HEAD = [f"&emsp;{name}&emsp;" for name in ("labels", "model", "seeds")]
_WIDE = [f"&emsp;&emsp;&emsp;{name}&emsp;&emsp;&emsp;" for name in _SCORES.values()]
"""Heads with room around them, since MLflow leaves none between the columns of a table."""
_MOST_ROWS = 40
"""Rows of the table of scores; MLflow takes 8000 characters in all."""


def summary_text(report: StudyReport) -> str:
    """Findings, then what a reader must know before them, then the scores of each arm."""
    parts = ["**Findings**", *map(_plain, findings(report.answer))]
    if report.warnings:
        said = "\n".join(f"- {_plain(text)}" for text in report.warnings)
        parts += ["**Before you read them**", said]
    parts += ["**Scores on the test tiles**, mean ± standard deviation over seeds"]
    return "\n\n".join([*parts, "\n".join(_table(report.tables.comparison))])


def _table(comparison: pd.DataFrame) -> Iterator[str]:
    yield f"| {' | '.join([*_HEAD, *_WIDE, 'remarks'])} |"
    yield f"|{' --- |' * (4 + len(_SCORES))}"
    rows = comparison.to_dict("records")
    for row in rows[:_MOST_ROWS]:
        scores = [mean_and_sd(row[f"{one}_mean"], row[f"{one}_sd"]) for one in _SCORES]
        yield _row(
            [percent(row["label_frac"]), row["short_label"], str(row["num_seeds"]), *scores,
             row["remarks"]]
        )  # fmt: skip
    if len(rows) > _MOST_ROWS:
        yield f"\n{len(rows) - _MOST_ROWS} more arms stand in the report."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """A text in which Markdown finds no mark of its own: names of classes may hold any."""
    escaped = "".join(f"\\{one}" if one in "\\`*_[]<>|#" else one for one in text)
    return " ".join(escaped.split())
