import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from analysis.stats import paired_differences, standard_deviation, t_interval, variant_pairs


def scores(*rows: tuple[str, float, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


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
    assert not interval.excludes_zero
    assert interval.num == sum(not math.isnan(v) for v in values)


def test_spread_of_one_seed_is_nan_not_zero() -> None:
    assert math.isnan(standard_deviation([0.7]))
    assert standard_deviation([0.6, 0.8]) == pytest.approx(math.sqrt(0.02))


def test_differences_are_paired_by_seed_not_by_order() -> None:
    frame = scores(
        ("urec", 0.1, 2, 0.52), ("urec", 0.1, 0, 0.72), ("urec", 0.1, 1, 0.62),
        ("unet", 0.1, 0, 0.70), ("unet", 0.1, 1, 0.60), ("unet", 0.1, 2, 0.50),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1")
    assert paired.difference.num == 3
    assert paired.difference.mean == pytest.approx(0.02)
    assert paired.difference.low == pytest.approx(0.02)
    assert paired.difference.excludes_zero


def test_only_shared_seeds_and_fractions_count() -> None:
    frame = scores(
        ("urec", 0.1, 0, 0.8), ("urec", 0.1, 1, 0.9), ("unet", 0.1, 1, 0.7),
        ("urec", 1.0, 0, 0.9), ("unet", 0.5, 0, 0.9),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1")
    assert (paired.label_frac, paired.difference.num) == (0.1, 1)
    assert paired.difference.mean == pytest.approx(0.2)


def test_no_scores_no_differences() -> None:
    assert paired_differences(scores(), "mean_f1") == ()


def test_any_two_variants_are_paired_by_seed() -> None:
    frame = scores(
        ("urec-all", 0.1, 1, 0.70), ("urec-all", 0.1, 2, 0.80), ("unet", 0.1, 1, 0.1),
        ("urec-annotated", 0.1, 2, 0.75), ("urec-annotated", 0.1, 1, 0.65),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1", "urec-all", "urec-annotated")
    assert (paired.variant, paired.reference) == ("urec-all", "urec-annotated")
    assert (paired.difference.num, paired.difference.mean) == (2, pytest.approx(0.05))
    assert paired_differences(frame, "mean_f1") == ()


def test_every_u_rec_is_compared_with_u_net_and_then_with_each_other() -> None:
    rows = {name: (name, 0.1, 1, 0.5) for name in ("urec-annotated", "unet", "urec-all", "urec")}
    assert variant_pairs(scores()) == ()
    assert variant_pairs(scores(rows["unet"])) == ()
    assert variant_pairs(scores(rows["urec"], rows["unet"])) == (("urec", "unet"),)
    three = scores(rows["urec-annotated"], rows["unet"], rows["urec-all"])
    assert variant_pairs(three) == (
        ("urec-all", "unet"), ("urec-annotated", "unet"), ("urec-all", "urec-annotated"),
    )  # fmt: skip
    assert variant_pairs(three[three["variant"] != "unet"]) == (("urec-all", "urec-annotated"),)
