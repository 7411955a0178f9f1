"""Confusion matrices laid out as tables 1 and 2 of the paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.reading.confusion import Confusion
from contract.measures import (
    f1_per_class,
    precision_per_class,
    recall_per_class,
    row_normalised,
)

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

Matrix = NDArray[np.float64]
PerClass = NDArray[np.float64]

HEADER = "Reference / Predicted"
"""Corner of the table. The paper prints "Predicted \\ Reference" there, but its rows sum to 1 and
its diagonal is the row of recall: rows are the reference, in the paper's tables as in these."""

SUMMARY_NAMES = ("Precision/Correctness", "Recall/Completeness", "F1")
"""The rows below the matrix, named as in the paper."""

SummaryRows = tuple[tuple[str, PerClass], ...]


@dataclass(frozen=True, kw_only=True)
class ConfusionTable:
    """One variant at one annotation fraction; `from_counts` builds it."""

    variant: str
    label_frac: float
    seeds: tuple[int, ...]
    """Whose trials are pooled."""
    num_tiles: int
    classes: tuple[str, ...]
    counts: Confusion
    """Summed over seeds and test tiles, (K, K), int64; rows reference, columns prediction."""
    normalised: Matrix
    """Row-normalised, (K, K), in [0, 1]; NaN rows for classes without reference pixels."""
    precision: PerClass
    recall: PerClass
    f1: PerClass

    @classmethod
    def from_counts(
        cls,
        counts: Confusion,
        *,
        variant: str,
        label_frac: float,
        seeds: tuple[int, ...],
        num_tiles: int,
        classes: tuple[str, ...],
    ) -> ConfusionTable:
        """From pixel counts (K, K), int64, rows reference; every row follows from them.

        Raises:
            ValueError: If counts is not (K, K) for K classes.
        """
        _check_shape("counts", counts, (len(classes),) * 2)
        return cls(
            variant=variant,
            label_frac=label_frac,
            seeds=seeds,
            num_tiles=num_tiles,
            classes=classes,
            counts=counts,
            normalised=row_normalised(counts),
            precision=precision_per_class(counts),
            recall=recall_per_class(counts),
            f1=f1_per_class(counts),
        )

    @property
    def summary_rows(self) -> SummaryRows:
        """The three rows below the matrix, named as in the paper."""
        return summary_rows(self.precision, self.recall, self.f1)


def all_confusion_tables(record: StudyRecord, scores: pd.DataFrame) -> tuple[ConfusionTable, ...]:
    """The confusion of every variant at every fraction it was confirmed at.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.

    Returns:
        By label_frac, then in the order of the record; arms without a confirmed trial are left out.
    """
    tables = []
    for frac in sorted(set(scores["label_frac"])):
        at_frac = scores[scores["label_frac"] == frac]
        for variant in record.styles:
            arm = at_frac[at_frac["variant"] == variant]
            if arm.empty:
                continue
            confusions = [record.confusions[key] for key in arm["trial_key"]]
            tables.append(
                ConfusionTable.from_counts(
                    np.stack([c.pooled() for c in confusions]).sum(axis=0),
                    variant=variant,
                    label_frac=float(frac),
                    seeds=tuple(int(seed) for seed in arm["seed"]),
                    num_tiles=len(confusions[0].tiles),
                    classes=confusions[0].classes,
                )
            )
    return tuple(tables)


def largest_of(
    tables: Iterable[ConfusionTable], order: Iterable[str]
) -> tuple[ConfusionTable, ...]:
    """Per variant its table at the largest fraction.

    Args:
        tables: As from `all_confusion_tables`.
        order: Of the variants; one that is not in it is left out.
    """
    largest: dict[str, ConfusionTable] = {}
    for table in tables:
        known = largest.get(table.variant)
        if known is None or table.label_frac > known.label_frac:
            largest[table.variant] = table
    return tuple(largest[variant] for variant in order if variant in largest)


def summary_rows(*rows: PerClass) -> SummaryRows:
    """Precision, recall and F1, (K,) each, under the names of the paper."""
    return tuple(zip(SUMMARY_NAMES, rows, strict=True))


def _check_shape(name: str, values: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, one per class, got {values.shape}")
