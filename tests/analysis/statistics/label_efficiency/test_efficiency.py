import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.label_efficiency.efficiency import (
    area_under_curve,
    different_fractions,
    score_grid,
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


def test_area_of_each_seed_lies_over_what_its_own_budgets_reached() -> None:
    scores = np.array([[0.4, 0.6, 0.8], [0.4, 0.6, 0.8], [0.4, 0.6, np.nan]])
    fractions = np.array([[0.25, 0.5, 1.0], [0.125, 0.5, 1.0], [0.25, 0.5, 1.0]])
    first, second, third = area_under_curve(fractions, scores)
    assert (first, second) == (pytest.approx(0.6), pytest.approx((2 * 0.5 + 0.7) / 3))
    assert math.isnan(third)


def test_equal_fractions_have_no_area() -> None:
    assert math.isnan(area_under_curve(np.array([0.1, 0.1]), np.array([0.4, 0.6])))


def frame(*rows: tuple[str, float, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def test_grid_holds_every_seed_at_shared_fractions() -> None:
    scores = frame(
        ("unet", 0.1, 1, 0.1), ("unet", 1.0, 1, 0.2), ("unet", 0.1, 2, 0.3), ("unet", 1.0, 2, 0.4),
        ("urec", 1.0, 1, 0.6), ("urec", 0.1, 1, 0.5), ("urec", 0.1, 2, 0.7),
        ("urec", 1.0, 2, math.nan), ("urec", 0.5, 1, 0.9),
    )  # fmt: skip
    made = score_grid(scores, "mean_f1", ("urec", "unet"))
    np.testing.assert_array_equal(made.label_frac, [0.1, 1.0])
    assert (made.seeds, made.num_incomplete) == ((1, 2), 1)
    np.testing.assert_array_equal(made.scores["urec"], [[0.5, 0.6], [0.7, np.nan]])
    np.testing.assert_array_equal(made.scores["unet"], [[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal(made.fractions, [[0.1, 1.0], [0.1, 1.0]])


def test_grid_holds_what_was_reached_and_where_that_is_not_known_what_was_asked() -> None:
    scores = frame(
        ("unet", 0.1, 1, 0.1), ("unet", 1.0, 1, 0.2), ("unet", 0.1, 2, 0.3), ("unet", 1.0, 2, 0.4)
    ).assign(reached_frac=[0.06, 1.0, 0.1, math.nan], trial_key=["a", "b", "c", "d"])
    made = score_grid(scores, "mean_f1", ["unet"])
    np.testing.assert_array_equal(made.fractions, [[0.06, 1.0], [0.1, 1.0]])
    assert made.measured == pytest.approx([0.08, 1.0])
    assert made.trial_keys["unet"] == {(0, 0): "a", (0, 1): "b", (1, 0): "c", (1, 1): "d"}


def test_a_seed_whose_trials_failed_does_not_move_the_axis_to_what_was_asked() -> None:
    """0.3 asked reached 0.1, and of 8 seeds one without a trial moved the arm to 0.125."""
    rows = [("unet", frac, seed, 0.5) for frac in (0.3, 1.0) for seed in range(8)]
    scores = frame(*rows).assign(reached_frac=[0.1] * 8 + [1.0] * 8)
    made = score_grid(scores[~((scores["seed"] == 7) & (scores["label_frac"] == 0.3))], "mean_f1",
                      ["unet"])  # fmt: skip
    assert made.seeds == tuple(range(8))
    assert made.measured == pytest.approx([0.1, 1.0])


def test_what_a_seed_reached_is_known_from_every_variant() -> None:
    scores = frame(
        ("unet", 0.3, 1, 0.4), ("urec", 0.3, 2, 0.5), ("other", 0.3, 2, 0.5), ("unet", 1.0, 2, 0.4)
    ).assign(reached_frac=[0.1, math.nan, 0.2, 1.0])  # fmt: skip
    made = score_grid(scores, "mean_f1", ["unet"])
    np.testing.assert_array_equal(made.fractions, [[0.1, 1.0], [0.2, 1.0]])


def test_fractions_that_rounding_alone_tells_apart_are_one() -> None:
    assert different_fractions(np.array([0.1, 0.1 * (1 + 1e-12), 0.2, 0.2])) == [0, 2]
    assert different_fractions(np.array([])) == []


@pytest.mark.parametrize(
    "scores",
    [frame(), frame(("unet", 0.1, 1, 0.5)), frame(("unet", 0.1, 1, 0.5), ("urec", 1.0, 1, 0.5))],
)
def test_nothing_shared_is_an_empty_grid(scores: pd.DataFrame) -> None:
    made = score_grid(scores, "mean_f1", ("urec", "unet"))
    assert made.seeds == ()
    assert made.scores["unet"].shape[0] == 0
