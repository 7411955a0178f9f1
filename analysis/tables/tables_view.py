"""The tables as the page lays them out: rows, groups, headings, notes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from analysis.reading.schema import ClassInfo
from analysis.reading.styles import Styles
from analysis.statistics.class_differences import ClassDifference
from analysis.statistics.scores import absent_classes
from analysis.tables.confusion.confusion_differences import ConfusionDifference, largest_differences
from analysis.tables.confusion.confusion_tables import ConfusionTable, largest_of
from analysis.tables.costs.costs import cost_finding, cost_notes, relative_to
from analysis.tables.costs.equal import equal_note
from analysis.tables.costs.time_spent import PART_LABELS, time_finding, time_notes
from analysis.tables.files.class_files import (
    bounds_text,
    class_differences_finding,
    class_rows,
    paper_claim,
    place_text,
)
from analysis.tables.files.confusion_files import pooled_over, table_stem
from analysis.tables.published import published_notes
from analysis.tables.study_tables import StudyTables
from analysis.tables.table_findings import (
    comparison_finding,
    confusion_finding,
    difference_finding,
    otherwise_finding,
    per_class_finding,
    reconstruction_finding,
)
from analysis.wording import MISSING

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord

_MIN_SCALE = 0.05
"""Difference that gets the full tint where none is larger, so that noise stays pale."""


@dataclass(frozen=True, kw_only=True)
class ClassDifferenceView:
    """One difference of a class's F1 on the page."""

    difference: ClassDifference
    place: str
    """The fraction, or that it is the whole curve."""
    bounds: str


@dataclass(frozen=True, kw_only=True)
class MatrixView:
    """One confusion table on the page."""

    table: ConfusionTable
    stem: str
    """Name of its files, for the links."""


@dataclass(frozen=True, kw_only=True)
class DifferenceView:
    """One difference of confusion tables on the page."""

    table: ConfusionDifference
    stem: str
    finding: str
    pooled_over: str
    scale: float
    """Absolute difference with the full tint."""


@dataclass(frozen=True, kw_only=True)
class ConfusionLevel:
    """The confusion tables of one annotation fraction."""

    label_frac: float
    matrices: tuple[MatrixView, ...]
    differences: tuple[DifferenceView, ...]


@dataclass(frozen=True, kw_only=True)
class TablesView:
    """What `_tables.html` reads, under the name `tables`."""

    comparison: list[dict[str, Any]]
    """Rows of `comparison.comparison`; empty before any trial, then nothing else is filled."""
    comparison_finding: str
    settings: tuple[str, ...]
    """Columns of the comparison that some method of the study has."""
    has_remarks: bool
    has_published: bool
    """Whether published OA stands in the comparison, which it does at full annotation."""
    has_published_classes: bool
    has_eroded: bool
    excluded: tuple[str, ...]
    """Classes outside of the means."""
    absent: tuple[str, ...]
    """Classes without a reference pixel on the test tiles."""
    otherwise_finding: str
    """"" where every way of counting is the same."""
    per_class: list[list[dict[str, Any]]]
    """Rows of `comparison.per_class`, grouped by class."""
    per_class_finding: str
    class_differences: list[list[ClassDifferenceView]]
    """Grouped by class; the whole curve and all fractions of each pair."""
    class_differences_finding: str
    paper_claim: str
    """What is found of the paper's claim about classes; "" where the data do not have them."""
    one_fraction: float | None
    """The fraction that all of per_class have; None if they differ."""
    published_notes: tuple[str, ...]
    classes: tuple[ClassInfo, ...]
    confusion_finding: str
    largest: ConfusionLevel | None
    """Each variant, and each pair, at its largest fraction."""
    others: tuple[ConfusionLevel, ...]
    """What is left, by fraction, descending."""
    reconstruction: list[dict[str, Any]]
    """Rows of `learned.reconstruction_by_arm`; empty where no trial measured one."""
    reconstruction_finding: str
    costs: list[dict[str, Any]]
    """Both phases together, one row per arm, with trial_s and trial_s_per_baseline of `confirm`."""
    phase_costs: list[dict[str, Any]]
    """Search and confirmation apart."""
    cost_finding: str
    relative_to: str
    """Heading of the column of ratios."""
    cost_notes: tuple[str, ...]
    has_gpus: bool
    has_test_s: bool
    """Whether any trial timed its test tiles."""
    time_spent: list[dict[str, Any]]
    """Rows of `time_spent.time_spent` with their labels; empty where nothing was measured."""
    time_variants: tuple[str, ...]
    """Variants that have a column there."""
    time_finding: str
    time_notes: tuple[str, ...]


