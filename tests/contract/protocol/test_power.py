import math

import numpy as np
import pytest

from contract.protocol.power import all_signs, difference_found, fewest_seeds, study_seeds


@pytest.mark.parametrize(("level", "num"), [(0.05, 6), (0.04, 6), (0.01, 8), (0.025, 7), (1.0, 1)])
def test_fewest_seeds_can_reach_the_level_and_one_less_cannot(level: float, num: int) -> None:
    assert fewest_seeds(level) == num
    assert 2.0 / 2**num <= level < 2.0 / 2 ** (num - 1)


def test_a_level_that_a_test_reaches_exactly_is_reached() -> None:
    assert fewest_seeds(2 / 64) == 6


def test_a_level_outside_of_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\], got 0.0"):
        fewest_seeds(0.0)
    with pytest.raises(ValueError, match="num_tests must be a whole number >= 1, got 0"):
        difference_found(8, 0)


def test_a_curve_is_tested_at_its_share_of_the_level() -> None:
    assert (study_seeds(1), study_seeds(3)) == (6, 6)
    assert (study_seeds(1, 0.016), study_seeds(3, 0.016)) == (7, 8)


def test_all_signs_are_all_but_those_that_turn_every_seed() -> None:
    signs = all_signs(4)
    both = {tuple(row) for row in (*signs.tolist(), *(-signs).tolist())}
    assert (signs.shape, len(both)) == ((8, 4), 16)
    assert (signs[:, -1] == 1.0).all()


def test_too_few_seeds_find_nothing() -> None:
    assert math.isinf(difference_found(5))
    assert math.isinf(difference_found(7, 1, 0.01))


def test_the_difference_found_has_the_power_it_is_named_for() -> None:
    """Against the noncentral t test, which sign flips come near to with ten seeds or more."""
    from scipy.stats import nct, t

    for num in (10, 20):
        found = difference_found(num)
        beyond = t.ppf(0.975, num - 1)
        power = 1.0 - nct.cdf(beyond, num - 1, found * math.sqrt(num))
        assert power == pytest.approx(0.8, abs=0.05)


def test_more_seeds_find_less_and_more_tests_find_more() -> None:
    by_seeds = [difference_found(num, 3) for num in (6, 8, 10, 20)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert difference_found(9, 1) < difference_found(9, 7) < difference_found(9, 7, 0.01)


def test_it_is_the_same_twice() -> None:
    found = difference_found(9, 2)
    difference_found.cache_clear()
    assert difference_found(9, 2) == found
    assert not np.isnan(found)
