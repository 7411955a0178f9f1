import math

import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.statistics.answer import Answer, compute_answer

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)
COLUMNS = ["variant", "label_frac", "seed", "mean_f1"]


def study(gains: dict[float, list[float]]) -> pd.DataFrame:
    """U-REC scores these higher than U-Net, per fraction and seed."""
    rows = []
    for frac, per_seed in gains.items():
        for seed, gain in enumerate(per_seed):
            unet = 0.5 + seed / 1000
            rows += [("unet", frac, seed, unet), ("urec", frac, seed, unet + gain)]
    return pd.DataFrame(rows, columns=COLUMNS)


def answer(
    frame: pd.DataFrame, *failed: tuple[str, float, int], level: float = 0.05, num_planned: int = 0
) -> Answer:
    return compute_answer(
        frame,
        "mean_f1",
        STYLES,
        measures=("mean_f1",),
        failed=pd.DataFrame(failed, columns=COLUMNS[:3]),
        level=level,
        num_planned=num_planned,
    )


def test_areas_come_first_and_open_the_way_for_fractions() -> None:
    frame = study({0.1: [0.02] * 7, 1.0: [0.02] * 7})
    found = answer(frame)
    (area,) = found.area_differences
    assert area.p_adjusted == pytest.approx(2 / 2**7 / 0.8)
    assert [one.p_adjusted for one in found.main_differences] == pytest.approx([2 / 2**7 / 0.8] * 2)
    assert all(one.direction == 1 for one in (area, *found.main_differences))


def test_a_fraction_alone_has_a_fifth_of_the_level() -> None:
    opposed = study({0.1: [0.02, 0.03] * 4, 1.0: [-0.02, -0.03] * 4})
    found = answer(opposed)
    assert not found.area_differences[0].is_shown
    assert [one.direction for one in found.main_differences] == [1, -1]
    assert found.main_differences[0].p_adjusted == pytest.approx(2 / 2**8 / 0.2)
    seven = answer(opposed[opposed["seed"] < 7])
    assert not any(one.is_shown for one in seven.main_differences)


def test_one_planned_fraction_has_no_area_and_the_whole_level() -> None:
    frame = study({1.0: [0.03, 0.02, 0.04, 0.03, 0.02, 0.05]})
    (alone,) = answer(frame).main_differences
    assert alone.p_adjusted == pytest.approx(2 / 64)
    assert alone.is_shown
    (one_of_three,) = answer(frame, num_planned=3).main_differences
    assert one_of_three.p_adjusted == pytest.approx(2 / 64 / 0.2)
    assert not one_of_three.is_shown


def test_p_is_0_0469_and_not_0_0625_where_the_scores_of_a_fraction_are_undefined() -> None:
    """Holm counted the fraction that no trial has a score at, which made its family too large."""
    frame = study({0.1: [0.02] * 7, 0.5: [math.nan] * 7, 1.0: [0.02] * 7})
    without = frame[frame["label_frac"] != 0.5]
    found = [one.p_adjusted for one in answer(frame, num_planned=3).main_differences]
    expected = [one.p_adjusted for one in answer(without).main_differences]
    assert [found[0], found[2]] == pytest.approx(expected)
    assert math.isnan(found[1])


def test_other_scores_than_the_main_one_have_no_p() -> None:
    frame = study({0.1: [0.02] * 8, 1.0: [0.02] * 8}).assign(oa=0.9)
    found = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1", "oa"))
    assert all(not one.is_testable for one in found.differences["oa"])
    assert all(one.is_testable for one in found.differences["mean_f1"])


def test_all_pairs_of_variants_are_one_family() -> None:
    rows = [
        (name, 0.1, seed, 0.5 + gain + seed / 1000 * (name != "unet"))
        for name, gain in (("unet", 0.0), ("urec-all", 0.1), ("urec-annotated", 0.05))
        for seed in range(7)
    ]
    family = answer(pd.DataFrame(rows, columns=COLUMNS)).main_differences
    assert len(family) == 3
    assert [one.p_adjusted for one in family] == pytest.approx([2 / 2**7] * 3)


def test_an_arm_without_a_paired_seed_makes_no_other_test_stricter() -> None:
    frame = study({0.1: [0.11 + seed / 100 for seed in range(8)], 1.0: [0.1]})
    lonely = (frame["label_frac"] == 1.0) & (frame["variant"] == "urec")
    frame.loc[lonely, "seed"] = 1
    paired, unpaired = answer(frame).main_differences
    assert unpaired.difference.num == 0
    assert math.isnan(unpaired.p_adjusted)
    assert paired.p_adjusted == pytest.approx(2 / 2**8 / 0.2)
    assert paired.is_shown


def test_a_model_that_diverges_does_not_score_higher_by_the_trials_that_came_through() -> None:
    """Failed trials were dropped from the differences, and the rest scored higher."""
    unet = [0.50, 0.56, 0.53, 0.54, 0.55, 0.52, 0.51, 0.56, 0.56]
    rows = [("unet", 0.1, seed, value) for seed, value in enumerate(unet)]
    rows += [("urec", 0.1, seed, unet[seed] + 0.01 + seed / 1000) for seed in range(7)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    (dropped,) = answer(frame).main_differences
    assert dropped.direction == 1
    (one,) = answer(frame, ("urec", 0.1, 7), ("urec", 0.1, 8)).main_differences
    assert (one.direction, one.is_disputed) == (0, True)
    assert one.p_complete == dropped.p_complete
    # two failed at 0.56 count as the worst of their arm, 0.51
    assert one.worst_mean == pytest.approx((7 * 0.01 + 0.021 - 2 * 0.05) / 9)


def test_equal_means_are_not_told_apart_where_chance_showed_no_collapse() -> None:
    """At 100 % all is higher; the collapses at 10 % say what that may be worth."""
    gains = [0.02 + seed / 1000 for seed in range(9)]
    frame = study({0.1: [*gains[:7], -0.4, -0.4], 1.0: gains})
    _, full = answer(frame).main_differences
    assert full.p_complete <= 0.05
    assert (full.direction, full.is_disputed) == (0, True)
    assert full.is_outweighed
    steady = study({0.1: gains, 1.0: gains})
    assert all(one.direction == 1 for one in answer(steady).main_differences)


def test_a_lower_level_shows_less() -> None:
    frame = study({0.1: [0.02] * 7, 1.0: [0.02] * 7})
    assert answer(frame).area_differences[0].is_shown
    assert not answer(frame, level=0.018).area_differences[0].is_shown


def test_random_signs_give_the_same_twice() -> None:
    gains = [0.02 * (-1) ** seed + 0.01 for seed in range(16)]
    first, second = (answer(study({0.1: gains})).main_differences[0] for _ in range(2))
    assert first.p_adjusted == second.p_adjusted
