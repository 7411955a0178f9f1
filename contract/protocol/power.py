"""What a study can show: the seeds that its tests need, the differences that they would find."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Chance at most, over all tests of a study, of calling a difference where there is none."""

AREA_SHARE = 0.8
"""Share of the level that the areas under the curves are tested at; single fractions have the
rest, and the whole where every area is shown (the fallback procedure of Wiens, 2003)."""

POWER = 0.8
"""Share of studies that would find the difference which is named."""

_MAX_EXACT = 12
"""Seeds up to which all signs are tried."""
_NUM_SIGNS = 2_048
"""Random signs beyond."""
_NUM_STUDIES = 600
"""Simulated studies: the power of 0.8 has a standard error of 0.016."""


def fewest_seeds(level: float) -> int:
    """Fewest paired seeds with which a sign-flip test can reach a level: 2 / 2^n is at most it.

    Raises:
        ValueError: If level is not in (0, 1].
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level must be in (0, 1], got {level!r}")
    return max(1, math.ceil(1.0 - math.log2(level) - 1e-9))


def study_seeds(num_fracs: int, level: float = LEVEL) -> int:
    """Fewest seeds with which a study can show anything.

    Args:
        num_fracs: Different annotation fractions: from two on there are areas.
        level: Of all of its tests.
    """
    return fewest_seeds(level * AREA_SHARE if num_fracs > 1 else level)


def all_signs(num_seeds: int) -> NDArray[np.float64]:
    """Every combination of signs but for turning all of them, (2^(n - 1), n): the last is +."""
    bits = np.arange(2 ** (num_seeds - 1))[:, None] >> np.arange(num_seeds) & 1
    return np.where(bits == 0, 1.0, -1.0)


@lru_cache(maxsize=32)
def difference_found(num_seeds: int, num_tests: int = 1, level: float = LEVEL) -> float:
    """The difference at one of several tests that POWER of the studies would find.

    From simulated studies with normal differences of standard deviation 1, independent between
    the tests and 0 at all others, tested by sign flips with max-T over the tests.

    Args:
        num_seeds: Pairs of seeds.
        num_tests: Tests of the family.
        level: Of the family.

    Returns:
        In standard deviations of the paired differences; infinity where so few seeds find none.

    Raises:
        ValueError: If num_tests is below 1, or level not in (0, 1].
    """
    if num_tests < 1:
        raise ValueError(f"num_tests must be a whole number >= 1, got {num_tests!r}")
    if num_seeds < fewest_seeds(level):
        return math.inf
    generator = np.random.default_rng(num_seeds)
    noise = generator.normal(size=(_NUM_STUDIES, num_seeds))
    if num_seeds <= _MAX_EXACT:
        signs = all_signs(num_seeds)
    else:
        signs = generator.choice([-1.0, 1.0], (_NUM_SIGNS, num_seeds))
        signs[0] = 1.0
    others = _largest_of_others(signs, noise.shape, num_tests - 1, generator)
    few = level * len(signs) + 1e-9

    def power(shift: float) -> float:
        values = noise + shift
        flipped = np.abs(values @ signs.T)
        seen = flipped[:, :1] * (1.0 - 1e-12)
        if others is not None:
            scale = np.sqrt((values**2).sum(axis=1, keepdims=True))
            flipped, seen = np.maximum(flipped / scale, others), seen / scale
        return float(np.mean((flipped >= seen).sum(axis=1) <= few))

    return _first_with(power, 16.0)


def _largest_of_others(
    signs: NDArray[np.float64],
    shape: tuple[int, int],
    num_others: int,
    generator: np.random.Generator,
) -> NDArray[np.float64] | None:
    """Per study and flip the largest statistic of the tests without a difference."""
    largest = None
    for _ in range(num_others):
        values = generator.normal(size=shape)
        flipped = np.abs(values @ signs.T) / np.sqrt((values**2).sum(axis=1, keepdims=True))
        largest = flipped if largest is None else np.maximum(largest, flipped)
    return largest


def _first_with(power: Callable[[float], float], high: float) -> float:
    """Where an increasing share first is POWER, to a hundredth; infinity beyond `high`."""
    if power(high) < POWER:
        return math.inf
    low = 0.0
    while high - low > 0.01:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
