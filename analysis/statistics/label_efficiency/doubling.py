"""What twice the annotations would bring, bounded by what the last doublings brought."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.statistics.intervals import MIN_SEEDS, Values, t_interval
from analysis.statistics.label_efficiency.efficiency import different_fractions

MIN_FRACTIONS = 3
"""Two steps: the second says whether the curve still bends upwards."""


@dataclass(frozen=True, kw_only=True)
class Doubling:
    """The score at twice the largest fraction measured, or why it is not said."""

    variant: str
    label_frac: float
    """Twice the largest fraction measured."""
    low: float
    """Bounds of the 95 % interval over seeds; NaN where refused."""
    high: float
    num: int
    """Seeds that have all fractions."""
    refused: str
    """Why not; '' where it is said."""


def doubling(variant: str, fractions: Values, scores: Values) -> Doubling:
    """Bounds of the score at twice the largest fraction, from no law of the curve's form.

    Supposed is only that more annotation does no harm, and that a doubling brings no more than
    those before it did: the curve over log2 of the fraction has begun to bend. So the score there
    lies between that at the largest fraction and the same plus what a doubling brought in the step
    before the last. Refused where the last step brought more per doubling than the one before.

    An interval from a power law leaves out the error of the law: where curves level out, it held
    the truth in none to two thirds of the studies.

    Args:
        variant: Its name.
        fractions: (F,), ascending; of those that are the same the first counts.
        scores: (S, F); seeds with a NaN are left out.
    """
    kept = different_fractions(fractions)
    fractions, scores = fractions[kept], scores[:, kept]
    whole = scores[~np.isnan(scores).any(axis=1)]
    refused, low, high = _too_little(fractions, whole), math.nan, math.nan
    if not refused:
        steps = np.diff(whole, axis=1) / np.diff(np.log2(fractions))  # per doubling
        before, last = steps[:, -2], steps[:, -1]
        brought = before if before.mean() > 0.0 else np.zeros(len(whole))
        if last.mean() > before.mean():
            refused = "the last step brought more per doubling than the one before"
        else:
            low = t_interval(whole[:, -1]).low
            high = min(1.0, t_interval(whole[:, -1] + brought).high)
    return Doubling(
        variant=variant,
        label_frac=2.0 * float(fractions[-1]) if len(fractions) else math.nan,
        low=low,
        high=high,
        num=len(whole),
        refused=refused,
    )


def _too_little(fractions: Values, whole: Values) -> str:
    """Why nothing can be said of so few fractions or seeds; '' where it can."""
    if len(fractions) < MIN_FRACTIONS:
        return f"that needs {MIN_FRACTIONS} fractions, this has {len(fractions)}"
    if len(whole) < MIN_SEEDS:
        return f"that needs {MIN_SEEDS} seeds with all fractions, this has {len(whole)}"
    return ""
