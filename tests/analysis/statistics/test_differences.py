import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import pairs_in, styles_of
from analysis.statistics.differences import PairedDifference, paired_differences
from analysis.statistics.differences import all_differences as corrected_differences
from analysis.statistics.scores import score_trials
from analysis.statistics.tile_scores import resample_tiles

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)


def all_differences(
    frame: pd.DataFrame, measure: str, num_planned: int = 0
) -> tuple[PairedDifference, ...]:
    pairs = pairs_in(STYLES, frame["variant"])
    return corrected_differences(frame, measure, pairs, num_planned=num_planned)


def variant_pairs(frame: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    return pairs_in(STYLES, frame["variant"])


def scores(*rows: tuple[str, float, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def gains(per_frac: dict[float, list[float]]) -> pd.DataFrame:
    """U-REC scores these higher than U-Net, per fraction and seed."""
    rows = []
    for frac, per_seed in per_frac.items():
        for seed, gain in enumerate(per_seed):
            rows += [("unet", frac, seed, 0.5), ("urec", frac, seed, 0.5 + gain)]
    return scores(*rows)


def test_differences_are_paired_by_seed_not_by_order() -> None:
    frame = scores(
        ("urec", 0.1, 2, 0.52), ("urec", 0.1, 0, 0.72), ("urec", 0.1, 1, 0.62),
        ("unet", 0.1, 0, 0.70), ("unet", 0.1, 1, 0.60), ("unet", 0.1, 2, 0.50),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1", "urec", "unet")
    assert paired.difference.num == 3
    assert paired.difference.mean == pytest.approx(0.02)
    assert paired.difference.low == pytest.approx(0.02)


def test_only_shared_seeds_and_fractions_count() -> None:
    frame = scores(
        ("urec", 0.1, 0, 0.8), ("urec", 0.1, 1, 0.9), ("unet", 0.1, 1, 0.7),
        ("urec", 1.0, 0, 0.9), ("unet", 0.5, 0, 0.9),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1", "urec", "unet")
    assert (paired.label_frac, paired.difference.num) == (0.1, 1)
    assert paired.difference.mean == pytest.approx(0.2)


def test_no_scores_no_differences() -> None:
    assert paired_differences(scores(), "mean_f1", "urec", "unet") == ()


def test_any_two_variants_are_paired_by_seed() -> None:
    frame = scores(
        ("urec-all", 0.1, 1, 0.70), ("urec-all", 0.1, 2, 0.80), ("unet", 0.1, 1, 0.1),
        ("urec-annotated", 0.1, 2, 0.75), ("urec-annotated", 0.1, 1, 0.65),
    )  # fmt: skip
    (paired,) = paired_differences(frame, "mean_f1", "urec-all", "urec-annotated")
    assert (paired.variant, paired.reference) == ("urec-all", "urec-annotated")
    assert (paired.difference.num, paired.difference.mean) == (2, pytest.approx(0.05))
    assert paired_differences(frame, "mean_f1", "urec", "unet") == ()


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


def test_p_values_are_scipys_and_corrected_over_the_fractions() -> None:
    generator = np.random.default_rng(0)
    drawn = {frac: generator.normal(shift, 0.02, 8).tolist() for frac, shift in
             ((0.01, 0.03), (0.1, 0.01), (1.0, 0.0))}  # fmt: skip
    family = all_differences(gains(drawn), "mean_f1")
    for one in family:
        values = np.array(drawn[one.label_frac])
        expected = scipy_stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert one.p == pytest.approx(expected.pvalue)
        assert one.pairs_needed == 7
    ordered = sorted(family, key=lambda one: one.p)
    adjusted = np.maximum.accumulate([(3 - i) * one.p for i, one in enumerate(ordered)])
    assert [one.p_holm for one in ordered] == pytest.approx(np.minimum(adjusted, 1.0))


def test_few_pairs_have_no_p_and_show_nothing() -> None:
    (one,) = all_differences(gains({0.1: [0.2, 0.2, 0.21]}), "mean_f1")
    assert math.isnan(one.p)
    assert math.isnan(one.p_holm)
    assert (one.is_shown, one.is_testable, one.pairs_needed) == (False, False, 6)
    assert (one.num_higher, one.num_untied) == (3, 3)
    assert one.higher_low < 0.5 < one.higher_high  # three of three is no certainty


def test_a_score_that_is_missing_is_no_pair() -> None:
    frame = gains({0.1: [0.1, 0.1, 0.1]})
    frame.loc[0, "mean_f1"] = math.nan
    (one,) = paired_differences(frame, "mean_f1", "urec", "unet")
    assert one.difference.num == 2


def test_intervals_over_tiles_are_wider_where_tiles_differ(store: str) -> None:
    record = load_study("full", store)
    frame = score_trials(record)
    assert resample_tiles(record, ("mean_f1",)) is None  # two tiles
    for one in all_differences(frame, "mean_f1"):
        assert not one.over_tiles.is_known
        assert one.over_tiles.mean == pytest.approx(one.difference.mean)


def test_planned_fractions_count_in_the_correction_before_they_are_measured() -> None:
    frame = gains({1.0: [0.03, 0.02, 0.04, 0.03, 0.02, 0.05]})
    (alone,) = all_differences(frame, "mean_f1")
    assert alone.is_shown
    (interim,) = all_differences(frame, "mean_f1", num_planned=3)
    assert not interim.is_shown
    assert interim.pairs_needed == 7


def test_a_test_of_too_few_pairs_is_not_made_beside_others() -> None:
    ten, six = [0.03 + i / 1000 for i in range(10)], [0.03 + i / 1000 for i in range(6)]
    first, second, third = all_differences(gains({0.01: ten, 0.1: six, 1.0: ten}), "mean_f1")
    assert (first.is_shown, third.is_shown) == (True, True)
    assert not second.is_testable
    assert not second.is_shown


def test_all_pairs_of_variants_are_one_family() -> None:
    rows = [
        (name, 0.1, seed, 0.5 + gain + seed / 1000 * (name != "unet"))
        for name, gain in (("unet", 0.0), ("urec-all", 0.1), ("urec-annotated", 0.05))
        for seed in range(7)
    ]
    family = all_differences(scores(*rows), "mean_f1")
    assert len(family) == 3
    assert {one.pairs_needed for one in family} == {7}
    assert [one.p_holm for one in family] == pytest.approx([6 / 128, 6 / 128, 6 / 128])


def test_planned_pairs_count_in_the_correction_before_they_are_confirmed() -> None:
    assert len(pairs_in(STYLES, {"unet", "urec-all", "urec-annotated"})) == 3
    frame = gains({1.0: [0.03, 0.02, 0.04, 0.03, 0.02, 0.05]})
    (interim,) = all_differences(frame, "mean_f1", num_planned=3)  # one fraction, three pairs
    assert (interim.is_testable, interim.pairs_needed) == (False, 7)


def test_an_arm_without_a_paired_seed_makes_no_other_test_stricter() -> None:
    frame = gains({0.1: [0.11 + seed / 100 for seed in range(7)], 1.0: [0.1]})
    lonely = (frame["label_frac"] == 1.0) & (frame["variant"] == "urec")
    frame.loc[lonely, "seed"] = 1
    paired, unpaired = all_differences(frame, "mean_f1", num_planned=3)
    assert unpaired.difference.num == 0
    assert math.isnan(unpaired.p_holm)
    assert paired.pairs_needed == 7
    assert paired.p_holm == pytest.approx(3 * 2 / 2**7)
    assert paired.is_shown
