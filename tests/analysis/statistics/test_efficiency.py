import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.efficiency import (
    ScoreGrid,
    annotations_needed,
    area_under_curve,
    score_grid,
)


def grid(unet: list[list[float]], urec: list[list[float]], fracs: tuple[float, ...]) -> ScoreGrid:
    return ScoreGrid(
        label_frac=np.array(fracs),
        seeds=tuple(range(len(unet))),
        scores={"unet": np.array(unet), "urec": np.array(urec)},
        num_incomplete=0,
    )


def test_area_by_hand() -> None:
    # two octaves: trapezoids of mean height 0.5 and 0.7
    area = area_under_curve(np.array([0.25, 0.5, 1.0]), np.array([[0.4, 0.6, 0.8]]))
    assert area == pytest.approx([0.6])
    # a step of three octaves counts three times one of one
    uneven = area_under_curve(np.array([0.0625, 0.5, 1.0]), np.array([0.4, 0.4, 0.8]))
    assert float(uneven) == pytest.approx((3 * 0.4 + 0.6) / 4)


def test_one_fraction_has_no_area() -> None:
    assert np.isnan(area_under_curve(np.array([1.0]), np.array([[0.5], [0.6]]))).all()


def test_half_the_annotations_by_hand() -> None:
    # both curves rise by 0.1 per octave; U-REC is one octave ahead, for every seed alike
    unet = [[0.4 + s, 0.5 + s, 0.6 + s] for s in (0.0, 0.01, 0.02)]
    urec = [[0.5 + s, 0.6 + s, 0.7 + s] for s in (0.0, 0.01, 0.02)]
    first, second, third = annotations_needed(grid(unet, urec, (0.25, 0.5, 1.0)), "urec", "unet")
    assert (first.needed, first.low, first.high) == (0.0, 0.0, 0.0)  # less than was measured
    assert not first.saves
    assert second.needed == 0.0  # reached at the smallest fraction exactly: that or less
    assert third.needed == pytest.approx(0.5)
    assert (third.low, third.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert third.saves


def test_interval_is_where_the_paired_t_interval_covers_zero() -> None:
    fracs = (0.25, 1.0)
    gains = np.array([0.01, 0.03, 0.05, 0.03])
    unet = [[0.4, 0.6]] * 4
    urec = [[0.4 + g, 0.6 + g] for g in gains]
    *_, last = annotations_needed(grid(unet, urec, fracs), "urec", "unet")
    half = 3.182446 * gains.std(ddof=1) / 2.0  # t of 3 degrees of freedom
    per_octave = 0.1
    for bound, gain in ((last.needed, 0.03), (last.low, 0.03 + half), (last.high, 0.03 - half)):
        assert bound == pytest.approx(2.0 ** (-gain / per_octave), abs=1e-4)


def test_never_reached_is_censored_not_extrapolated() -> None:
    unet = [[0.4, 0.6], [0.41, 0.61], [0.39, 0.6]]
    urec = [[0.2, 0.3], [0.2, 0.31], [0.21, 0.3]]
    *_, last = annotations_needed(grid(unet, urec, (0.1, 1.0)), "urec", "unet")
    assert (last.needed, last.low, last.high) == (math.inf, math.inf, math.inf)
    assert not last.saves


def test_a_curve_that_surely_falls_back_saves_nothing() -> None:
    unet = [[0.4 + s, 0.5 + s, 0.7 + s] for s in (0.0, 0.001, 0.002)]
    urec = [[0.5 + s, 0.75 + s, 0.6 + s] for s in (0.0, 0.001, 0.002)]
    *_, last = annotations_needed(grid(unet, urec, (0.25, 0.5, 1.0)), "urec", "unet")
    assert 0.25 < last.high < 0.5
    assert last.falls_back
    assert not last.saves


def test_two_seeds_have_a_point_and_no_interval() -> None:
    *_, last = annotations_needed(
        grid([[0.4, 0.6]] * 2, [[0.5, 0.7]] * 2, (0.25, 1.0)), "urec", "unet"
    )
    assert last.needed == pytest.approx(0.5)
    assert not last.is_known
    assert not last.saves


def test_one_fraction_or_no_seed_gives_nothing() -> None:
    assert annotations_needed(grid([[0.5]] * 3, [[0.6]] * 3, (1.0,)), "urec", "unet") == ()
    empty = ScoreGrid(
        label_frac=np.array([0.1, 1.0]), seeds=(), num_incomplete=0,
        scores={"unet": np.empty((0, 2)), "urec": np.empty((0, 2))},
    )  # fmt: skip
    assert annotations_needed(empty, "urec", "unet") == ()


def frame(*rows: tuple[str, float, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def test_grid_holds_whole_seeds_at_shared_fractions() -> None:
    scores = frame(
        ("unet", 0.1, 1, 0.1), ("unet", 1.0, 1, 0.2), ("unet", 0.1, 2, 0.3), ("unet", 1.0, 2, 0.4),
        ("urec", 1.0, 1, 0.6), ("urec", 0.1, 1, 0.5), ("urec", 0.1, 2, 0.7),
        ("urec", 1.0, 2, math.nan), ("urec", 0.5, 1, 0.9),
    )  # fmt: skip
    made = score_grid(scores, "mean_f1", ("urec", "unet"))
    np.testing.assert_array_equal(made.label_frac, [0.1, 1.0])
    assert (made.seeds, made.num_incomplete) == ((1,), 1)
    np.testing.assert_array_equal(made.scores["urec"], [[0.5, 0.6]])
    np.testing.assert_array_equal(made.scores["unet"], [[0.1, 0.2]])


@pytest.mark.parametrize(
    "scores",
    [frame(), frame(("unet", 0.1, 1, 0.5)), frame(("unet", 0.1, 1, 0.5), ("urec", 1.0, 1, 0.5))],
)
def test_nothing_shared_is_an_empty_grid(scores: pd.DataFrame) -> None:
    made = score_grid(scores, "mean_f1", ("urec", "unet"))
    assert made.seeds == ()
    assert made.scores["unet"].shape[0] == 0
