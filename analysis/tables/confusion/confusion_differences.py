"""Differences of confusion tables, one variant minus another; described, never tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    Matrix,
    PerClass,
    SummaryRows,
    summary_rows,
)


@dataclass(frozen=True, kw_only=True)
class ConfusionDifference:
    """One variant's table minus another's at one annotation fraction; nothing is tested."""

    variant: str
    reference: str
    """What is subtracted."""
    label_frac: float
    seeds: tuple[int, ...]
    """Pooled in the variant's table."""
    reference_seeds: tuple[int, ...]
    """Pooled in the table that is subtracted."""
    num_tiles: int
    classes: tuple[str, ...]
    normalised: Matrix
    """Signed, (K, K), in [-1, 1]; NaN where either table has none."""
    precision: PerClass
    recall: PerClass
    f1: PerClass

    @property
    def summary_rows(self) -> SummaryRows:
        """The three rows below the matrix, named as in the paper."""
        return summary_rows(self.precision, self.recall, self.f1)


def confusion_differences(
    tables: Sequence[ConfusionTable], pairs: Iterable[tuple[str, str]]
) -> tuple[ConfusionDifference, ...]:
    """One table minus the other for each pair, at every fraction that both have.

    Args:
        tables: As from `all_confusion_tables`.
        pairs: (variant, reference), as from `differences.variant_pairs`.

    Returns:
        By label_frac, then in the order of pairs.
    """
    by_arm = {(table.variant, table.label_frac): table for table in tables}
    ordered = tuple(pairs)
    return tuple(
        _minus(by_arm[variant, frac], by_arm[reference, frac])
        for frac in sorted({table.label_frac for table in tables})
        for variant, reference in ordered
        if (variant, frac) in by_arm and (reference, frac) in by_arm
    )


def largest_differences(
    differences: Iterable[ConfusionDifference],
) -> tuple[ConfusionDifference, ...]:
    """The difference of each pair of variants at the largest fraction that both have."""
    largest: dict[tuple[str, str], ConfusionDifference] = {}
    for one in sorted(differences, key=lambda one: one.label_frac):
        largest[one.variant, one.reference] = one
    return tuple(largest.values())


def _minus(table: ConfusionTable, reference: ConfusionTable) -> ConfusionDifference:
    return ConfusionDifference(
        variant=table.variant,
        reference=reference.variant,
        label_frac=table.label_frac,
        seeds=table.seeds,
        reference_seeds=reference.seeds,
        num_tiles=table.num_tiles,
        classes=table.classes,
        normalised=table.normalised - reference.normalised,
        precision=table.precision - reference.precision,
        recall=table.recall - reference.recall,
        f1=table.f1 - reference.f1,
    )
