"""Which setting a search chooses, by scores over seeds, and where values lie on their own scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BEST: Final = "best"
SIMPLEST: Final = "simplest"
RULES: Final = {
    BEST: "the setting with the best validation score, the earliest of equals",
    SIMPLEST: (
        "of the settings whose mean validation score lies within one standard error of the best "
        "(the standard error of the paired difference over the seeds), the one nearest to the "
        "published setting, each parameter on its own scale as a share of its domain"
    ),
}
"""What a search may choose, in words."""
_SAME: Final = 1e-12
"""Scores and distances that differ by less are equal: rounding chooses nothing."""


def rule_of(num_seeds: int) -> str:
    """The rule by which a search with so many seeds chooses: one of RULES."""
    return BEST if num_seeds == 1 else SIMPLEST


def within_one_error(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which settings cannot be told from the best by one standard error.

    Args:
        scores: Validation scores (S, N) of S settings and N seeds, none of them NaN.

    Returns:
        (S,); the earliest of the best mean is always among them. With one seed it is alone.
    """
    num = scores.shape[1]
    means = scores.mean(axis=1)
    best = int((means >= means.max() - _SAME).argmax())
    if num == 1:
        alone: NDArray[np.bool_] = np.arange(len(scores)) == best
        return alone
    lost = scores[best] - scores
    error = lost.std(axis=1, ddof=1) / math.sqrt(num)
    within: NDArray[np.bool_] = lost.mean(axis=1) <= error + _SAME
    within[best] = True
    return within


def choose(scores: NDArray[np.float64], distances: Sequence[float]) -> int:
    """The nearest of the settings within one standard error of the best.

    With one seed that is the best itself. The one-standard-error rule is that of Breiman et al.,
    Classification and regression trees (1984), with the error of the difference to the best, whose
    seeds are paired.

    Args:
        scores: As in `within_one_error`.
        distances: Of each setting to the simplest, S of them, as from `distance`.

    Returns:
        Place of the setting; of equally near ones the better, then the earlier.
    """
    means = scores.mean(axis=1)
    within = within_one_error(scores)
    apart = np.where(within, distances, np.inf)
    nearest = np.where(apart <= apart.min() + _SAME, means, -np.inf)
    return int((nearest >= nearest.max() - _SAME).argmax())


def distance(shares: Sequence[float]) -> float:
    """How far a setting lies from another: the root of the summed squares of its `share_apart`."""
    return math.hypot(*shares)


def share_apart(value: float, other: float, ends: Sequence[float], *, log: bool) -> float:
    """How far two numbers lie apart on a parameter's own scale, as a share of its domain.

    Args:
        value: Of the domain.
        other: Any; what lies outside of the domain counts as its nearer end.
        ends: The levels of the domain, or the two ends of its range.
        log: Whether the scale is logarithmic.

    Returns:
        In [0, 1].
    """
    low, high = min(ends), max(ends)
    if low == high:
        return 0.0
    held = [min(max(one, low), high) for one in (value, other)]
    *domain, first, second = scale_positions([*ends, *held], log=log)
    return abs(first - second) / (max(domain) - min(domain))


def scale_positions(values: Sequence[float], *, log: bool) -> list[float]:
    """Places of numbers on a linear or logarithmic scale.

    On a logarithmic scale 0 has no place of its own: it is put one step below the lowest positive
    number, as long as the step from there to the next one, or a decade where there is none.

    Args:
        values: In any order; 0 or above where the scale is logarithmic.
        log: Whether it is.

    Returns:
        Decades, or the numbers themselves.
    """
    if not log:
        return list(map(float, values))
    decades = sorted({math.log10(value) for value in values if value > 0})
    if not decades:
        return [0.0] * len(values)
    step = decades[1] - decades[0] if len(decades) > 1 else 1.0
    return [math.log10(value) if value > 0 else decades[0] - step for value in values]