def tables_view(record: StudyRecord, tables: StudyTables) -> TablesView:
    """Lays out the tables of a study for the page.

    Args:
        record: The study.
        tables: As from `study_tables.study_tables`.
    """
    frame = tables.comparison
    excluded = next(
        (c.exclude_from_mean for c in record.confusions.values()), record.info.exclude_from_mean
    )
    fractions = set(tables.per_class["label_frac"])
    largest, others = _levels(tables)
    totals, phases = _cost_rows(tables)
    return TablesView(
        comparison=_rows(frame),
        comparison_finding=comparison_finding(frame, record.styles),
        settings=record.shown_settings,
        has_remarks=bool((frame["remarks"] != "").any()),
        has_published=bool("oa_published" in frame and frame["oa_published"].notna().any()),
        has_published_classes="f1_published" in tables.per_class.columns,
        has_eroded="oa_eroded_mean" in frame.columns,
        excluded=excluded,
        absent=absent_classes(record),
        otherwise_finding=otherwise_finding(frame, bool(excluded)),
        per_class=[
            list(rows) for _, rows in groupby(_rows(tables.per_class), lambda row: row["class"])
        ],
        per_class_finding=per_class_finding(tables.per_class, record.styles),
        class_differences=[
            [
                ClassDifferenceView(
                    difference=one, place=place_text(one, tables.shares), bounds=bounds_text(one)
                )
                for one in rows
            ]
            for _, rows in groupby(class_rows(tables.class_differences), lambda one: one.class_name)
        ],
        class_differences_finding=class_differences_finding(
            tables.class_differences, record.styles, tables.shares
        ),
        paper_claim=paper_claim(record, tables.class_differences, tables.shares),
        one_fraction=fractions.pop() if len(fractions) == 1 else None,
        published_notes=published_notes(record.info),
        classes=record.info.classes,
        confusion_finding=confusion_finding(
            largest_of(tables.confusions, record.styles), record.styles
        ),
        largest=largest,
        others=others,
        reconstruction=_rows(tables.reconstruction),
        reconstruction_finding=reconstruction_finding(tables.reconstruction, record.styles),
        costs=totals,
        phase_costs=phases,
        cost_finding=cost_finding(tables.costs, record.styles),
        relative_to=relative_to(record.styles),
        cost_notes=tuple(filter(None, [equal_note(record), *cost_notes(tables.costs)])),
        has_gpus=bool((tables.costs["gpu_hours"] > 0.0).any()),
        has_test_s=bool(tables.costs["num_tested"].any()),
        time_spent=[row | {"label": PART_LABELS[row["part"]]} for row in _rows(tables.time_spent)],
        time_variants=tuple(tables.time_spent.columns[3:]),
        time_finding=time_finding(tables.time_spent),
        time_notes=time_notes(record),
    )


def duration(seconds: float) -> str:
    """Such as '7.5 s', '12.3 min' or '4.2 h', not to be broken; MISSING for NaN."""
    if math.isnan(seconds):
        return MISSING
    for limit, unit_s, unit in ((120.0, 1.0, "s"), (7200.0, 60.0, "min")):
        if seconds < limit:
            return f"{seconds / unit_s:.1f}\N{NO-BREAK SPACE}{unit}"
    return f"{seconds / 3600.0:,.1f}\N{NO-BREAK SPACE}h"


def whole(value: float) -> str:
    """A count with groups of thousands; MISSING for NaN."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def _levels(tables: StudyTables) -> tuple[ConfusionLevel | None, tuple[ConfusionLevel, ...]]:
    """The tables of the largest fractions, and all others by fraction."""
    if not tables.confusions:
        return None, ()
    first = largest_of(tables.confusions, tables.styles)
    first_differences = largest_differences(tables.differences)
    shown = {id(one) for one in (*first, *first_differences)}
    others = []
    for frac in sorted({table.label_frac for table in tables.confusions}, reverse=True):
        left = [t for t in tables.confusions if t.label_frac == frac and id(t) not in shown]
        left_differences = [
            d for d in tables.differences if d.label_frac == frac and id(d) not in shown
        ]
        if left or left_differences:
            others.append(_level(tables.styles, frac, left, left_differences))
    largest_frac = max(table.label_frac for table in first)
    return _level(tables.styles, largest_frac, first, first_differences), tuple(others)


def _level(
    styles: Styles,
    frac: float,
    tables: tuple[ConfusionTable, ...] | list[ConfusionTable],
    differences: tuple[ConfusionDifference, ...] | list[ConfusionDifference],
) -> ConfusionLevel:
    return ConfusionLevel(
        label_frac=frac,
        matrices=tuple(
            MatrixView(table=table, stem=table_stem(table, with_fraction=True)) for table in tables
        ),
        differences=tuple(
            DifferenceView(
                table=one,
                stem=table_stem(one, with_fraction=True),
                finding=difference_finding(one, styles),
                pooled_over=pooled_over(one),
                scale=max(
                    [_MIN_SCALE, *(abs(v) for v in one.normalised.ravel() if not math.isnan(v))]
                ),
            )
            for one in differences
        ),
    )


def _cost_rows(tables: StudyTables) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    by_phase: dict[str, list[dict[str, Any]]] = {"search": [], "confirm": [], "total": []}
    for row in _rows(tables.costs):
        by_phase[row["phase"]].append(row)
    totals = [
        total | {name: confirm[name] for name in ("trial_s", "trial_s_per_baseline")}
        for total, confirm in zip(by_phase["total"], by_phase["confirm"], strict=True)
    ]
    phases = [row for row in _rows(tables.costs) if row["phase"] != "total"]
    return totals, phases


def _rows(frame: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows
