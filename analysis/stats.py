"""Intervals over seeds, and differences between the variants paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from analysis.schema import MODELS

if TYPE_CHECKING:
    import pandas as pd

MIN_SEEDS = 3
"""Fewest seeds for an interval: with two, the t factor of 12.7 says nothing."""

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over seeds and its confidence interval."""

    mean: float
    """NaN without any value."""
    low: float
    """NaN with fewer than MIN_SEEDS values; likewise `high`."""
    high: float
    num: int
    """Values that are not NaN."""

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, and 0 lies outside of it."""
        return self.low > 0.0 or self.high < 0.0


def t_interval(values: Iterable[float]) -> Interval:
    """Mean and two-sided 95 % Student t interval of independent values.

    Args:
        values: One value per seed; NaN are left out.

    Returns:
        Mean and interval; the bounds are NaN with fewer than MIN_SEEDS values.
    """
    from scipy.stats import t

    sample = np.array([v for v in values if not math.isnan(v)], dtype=np.float64)
    num = len(sample)
    if num == 0:
        return Interval(mean=math.nan, low=math.nan, high=math.nan, num=0)
    mean = float(sample.mean())
    if num < MIN_SEEDS:
        return Interval(mean=mean, low=math.nan, high=math.nan, num=num)
    standard_error = float(sample.std(ddof=1)) / math.sqrt(num)
    half = float(t.ppf(0.5 + CONFIDENCE / 2.0, num - 1)) * standard_error
    return Interval(mean=mean, low=mean - half, high=mean + half, num=num)


def standard_deviation(values: Iterable[float]) -> float:
    """Sample standard deviation (n - 1), NaN left out; NaN with fewer than two values."""
    sample = np.array([v for v in values if not math.isnan(v)], dtype=np.float64)
    return float(sample.std(ddof=1)) if len(sample) > 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """One variant minus another at one annotation fraction, over the seeds that both have."""

    variant: str
    reference: str
    """What is subtracted."""
    label_frac: float
    measure: str
    difference: Interval


def variant_pairs(scores: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """The (variant, reference) to compare, of all variants that have scores.

    Returns:
        Every U-REC variant against U-Net, then the U-REC variants against each other, in the
        order of MODELS.
    """
    scored = set(scores["variant"])
    unet, urec = (
        [name for name, style in MODELS.items() if style.network == network and name in scored]
        for network in ("unet", "urec")
    )
    return (*((name, reference) for name in urec for reference in unet), *combinations(urec, 2))


def all_differences(scores: pd.DataFrame, measure: str) -> tuple[PairedDifference, ...]:
    """The `paired_differences` of all `variant_pairs`, one pair after the other."""
    return tuple(
        paired
        for variant, reference in variant_pairs(scores)
        for paired in paired_differences(scores, measure, variant, reference)
    )


def paired_differences(
    scores: pd.DataFrame, measure: str, variant: str = "urec", reference: str = "unet"
) -> tuple[PairedDifference, ...]:
    """One variant minus another, paired by seed, at every fraction both were confirmed at.

    Seed s is the same budget draw, patch order and augmentation for all variants, so the
    difference of a pair is free of what the seed itself does to the score.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns.
        variant: Key of MODELS.
        reference: Key of MODELS: what is subtracted.

    Returns:
        One entry per shared fraction, ascending; its interval counts pairs (none shared: 0).
    """
    minuends, subtrahends = (
        {
            (float(row["label_frac"]), int(row["seed"])): float(row[measure])
            for row in scores.to_dict("records")
            if row["variant"] == name
        }
        for name in (variant, reference)
    )
    differences = []
    for frac in sorted({frac for frac, _ in minuends} & {frac for frac, _ in subtrahends}):
        pairs = sorted(key for key in minuends.keys() & subtrahends if key[0] == frac)
        differences.append(
            PairedDifference(
                variant=variant,
                reference=reference,
                label_frac=frac,
                measure=measure,
                difference=t_interval([minuends[key] - subtrahends[key] for key in pairs]),
            )
        )
    return tuple(differences)
