"""Intervals over seeds, and over seeds and test tiles together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MIN_SEEDS = 3
"""Fewest seeds for an interval: with two, the t factor of 12.7 says nothing."""

MIN_TILES = 3
"""Fewest test tiles for an interval over tiles."""

CONFIDENCE = 0.95

NUM_RESAMPLES = 1000
"""The standard error of a bootstrap standard error is then some 2 %."""

NUM_TILE_RESAMPLES = 500
"""Fewer, as every one scores all trials anew; some 3 %."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean, or what a function says, and its confidence interval."""

    mean: float
    """NaN without any value."""
    low: float
    """NaN with too few values, MIN_SEEDS or MIN_TILES; likewise `high`."""
    high: float
    num: int
    """Values (seeds, or pairs of them) that are not NaN."""

    @property
    def is_known(self) -> bool:
        """Whether there were enough values for bounds."""
        return not math.isnan(self.low)


def t_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Mean and two-sided Student t interval of independent values.

    For a mean this is the limit of `bootstrap_interval` with infinitely many resamples.

    Args:
        values: One value per seed; NaN are left out.
        confidence: Chance that the interval holds the mean.

    Returns:
        Mean and interval; the bounds are NaN with fewer than MIN_SEEDS values.
    """
    sample = _defined(values)
    num = len(sample)
    if num == 0:
        return Interval(mean=math.nan, low=math.nan, high=math.nan, num=0)
    mean = float(sample.mean())
    if num < MIN_SEEDS:
        return Interval(mean=mean, low=math.nan, high=math.nan, num=num)
    error = float(sample.std(ddof=1)) / math.sqrt(num)
    return _around(mean, error, num - 1, num, confidence)


def t_factor(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Standard errors from the mean to either bound of an interval, a 95 % one unless told."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2.0))


def standard_deviation(values: Iterable[float]) -> float:
    """Sample standard deviation (n - 1), NaN left out; NaN with fewer than two values."""
    sample = _defined(values)
    return float(sample.std(ddof=1)) if len(sample) > 1 else math.nan


def interquartile_mean(values: Values) -> Values:
    """Mean of the middle half, along the last axis: the lowest and highest quarter are left out.

    As in Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice
    (2021), a quarter is rounded down: up to three values nothing is left out.

    Args:
        values: (..., n), none of them NaN, n at least 1.

    Returns:
        (...).
    """
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(values, 0.25, axis=-1))


def bootstrap_interval(
    values: Iterable[float],
    statistic: Callable[[Values], Values],
    generator: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval:
    """A statistic of independent values with its 95 % bootstrap interval.

    The factor n / (n - 1) makes the variance of a mean unbiased, and the t factor makes up for
    the few values behind it (Hesterberg, What teachers should know about the bootstrap, 2015);
    percentiles of the resamples would be too narrow for less than some 30 values.

    Args:
        values: One value per seed; NaN are left out.
        statistic: From values (..., n) to (...).
        generator: Draws the resamples.
        num_resamples: How many.

    Returns:
        The statistic (as `mean`) and statistic ± t (n - 1) bootstrap standard errors.
    """
    sample = _defined(values)
    num = len(sample)
    if num < MIN_SEEDS:
        mean = float(statistic(sample)) if num else math.nan
        return Interval(mean=mean, low=math.nan, high=math.nan, num=num)
    drawn = sample[generator.integers(0, num, (num_resamples, num))]
    error = float(statistic(drawn).std(ddof=1)) * math.sqrt(num / (num - 1))
    return _around(float(statistic(sample)), error, num - 1, num)


def draw_tiles(num_tiles: int, generator: np.random.Generator) -> Values:
    """Bootstrap resamples of test tiles, as how often each was drawn.

    Returns:
        (NUM_TILE_RESAMPLES, num_tiles), each row num_tiles - 1 draws; see `bootstrap_interval`.
    """
    chances = np.full(num_tiles, 1.0 / num_tiles)
    return generator.multinomial(num_tiles - 1, chances, NUM_TILE_RESAMPLES).astype(np.float64)


def seeds_and_tiles_interval(by_seed: Values, resampled: Values, num_tiles: float) -> Interval:
    """Mean over seeds, and a 95 % interval for other seeds on other test tiles.

    Seeds and tiles are crossed: every seed was scored on the same tiles. The variances of the
    two, each from a bootstrap of its own, are added; what seed and tile do together is counted
    in both, so the interval errs on the wide side. Degrees of freedom after Satterthwaite (1946).

    Args:
        by_seed: One value per seed, all tiles together, (S,).
        resampled: The same values for resampled tiles, (NUM_TILE_RESAMPLES, S).
        num_tiles: How many tiles of equal weight they are worth, as from
            `tile_scores.TileResamples`.

    Returns:
        Mean over seeds; the bounds are NaN with fewer than MIN_SEEDS seeds, tiles that are worth
        no more than MIN_TILES - 1, or resamples that are NaN. Seeds without a value (NaN) are
        left out.
    """
    known = ~np.isnan(by_seed)
    num = int(known.sum())
    means = resampled[:, known].mean(axis=1) if num else np.array([math.nan])
    if num < MIN_SEEDS or num_tiles <= MIN_TILES - 1 or np.isnan(means).any():
        return Interval(mean=t_interval(by_seed).mean, low=math.nan, high=math.nan, num=num)
    over_seeds = float(by_seed[known].var(ddof=1)) / num
    over_tiles = float(means.var(ddof=1))
    total = over_seeds + over_tiles
    spread = over_seeds**2 / (num - 1) + over_tiles**2 / (num_tiles - 1)
    freedom = total**2 / spread if spread > 0.0 else num - 1.0
    return _around(float(by_seed[known].mean()), math.sqrt(total), freedom, num)


def _around(
    mean: float, error: float, freedom: float, num: int, confidence: float = CONFIDENCE
) -> Interval:
    half = t_factor(freedom, confidence) * error
    return Interval(mean=mean, low=mean - half, high=mean + half, num=num)


def _defined(values: Iterable[float]) -> Values:
    return np.array([v for v in values if not math.isnan(v)], dtype=np.float64)
