import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.statistics.intervals import (
    bootstrap_interval,
    draw_tiles,
    interquartile_mean,
    seeds_and_tiles_interval,
    standard_deviation,
    t_interval,
)


def test_interval_of_three_values_by_hand() -> None:
    interval = t_interval([0.1, 0.2, 0.3])
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert interval.mean == pytest.approx(0.2)
    assert (interval.low, interval.high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-6)


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(0.7, 0.1, 9)
    expected = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    interval = t_interval(values)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.7], [0.5, 0.7, math.nan]])
def test_fewer_than_three_values_have_no_interval(values: list[float]) -> None:
    interval = t_interval(values)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.is_known
    assert interval.num == sum(not math.isnan(v) for v in values)


def test_spread_of_one_seed_is_nan_not_zero() -> None:
    assert math.isnan(standard_deviation([0.7]))
    assert standard_deviation([0.6, 0.8]) == pytest.approx(math.sqrt(0.02))


def test_interquartile_mean_by_hand() -> None:
    assert float(interquartile_mean(np.array([3.0, 1.0, 8.0]))) == 4.0  # a quarter of three is none
    values = np.array([[9.0, 1.0, 2.0, 4.0, -7.0], [0.0, 1.0, 2.0, 3.0, 40.0]])
    assert interquartile_mean(values).tolist() == [pytest.approx(7 / 3), 2.0]


def test_one_collapsed_run_does_not_move_the_interquartile_mean() -> None:
    values = np.array([0.70, 0.71, 0.72, 0.73, 0.05])
    assert float(interquartile_mean(values)) == pytest.approx(0.71)


def test_bootstrap_of_a_mean_is_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(0.7, 0.1, 8)
    expected = t_interval(values)
    many = bootstrap_interval(
        values, lambda v: v.mean(axis=-1), np.random.default_rng(0), num_resamples=40_000
    )
    assert many.mean == pytest.approx(expected.mean)
    assert many.high - many.low == pytest.approx(expected.high - expected.low, rel=0.02)


def test_bootstrap_is_seeded_and_says_nothing_of_two_seeds() -> None:
    def interval(seed: int) -> tuple[float, float]:
        made = bootstrap_interval([0.1, 0.2, 0.4], interquartile_mean, np.random.default_rng(seed))
        return made.low, made.high

    assert interval(0) == interval(0)
    assert interval(0) != interval(1)
    two = bootstrap_interval([0.1, 0.3], interquartile_mean, np.random.default_rng(0))
    assert (two.mean, two.num, two.is_known) == (pytest.approx(0.2), 2, False)
    none = bootstrap_interval([], interquartile_mean, np.random.default_rng(0))
    assert math.isnan(none.mean)


def test_tiles_that_are_all_alike_leave_the_interval_over_seeds() -> None:
    by_seed = np.array([0.6, 0.7, 0.65, 0.62])
    over_both = seeds_and_tiles_interval(by_seed, np.tile(by_seed, (500, 1)), 9)
    expected = t_interval(by_seed)
    assert (over_both.low, over_both.high) == pytest.approx((expected.low, expected.high))


def test_seeds_that_are_all_alike_leave_the_interval_over_tiles() -> None:
    # three seeds with the same scores per tile; the score is the mean over tiles
    tiles = np.array([0.5, 0.6, 0.7, 0.9, 0.4, 0.8])
    drawn = draw_tiles(6, np.random.default_rng(0))
    resampled = np.tile((drawn @ tiles / 5.0)[:, None], (1, 3))
    interval = seeds_and_tiles_interval(np.full(3, tiles.mean()), resampled, 6)
    expected = t_interval(tiles)
    assert interval.mean == pytest.approx(expected.mean)
    assert interval.high - interval.low == pytest.approx(expected.high - expected.low, rel=0.1)


@pytest.mark.parametrize(("num_seeds", "num_tiles"), [(2, 9), (5, 2)])
def test_too_few_seeds_or_tiles_give_no_interval(num_seeds: int, num_tiles: int) -> None:
    by_seed = np.linspace(0.5, 0.6, num_seeds)
    interval = seeds_and_tiles_interval(by_seed, np.tile(by_seed, (1000, 1)), num_tiles)
    assert not interval.is_known
    assert interval.mean == pytest.approx(0.55)


def test_a_resample_draws_one_tile_less_than_there_are() -> None:
    drawn = draw_tiles(7, np.random.default_rng(0))
    assert drawn.shape == (500, 7)
    assert (drawn.sum(axis=1) == 6).all()
