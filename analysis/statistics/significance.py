"""Tests of paired differences that assume nothing of their distribution but symmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contract.protocol.power import AREA_SHARE, all_signs, fewest_seeds

Values = NDArray[np.float64]

_MAX_EXACT = 14
"""Seeds up to which all 2^n signs are tried."""
_NUM_SIGNS = 20_000
"""Random signs beyond."""
_SAME = 1e-12
"""Differences of scores below it are rounding, and count as 0."""
_TIE = 1e-10
"""Sums that differ by less than this share of the sum of absolute differences are tied: not by a
share of the sum seen, which is rounding itself where differences cancel."""


def step_down_p(differences: Values, level: float, generator: np.random.Generator) -> Values:
    """P values of the family of all columns: is the mean of a column's differences zero?

    Without an effect, both models of a seed could be exchanged, at all fractions together: so a
    seed's row has either sign with equal chance, and the chances hold whatever ties the columns
    together. The statistic of a column is the absolute sum over the root of the sum of squares
    (as good as Student's t, and its scale is not changed by signs); p comes from the largest
    statistic of a column and all below it, step by step down (Westfall and Young, 1993). Exact up
    to 14 seeds; beyond, 20,000 random signs, and the one seen counted among them.

    Which seeds and columns have differences, and their absolute values, say nothing of their
    signs. So a column counts in the family only where it has seeds enough for a test; no other
    column pays for one that is undefined.

    Args:
        differences: (S, H), a row per seed; NaN where a seed has no difference.
        level: That the family is tested at; decides how many seeds are enough.
        generator: Draws signs where there are too many to try.

    Returns:
        (H,), in (0, 1], to be held against the level; NaN for a column with fewer than
        `power.fewest_seeds(level)` seeds.
    """
    values = np.where(np.abs(differences) < _SAME, 0.0, differences)
    known = ~np.isnan(values)
    tested = np.flatnonzero(known.sum(axis=0) >= fewest_seeds(level))
    found: Values = np.full(values.shape[1], np.nan)
    if len(tested) == 0:
        return found
    used = known[:, tested].any(axis=1)
    rows = np.where(known, values, 0.0)[np.ix_(used, tested)]
    scale = np.sqrt((rows**2).sum(axis=0))
    rows = rows / np.where(scale > 0.0, scale, 1.0)  # a column of zeros has the statistic 0
    seen = np.abs(rows.sum(axis=0)) - _TIE * np.abs(rows).sum(axis=0)
    num = len(rows)
    is_exact = num <= _MAX_EXACT
    signs = all_signs(num) if is_exact else generator.choice([-1.0, 1.0], (_NUM_SIGNS, num))
    order = np.argsort(-seen, kind="stable")
    flipped = np.abs(signs @ rows[:, order])
    largest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]
    beyond = (largest >= seen[order]).sum(axis=0)
    p = beyond / len(signs) if is_exact else (beyond + 1) / (len(signs) + 1)
    found[tested[order]] = np.maximum.accumulate(p)
    return found


def fallback(areas: Values, fractions: Values, has_areas: bool) -> tuple[Values, Values]:
    """Adjusted p values of both families of a study: areas first, then single fractions.

    The areas are tested at AREA_SHARE of the level; the fractions at the rest, and at the whole
    level where every area is shown (the fallback procedure of Wiens, 2003). Where areas are
    planned and none can be tested, none is shown.

    Args:
        areas: `step_down_p` of the areas, (A,); NaN where they cannot be tested.
        fractions: `step_down_p` of the fractions, (F,).
        has_areas: Whether the study planned two fractions or more, so that there are areas.

    Returns:
        Both at most 1, to be held against the study's level; NaN stays NaN.
    """
    if not has_areas:
        return np.full(len(areas), np.nan), fractions
    tested = areas[~np.isnan(areas)] / AREA_SHARE
    largest = float(tested.max()) if len(tested) else 1.0
    by_fallback = np.minimum(np.maximum(fractions, largest), fractions / (1.0 - AREA_SHARE))
    return np.minimum(areas / AREA_SHARE, 1.0), np.minimum(by_fallback, 1.0)


def share_higher(differences: Sequence[float]) -> tuple[int, int, float, float]:
    """Probability of improvement: in how many pairs the difference is above zero.

    Args:
        differences: One per pair, none of them NaN; ties are left out, and what rounding makes of
            them.

    Returns:
        Pairs above zero, pairs that are no tie, and Wilson's 95 % interval (1927) of the
        probability; (0, 0, NaN, NaN) where all are ties.
    """
    higher = sum(d >= _SAME for d in differences)
    num = sum(abs(d) >= _SAME for d in differences)
    if num == 0:
        return 0, 0, math.nan, math.nan
    return higher, num, *_wilson_interval(higher, num)


@lru_cache(maxsize=1024)  # a study asks for few of them, each many times, at 5 ms of CPU
def _wilson_interval(num: int, total: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(num, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
