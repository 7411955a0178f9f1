import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.statistics.significance import holm, pairs_needed, share_higher, sign_flip_p


def p_of(values: list[float], seed: int = 0) -> float:
    return sign_flip_p(values, np.random.default_rng(seed))


def test_all_of_six_higher_is_two_of_sixty_four() -> None:
    assert p_of([0.1, 0.2, 0.05, 0.3, 0.11, 0.02]) == pytest.approx(2 / 64)
    assert p_of([-0.1, -0.2, -0.05, -0.3, -0.11, -0.02]) == pytest.approx(2 / 64)


def test_no_difference_at_all_is_no_evidence() -> None:
    assert p_of([0.0] * 6) == 1.0


@pytest.mark.parametrize("num", [6, 9, 12])
def test_exact_p_is_scipys(num: int) -> None:
    values = np.random.default_rng(num).normal(0.01, 0.02, num)
    expected = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert p_of(values.tolist()) == pytest.approx(expected.pvalue)


def test_many_pairs_are_drawn_seeded_and_close_to_a_t_test() -> None:
    values = np.random.default_rng(4).normal(0.008, 0.02, 40).tolist()
    drawn = p_of(values)
    assert drawn == p_of(values)
    assert drawn != p_of(values, seed=1)
    assert drawn == pytest.approx(scipy_stats.ttest_1samp(values, 0.0).pvalue, rel=0.2)
    assert p_of([0.1 + i / 1000 for i in range(40)]) > 0.0  # never printed as 0


@pytest.mark.parametrize("num", [0, 1, 3, 5])
def test_fewer_than_six_pairs_are_no_test(num: int) -> None:
    assert math.isnan(p_of([0.1] * num))


@pytest.mark.parametrize(("num_tests", "num_pairs"), [(1, 6), (2, 7), (3, 7), (5, 8), (7, 9)])
def test_pairs_needed_can_reach_the_level_and_one_less_cannot(
    num_tests: int, num_pairs: int
) -> None:
    assert pairs_needed(num_tests) == num_pairs
    assert num_tests * 2.0 / 2**num_pairs <= 0.05 < num_tests * 2.0 / 2 ** (num_pairs - 1)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_holm_counts_tests_that_could_not_be_made() -> None:
    first, unknown = holm([0.02, math.nan])
    assert first == pytest.approx(0.04)
    assert math.isnan(unknown)


def test_chance_of_improvement_leaves_ties_out() -> None:
    higher, num, *_ = share_higher([0.1, 0.2, -0.1, 0.0, 0.3])
    assert (higher, num) == (3, 4)
    assert share_higher([0.0])[:2] == (0, 0)


def test_all_higher_is_not_certainty() -> None:
    _, _, low, high = share_higher([0.1, 0.2, 0.3])
    assert low < 0.5
    assert high == pytest.approx(1.0)


def test_wilsons_interval_by_hand() -> None:
    z_squared = 1.959963984540054**2
    assert share_higher([-1.0])[2:] == pytest.approx((0.0, z_squared / (1 + z_squared)))
    half = 0.5 * math.sqrt(z_squared / (4 + z_squared))
    two_of_four = share_higher([1.0, 1.0, -1.0, -1.0])[2:]
    assert two_of_four == pytest.approx((0.5 - half, 0.5 + half))
