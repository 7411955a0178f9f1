import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from analysis.statistics.significance import fallback, share_higher, step_down_p

NAN = math.nan


def p_of(values: list[float], seed: int = 0) -> float:
    column = np.array(values, dtype=np.float64)[:, None]
    return float(step_down_p(column, 0.05, np.random.default_rng(seed))[0])


def step_down(columns: NDArray[np.float64], level: float = 0.05) -> NDArray[np.float64]:
    return step_down_p(columns, level, np.random.default_rng(0))


def test_all_of_six_higher_is_two_of_sixty_four() -> None:
    assert p_of([0.1, 0.2, 0.05, 0.3, 0.11, 0.02]) == pytest.approx(2 / 64)
    assert p_of([-0.1, -0.2, -0.05, -0.3, -0.11, -0.02]) == pytest.approx(2 / 64)


def test_no_difference_at_all_is_no_evidence() -> None:
    assert p_of([0.0] * 6) == 1.0


def test_differences_that_cancel_are_no_evidence_whatever_their_rounding() -> None:
    # the sum is rounding, 1e-17; every combination of signs is at least as far from zero
    assert p_of([0.1, 0.2, -0.3, 0.1, 0.2, -0.3]) == 1.0
    assert p_of([1e-17] * 8) == 1.0


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


def test_step_down_is_every_sign_of_a_seed_tried_one_after_the_other() -> None:
    """Westfall and Young by two loops, as their book has it."""
    columns = np.random.default_rng(1).normal([0.03, 0.01, 0.0], 0.02, (7, 3))
    scale = np.sqrt((columns**2).sum(axis=0))
    seen = np.abs(columns.sum(axis=0)) / scale
    order = np.argsort(-seen)
    counts = np.zeros(3)
    for number in range(2**7):
        signs = np.array([1 if number >> bit & 1 else -1 for bit in range(7)])
        turned = np.abs(signs @ columns) / scale
        for rank in range(3):
            counts[rank] += turned[order[rank:]].max() >= seen[order[rank]] - 1e-12
    expected = np.maximum.accumulate(counts / 2**7)
    assert step_down(columns)[order] == pytest.approx(expected)


def test_fractions_that_move_together_cost_no_correction() -> None:
    column = np.random.default_rng(2).normal(0.02, 0.02, (8, 1))
    alone = step_down(column)
    assert step_down(np.tile(column, (1, 7))) == pytest.approx(np.tile(alone, 7))


def test_family_is_not_larger_where_the_scores_of_a_fraction_are_undefined() -> None:
    columns = np.random.default_rng(3).normal(0.02, 0.02, (7, 3))
    with_gaps = np.hstack([columns, np.full((7, 1), NAN), columns[:, :1]])
    with_gaps[2:, 4] = NAN  # two seeds: too few for a test
    found = step_down(with_gaps)
    assert found[:3] == pytest.approx(step_down(columns))
    assert np.isnan(found[3:]).all()


def test_a_noisy_fraction_does_not_drown_a_quiet_one() -> None:
    generator = np.random.default_rng(5)
    quiet, noisy = generator.normal(0.01, 0.003, 9), generator.normal(0.0, 0.2, 9)
    assert step_down(np.stack([noisy, quiet], axis=1))[1] <= 0.02


def test_gaps_of_a_column_leave_its_own_seeds() -> None:
    column = np.array([0.1, NAN, 0.2, 0.3, 0.1, NAN, 0.2, 0.1])
    both = np.stack([column, np.linspace(-0.1, 0.1, 8)], axis=1)
    assert step_down(column[:, None]) == pytest.approx([2 / 64])
    assert step_down(both)[0] <= 2 * 2 / 64


def test_the_level_of_a_look_asks_for_more_seeds() -> None:
    columns = np.full((6, 1), 0.1)
    assert step_down(columns, 0.04) == pytest.approx([2 / 64])
    assert np.isnan(step_down(columns, 0.02)).all()


def test_fallback_by_hand() -> None:
    areas, fractions = fallback(np.array([0.016]), np.array([0.008, 0.03, NAN]), True)
    assert areas == pytest.approx([0.02])
    # 0.008 / 0.2 = 0.04 is more than max(0.008, 0.02); 0.03 by way of the area that is shown
    assert fractions[:2] == pytest.approx([0.02, 0.03])
    assert np.isnan(fractions[2])
    _, fractions = fallback(np.array([0.016, 0.4]), np.array([0.008]), True)
    assert fractions == pytest.approx([0.04])  # not every area is shown
    _, fractions = fallback(np.array([NAN]), np.array([0.008, 0.3]), True)
    assert fractions == pytest.approx([0.04, 1.0])
    areas, fractions = fallback(np.array([NAN]), np.array([0.008]), False)
    assert np.isnan(areas).all()
    assert fractions == pytest.approx([0.008])


def test_chance_of_improvement_leaves_ties_out() -> None:
    higher, num, *_ = share_higher([0.1, 0.2, -0.1, 0.0, 0.3])
    assert (higher, num) == (3, 4)
    assert share_higher([0.0])[:2] == (0, 0)
    assert share_higher([0.1 + 0.2 - 0.3] * 8)[:2] == (0, 0), "rounding is no difference"


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
