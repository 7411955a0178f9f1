import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.claims.failures import (
    ArmLosses,
    arm_losses,
    collapsed,
    failed_as_worst,
    failed_trials,
    unseen_loss,
    upper_bound,
)

COLUMNS = ["variant", "label_frac", "seed"]


def scores(**arms: list[float]) -> pd.DataFrame:
    """Scores at 10 % by variant, seeds from 0."""
    rows = [(name, 0.1, seed, v) for name, values in arms.items() for seed, v in enumerate(values)]
    return pd.DataFrame(rows, columns=[*COLUMNS, "mean_f1"])


def failed(*rows: tuple[str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_failed_trial_is_one_without_a_score() -> None:
    trials = pd.DataFrame(
        [
            ("confirm", "failed", "urec", 0.1, 3),
            ("confirm", "failed", "urec", 0.1, 3),  # an earlier run of the same trial
            ("confirm", "failed", "urec", 0.1, 0),  # finished after all
            ("search", "failed", "urec", 0.1, 9),
            ("confirm", "finished", "urec", 0.1, 4),
        ],
        columns=["phase", "status", *COLUMNS],
    )
    found = failed_trials(trials, scores(urec=[0.5]))
    assert found.to_numpy().tolist() == [["urec", 0.1, 3]]
    none = failed_trials(trials.iloc[4:], scores(urec=[0.5]))
    assert none.empty
    assert list(none.columns) == COLUMNS


def test_a_failed_trial_counts_as_the_worst_of_its_own_arm() -> None:
    frame = scores(urec=[0.7, 0.5], unet=[0.1])
    filled = failed_as_worst(frame, failed(("urec", 0.1, 2), ("urec", 1.0, 2)), ["mean_f1"])
    added = filled[filled["seed"] == 2]
    assert added[["variant", "label_frac", "mean_f1"]].to_numpy().tolist() == [["urec", 0.1, 0.5]]
    assert len(filled) == 4  # no score at 100 % to take the worst of
    assert len(failed_as_worst(frame, failed(), ["mean_f1"])) == 3


def test_failures_leave_the_scores_at_what_their_budgets_reached() -> None:
    """Areas with failed trials as the worst were taken over the fractions asked for."""
    frame = scores(urec=[0.7, 0.5]).assign(reached_frac=[0.06, 0.08])
    filled = failed_as_worst(frame, failed(("urec", 0.1, 2)), ["mean_f1"])
    assert filled["reached_frac"].tolist()[:2] == [0.06, 0.08]
    assert math.isnan(filled["reached_frac"].iloc[2])


def test_a_collapse_is_far_below_the_median_in_scores_and_in_deviations() -> None:
    assert collapsed(np.array([0.70, 0.71, 0.72, 0.73, 0.05])).tolist() == [False] * 4 + [True]
    assert not collapsed(np.array([0.700, 0.701, 0.702, 0.703, 0.61])).any()  # 91 deviations, 0.09
    assert not collapsed(np.array([0.3, 0.5, 0.6, 0.7, 0.9])).any()  # it spreads like that
    assert not collapsed(np.array([0.7, 0.7, 0.7, 0.7, 0.99])).any()  # above is no collapse
    assert not collapsed(np.array([0.7, 0.1])).any()  # which of two is the odd one?


def test_one_normal_score_in_a_thousand_at_most_is_taken_for_a_collapse() -> None:
    generator = np.random.default_rng(0)
    for num in (5, 9):
        drawn = generator.normal(0.7, 0.02, (2000, num))
        assert np.mean([collapsed(arm).mean() for arm in drawn]) <= 0.001


def test_losses_of_an_arm_by_hand() -> None:
    frame = scores(urec=[0.70, 0.71, 0.72, 0.73, 0.05])
    losses = arm_losses(frame, failed(("urec", 0.1, 5), ("unet", 0.1, 5)), "mean_f1")
    one = losses["urec", 0.1]
    assert (one.num_trials, one.num_failed, one.num_collapsed, one.num_lost) == (6, 1, 1, 2)
    assert one.drops == pytest.approx((0.66, 0.66))  # 0.71 to 0.05; the failed as the worst
    assert losses["unet", 0.1] == ArmLosses(
        variant="unet", label_frac=0.1, num_trials=1, num_failed=1, num_collapsed=0, drops=()
    )


def arm(variant: str, frac: float, num_collapsed: int, drop: float = 0.3) -> ArmLosses:
    return ArmLosses(
        variant=variant, label_frac=frac, num_trials=9, num_failed=0,
        num_collapsed=num_collapsed, drops=(drop,) * num_collapsed,
    )  # fmt: skip


def by_arm(*arms: ArmLosses) -> dict[tuple[str, float], ArmLosses]:
    return {(one.variant, one.label_frac): one for one in arms}


def test_collapses_elsewhere_count_where_chance_showed_none() -> None:
    losses = by_arm(arm("urec", 0.1, 2), arm("urec", 1.0, 0), arm("unet", 0.1, 0))
    cost = unseen_loss(losses, "urec", "unet", 1.0)
    assert cost == pytest.approx(upper_bound(2, 18) * 0.3)
    assert unseen_loss(losses, "urec", "unet", 0.1) == 0.0  # its own mean has them
    assert unseen_loss(losses, "unet", "urec", 0.1) == 0.0  # the other one never collapsed


def test_the_whole_curve_may_lack_what_lies_between_the_seen_and_the_bound() -> None:
    losses = by_arm(arm("urec", 0.1, 1), arm("urec", 1.0, 0), arm("unet", 0.1, 0))
    cost = unseen_loss(losses, "urec", "unet", None)
    assert cost == pytest.approx((upper_bound(1, 18) - 1 / 18) * 0.3)
    assert unseen_loss(losses, "unet", "urec", None) == 0.0


def test_what_both_lose_alike_costs_less() -> None:
    alone = by_arm(arm("urec", 0.1, 2), arm("urec", 1.0, 0))
    alike = alone | by_arm(arm("unet", 0.1, 2), arm("unet", 1.0, 0))
    assert unseen_loss(alike, "urec", "unet", 1.0) == pytest.approx(
        unseen_loss(alone, "urec", "unet", 1.0) - 2 / 18 * 0.3
    )


def test_upper_bound_is_wilsons() -> None:
    from scipy.stats import binomtest

    expected = binomtest(2, 18).proportion_ci(0.90, method="wilson").high
    assert upper_bound(2, 18) == pytest.approx(expected)
    assert math.isclose(upper_bound(5, 5), 1.0)
