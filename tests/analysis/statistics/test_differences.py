import math

import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import pairs_in, styles_of
from analysis.statistics.answer import compute_answer
from analysis.statistics.differences import (
    AreaDifference,
    PairedDifference,
    area_difference,
    paired_differences,
)
from analysis.statistics.intervals import t_interval
from analysis.statistics.label_efficiency.efficiency import score_grid
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
    return compute_answer(
        frame, measure, STYLES, measures=(measure,), num_planned=num_planned
    ).main_differences


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


def test_few_pairs_have_no_p_and_show_nothing() -> None:
    (one,) = all_differences(gains({0.1: [0.2, 0.2, 0.21]}), "mean_f1")
    assert math.isnan(one.p_adjusted)
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


def test_area_difference_is_that_of_each_seed() -> None:
    frame = gains({0.25: [0.1, 0.2, 0.0], 0.5: [0.1, 0.2, 0.0], 1.0: [0.1, 0.6, 0.0]})
    one = area_difference(score_grid(frame, "mean_f1", ("urec", "unet")), "urec", "unet")
    assert one.by_seed == pytest.approx({0: 0.1, 1: 0.3, 2: 0.0})  # (0.2 + 2 * 0.2 + 0.6) / 4
    assert (one.smallest, one.largest, one.num_higher) == (0.25, 1.0, 2)
    assert one.area.mean == pytest.approx(0.4 / 3)


def one_difference(**changed: object) -> AreaDifference:
    """Shown by every criterion unless told otherwise."""
    values = [0.01, 0.02, 0.015, 0.01, 0.02, 0.015, 0.01]
    found = {
        "variant": "urec", "reference": "unet", "difference": t_interval(values),
        "by_seed": dict(enumerate(values)), "num_higher": 7, "num_untied": 7,
        "higher_low": 0.6, "higher_high": 1.0, "p_complete": 0.02, "p_worst": 0.03,
        "worst_mean": 0.01, "smallest": 0.1, "largest": 1.0,
    }  # fmt: skip
    return AreaDifference(**(found | changed))


@pytest.mark.parametrize(
    "against",
    [
        {"p_worst": 0.06},
        {"worst_mean": -0.001},
        {"worst_mean": 0.0},
        {"num_higher": 3},
        {"num_higher": 3, "num_untied": 6},
        {"unseen_loss": 0.0105},
        {"difference": t_interval([-0.01] * 7)},
    ],
    ids=str,
)
def test_mean_signs_and_failures_must_agree(against: dict[str, object]) -> None:
    shown = one_difference()
    assert (shown.direction, shown.p_adjusted, shown.is_disputed) == (1, 0.03, False)
    one = one_difference(**against)
    assert (one.direction, one.is_shown, one.is_disputed) == (0, False, True)


def test_the_level_is_that_of_the_look() -> None:
    one = one_difference(level=0.025)
    assert (one.is_shown, one.is_disputed) == (False, True)  # 0.02 of the complete pairs
    assert one.pairs_needed == 7  # 2 / 2^7 <= 0.8 * 0.025
    assert one_difference().pairs_needed == 6
