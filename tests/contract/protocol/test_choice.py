"""The choice of a setting by scores over seeds, by hand and against the definition."""

import math

import numpy as np
import pytest

from contract.protocol.choice import (
    BEST,
    RULES,
    SIMPLEST,
    choose,
    distance,
    rule_of,
    scale_positions,
    share_apart,
    within_one_error,
)


def test_one_seed_takes_the_best_and_the_earliest_of_equals():
    scores = np.array([[0.5], [0.7], [0.7], [0.6]])
    assert choose(scores, [0.0, 0.9, 0.1, 0.2]) == 1
    assert within_one_error(scores).tolist() == [False, True, False, False]


def test_the_nearest_within_one_standard_error_is_chosen_by_hand():
    """Differences to the best: 0.02, 0.00, 0.04 (error 0.0115) and 0.01, -0.01, 0.03 (0.0115)."""
    scores = np.array([[0.70, 0.72, 0.68], [0.72, 0.72, 0.72], [0.71, 0.73, 0.69]])
    lost = scores[1] - scores[2]
    assert lost.mean() == pytest.approx(0.01)
    assert lost.std(ddof=1) / math.sqrt(3) == pytest.approx(0.011547, abs=1e-6)
    assert within_one_error(scores).tolist() == [False, True, True]
    assert choose(scores, [0.0, 0.5, 0.4]) == 2, "the simplest of all lies too far below"
    assert choose(scores, [0.0, 0.4, 0.5]) == 1


def test_of_two_seeds_a_setting_stays_where_they_disagree_about_it():
    scores = np.array([[0.70, 0.60], [0.695, 0.602], [0.60, 0.69], [0.69, 0.59]])
    assert within_one_error(scores).tolist() == [True, True, True, False]


def test_the_error_is_that_of_paired_differences():
    """A draw of the annotations that is hard for all settings says nothing about one of them."""
    draws = np.array([0.0, 0.2, -0.2])
    scores = np.array([0.70 + draws, 0.69 + draws])
    assert choose(scores, [1.0, 0.0]) == 0, "0.01 lower at every seed"


def test_of_equally_near_settings_the_better_then_the_earlier():
    scores = np.array([[0.5, 0.6], [0.6, 0.5], [0.52, 0.6], [0.6, 0.52]])
    assert choose(scores, [0.1, 0.1, 0.1, 0.1]) == 2


def test_rounding_decides_neither_which_setting_is_near_nor_which_is_within():
    """Of 2,000 settings that lost 0 and x, whose mean is the error, 1,112 were within one error."""
    generator = np.random.default_rng(0)
    for base, lost in generator.uniform(0.1, 0.4, (200, 2)):
        scores = np.array([[base + lost, 0.5], [base, 0.5]])
        assert within_one_error(scores).tolist() == [True, True]
    nearer = [share_apart(value, 0.1, [0.0, 0.3], log=False) for value in (0.05, 0.15)]
    assert nearer[0] != nearer[1], "by rounding alone"
    scores = np.array([[0.69, 0.72], [0.7, 0.72]])
    assert choose(scores, nearer) == 1
    assert choose(scores[::-1], nearer) == 0
    means = np.array([[0.1, 0.2, 0.3], [0.2, 0.2, 0.2], [0.3, 0.2, 0.1]])
    assert choose(means, [0.5, 0.5, 0.5]) == 0, "the earliest of equals"


def test_the_rule_follows_from_the_seeds():
    assert (rule_of(1), rule_of(2), rule_of(5)) == (BEST, SIMPLEST, SIMPLEST)
    assert set(RULES) == {BEST, SIMPLEST}


@pytest.mark.parametrize(
    ("value", "other", "ends", "log", "expected"),
    [
        (0.01, 0.1, [0.001, 1.0], True, 1 / 3),
        (0.01, 0.1, [0.0, 1.0], False, 0.09),
        (0.5, 2.0, [0.0, 1.0], False, 0.5),  # outside: the nearer end
        (0.05, 0.0, [0.05, 0.1, 0.2], True, 0.0),  # 0 on a scale that has none: the low end
        (0.0, 0.1, [0.0, 0.05, 0.1], True, 1.0),  # one step below 0.05
        (0.0, 0.05, [0.0, 0.05, 0.1], True, 0.5),
        (3.0, 3.0, [3.0], False, 0.0),
    ],
)
def test_distance_on_the_parameters_own_scale(value, other, ends, log, expected):
    assert share_apart(value, other, ends, log=log) == pytest.approx(expected)


def test_distance_over_several_parameters():
    assert distance([0.3, 0.4]) == pytest.approx(0.5)
    assert distance([]) == 0.0


def test_zero_has_a_place_below_the_lowest_positive_number():
    assert scale_positions([0, 0.1, 0.01], log=True) == pytest.approx([-3, -1, -2])
    assert scale_positions([0.1, 0], log=True) == pytest.approx([-1, -2])
    assert scale_positions([0.0, 0.0], log=True) == [0.0, 0.0]
    assert scale_positions([0, 5], log=False) == [0.0, 5.0]
