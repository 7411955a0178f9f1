"""All tables of a study: computed once, then written, handed to the page, or offered as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.findings.learned import reconstruction_by_arm
from analysis.reading.looks import look_reached
from analysis.reading.styles import Styles, pairs_in
from analysis.statistics.class_differences import ClassDifference, class_differences
from analysis.statistics.label_efficiency.shares import Shares, distinct_scores, shares_of
from analysis.tables.comparison import comparison, per_class, without_findings
from analysis.tables.confusion.confusion_differences import (
    ConfusionDifference,
    confusion_differences,
)
from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    all_confusion_tables,
    largest_of,
)
from analysis.tables.costs.costs import costs
from analysis.tables.costs.time_spent import time_spent
from analysis.tables.files.class_files import class_differences_table
from analysis.tables.files.confusion_files import class_tables
from analysis.tables.files.table_files import (
    comparison_table,
    costs_table,
    per_class_table,
    reconstruction_table,
    time_spent_table,
    write_table,
)
from analysis.tables.files.table_text import TextTable

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


@dataclass(frozen=True, kw_only=True)
class StudyTables:
    """Every table of a study, as numbers."""

    styles: Styles
    """Styles of all variants of the study, in order."""
    shares: Shares
    """What the fractions reached."""
    comparison: pd.DataFrame
    """As from `comparison.comparison`."""
    per_class: pd.DataFrame
    """As from `comparison.per_class`, at each variant's largest fraction."""
    class_differences: tuple[ClassDifference, ...]
    """As from `class_differences.class_differences`, of all `styles.pairs_in`."""
    confusions: tuple[ConfusionTable, ...]
    """As from `confusion_tables.all_confusion_tables`."""
    differences: tuple[ConfusionDifference, ...]
    """As from `confusion_differences.confusion_differences`, of all `styles.pairs_in`."""
    reconstruction: pd.DataFrame
    """As from `learned.reconstruction_by_arm`."""
    costs: pd.DataFrame
    """As from `costs.costs`."""
    time_spent: pd.DataFrame
    """As from `time_spent.time_spent`."""

    def texts(self) -> Iterator[TextTable]:
        """The tables that have a row, in the order of the page."""
        if not self.comparison.empty:
            yield comparison_table(self.comparison, self.styles)
        if not self.per_class.empty:
            yield per_class_table(self.per_class, self.styles, self.shares)
        if self.class_differences:
            yield class_differences_table(self.class_differences, self.styles, self.shares)
        yield from class_tables(self.confusions, self.differences, self.styles, self.shares)
        if not self.reconstruction.empty:
            yield reconstruction_table(self.reconstruction, self.styles, self.shares)
        if not self.costs.empty:
            yield costs_table(self.costs, self.styles, self.shares)
        if not self.time_spent.empty:
            yield time_spent_table(self.time_spent, self.styles)

    def csvs(self) -> dict[str, str]:
        """The text of every CSV file by its name without suffix, such as "comparison"."""
        return {text.stem: text.csv for text in self.texts()}

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes every table as .csv, .md and .tex; returns the paths."""
        return tuple(path for text in self.texts() for path in write_table(text, folder))


def study_tables(record: StudyRecord, scores: pd.DataFrame) -> StudyTables:
    """Computes all tables; means and counts alone while findings are closed.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.
    """
    confusions = all_confusion_tables(record, scores)
    look = look_reached(record)
    pairs = () if look.is_closed else pairs_in(record.styles, scores["variant"])
    of_look = look.within(distinct_scores(record, scores))
    compared = comparison(record, scores)
    return StudyTables(
        styles=record.styles,
        shares=shares_of(scores),
        comparison=without_findings(compared) if look.is_closed else compared,
        per_class=per_class(largest_of(confusions, record.styles), record),
        class_differences=class_differences(
            record.confusions, of_look, pairs_in(record.styles, of_look["variant"])
        ),
        confusions=confusions,
        differences=confusion_differences(confusions, pairs),
        reconstruction=reconstruction_by_arm(record),
        costs=costs(record),
        time_spent=time_spent(record),
    )
