"""Intervals over seeds, and differences between the models paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    """U-REC minus U-Net at one annotation fraction, over the seeds that both have."""

    label_frac: float
    measure: str
    difference: Interval


def paired_differences(scores: pd.DataFrame, measure: str) -> tuple[PairedDifference, ...]:
    """U-REC minus U-Net, paired by seed, at every fraction that both were confirmed at.

    Seed s is the same budget draw, patch order and augmentation for both models, so the
    difference of a pair is free of what the seed itself does to the score.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns.

    Returns:
        One entry per shared fraction, ascending; its interval counts pairs (none shared: 0).
    """
    by_model = {
        model: {
            (float(row["label_frac"]), int(row["seed"])): float(row[measure])
            for row in scores.to_dict("records")
            if row["model"] == model
        }
        for model in ("unet", "urec")
    }
    shared_fracs = set.intersection(*({frac for frac, _ in s} for s in by_model.values()))
    differences = []
    for frac in sorted(shared_fracs):
        pairs = sorted(key for key in by_model["urec"].keys() & by_model["unet"] if key[0] == frac)
        deltas = [by_model["urec"][key] - by_model["unet"][key] for key in pairs]
        differences.append(
            PairedDifference(label_frac=frac, measure=measure, difference=t_interval(deltas))
        )
    return tuple(differences)
