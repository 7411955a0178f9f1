"""Tests of paired differences that assume nothing of their distribution but symmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Chance at most, over a family of tests, of calling a difference where there is none."""

_MAX_EXACT = 14
"""Pairs up to which all 2^n signs are tried."""
_NUM_SIGNS = 20_000
"""Random signs beyond."""


def sign_flip_p(differences: Sequence[float], generator: np.random.Generator) -> float:
    """Two-sided p value of a permutation test: is the mean of paired differences zero?

    Without an effect, a pair's difference has either sign with equal chance; p is the share of
    all signs whose mean is at least as far from zero. Exact up to 14 pairs; beyond, 20,000 random
    signs, and the one seen counted among them.

    Args:
        differences: One per pair, none of them NaN.
        generator: Draws signs where there are too many to try.

    Returns:
        In (0, 1]; NaN where so few pairs cannot reach LEVEL, whatever they are: under six.
    """
    values = np.asarray(differences, dtype=np.float64)
    num = len(values)
    if num < pairs_needed(1):
        return math.nan
    seen = abs(values.sum())
    if num <= _MAX_EXACT:
        sums = np.abs(_all_signs(num) @ values)
        return float(np.mean(sums >= seen * (1.0 - 1e-12)))
    signs = generator.choice([-1.0, 1.0], (_NUM_SIGNS, num))
    beyond = int((np.abs(signs @ values) >= seen * (1.0 - 1e-12)).sum())
    return (beyond + 1) / (_NUM_SIGNS + 1)


@lru_cache(maxsize=_MAX_EXACT)
def _all_signs(num: int) -> NDArray[np.float64]:
    """Every combination of signs, (2^num, num)."""
    bits = np.arange(2**num)[:, None] >> np.arange(num) & 1
    return np.where(bits == 1, 1.0, -1.0)


def pairs_needed(num_tests: int) -> int:
    """Fewest pairs with which the first of `num_tests` Holm-corrected tests can reach LEVEL.

    The smallest p value of n pairs is 2 / 2^n: 6 pairs for one test, 7 for three, 9 for seven.
    """
    return math.ceil(1.0 + math.log2(num_tests / LEVEL))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted after Holm (1979): those at most LEVEL err together with chance LEVEL.

    Args:
        p_values: Of one family of tests; NaN stands for a test that could not be made, and
            counts in the family all the same.

    Returns:
        In the same order, at most 1; NaN stays NaN.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    adjusted: NDArray[np.float64] = np.full(len(raw), np.nan)
    largest = 0.0
    for rank, index in enumerate(np.argsort(raw)):  # NaN come last
        if math.isnan(raw[index]):
            break
        largest = max(largest, min(1.0, (len(raw) - rank) * float(raw[index])))
        adjusted[index] = largest
    return [float(p) for p in adjusted]


def share_higher(differences: Sequence[float]) -> tuple[int, int, float, float]:
    """Probability of improvement: in how many pairs the difference is above zero.

    Args:
        differences: One per pair, none of them NaN; ties are left out.

    Returns:
        Pairs above zero, pairs that are no tie, and Wilson's 95 % interval (1927) of the
        probability; (0, 0, NaN, NaN) where all are ties.
    """
    from scipy.stats import binomtest

    higher = sum(d > 0.0 for d in differences)
    num = sum(d != 0.0 for d in differences)
    if num == 0:
        return 0, 0, math.nan, math.nan
    interval = binomtest(higher, num).proportion_ci(0.95, method="wilson")
    return higher, num, float(interval.low), float(interval.high)
