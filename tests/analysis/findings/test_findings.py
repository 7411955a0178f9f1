from dataclasses import replace

import pandas as pd
import pytest

from analysis.findings.findings import findings
from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import styles_of
from analysis.statistics.answer import answer_of, compute_answer
from analysis.statistics.scores import score_trials

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

HIGHER = [0.05, 0.06, 0.05, 0.055, 0.052, 0.051, 0.053]
MIXED = [0.02, -0.02, 0.03, -0.01, 0.01, 0.0, -0.03]
LOWER = [-0.03, -0.03, -0.031, -0.03, -0.029, -0.03, -0.03]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def study(gains: dict[float, list[float]], rising: float = 0.0) -> pd.DataFrame:
    """Scores where U-REC gains these on U-Net, per fraction and seed; both rise by fraction."""
    rows = []
    for index, (frac, per_seed) in enumerate(gains.items()):
        for seed, gain in enumerate(per_seed):
            unet = 0.5 + seed / 100 + rising * index
            rows.append(("unet", frac, seed, unet))
            rows.append(("urec", frac, seed, unet + gain))
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def say(frame: pd.DataFrame) -> list[str]:
    answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))
    return [plain(text) for text in findings(answer)]


def test_no_difference_is_said_when_no_test_shows_one() -> None:
    assert say(study({0.1: MIXED, 1.0: MIXED[::-1]}, rising=0.2)) == [
        "Whether U-REC needs fewer labels than U-Net for the score that U-Net has with 100 % "
        "of the labels cannot be told from these data: no test shows U-REC to score higher "
        "there. Not excluded is anything above 10 %, also more than 100 %.",
        "No difference in test mean F1 can be shown over 10 % to 100 % of the labels, U-REC minus "
        "U-Net: 0.000 on average (95 % interval -0.013 to +0.013). No difference can be shown at "
        "any share of the labels in test mean F1, U-REC minus U-Net (mean differences from 0.000 "
        "to 0.000).",
    ]


def test_saving_is_told_with_its_interval_where_the_test_shows_a_difference() -> None:
    # at 50 % U-REC is where U-Net is at 100 %
    frame = study({0.25: HIGHER, 0.5: HIGHER, 1.0: HIGHER}, rising=0.0530)
    first, second = say(frame)
    assert first == (
        "U-REC needs fewer labels than U-Net for the same test mean F1: more than 25 % but "
        "less than 100 % where U-Net had 100 %; less than 50 % where U-Net had 50 % (of the "
        "labels of all training tiles; 95 % intervals over seeds, on these test tiles, bounded by "
        "measured fractions). What validation costs is not on record, and comes on top."
    )
    assert second.startswith(
        "U-REC scores higher than U-Net in test mean F1 over 25 % to 100 % of the labels: +0.053 "
        "on average (95 % interval +0.050 to +0.056, p = 0.020), higher in 7 of 7 draws. U-REC "
        "scores higher than U-Net in test mean F1 at 25 % (+0.053, 95 % interval +0.050 to +0.056, "
        "in 7 of 7 draws, p = 0.020), 50 %"
    )


def test_difference_is_named_where_it_shows_and_only_there() -> None:
    _, text = say(study({0.02: [*HIGHER, 0.052], 0.1: [*MIXED, 0.0], 1.0: [*LOWER, -0.031]}))
    assert text == (
        "No difference in test mean F1 can be shown over 2 % to 100 % of the labels, U-REC minus "
        "U-Net: +0.002 on average (95 % interval -0.006 to +0.010). U-REC scores higher than U-Net "
        "in test mean F1 at 2 % (+0.053, 95 % interval +0.050 to +0.056, in 8 of 8 draws, p = "
        "0.039); U-REC scores lower than U-Net in test mean F1 at 100 % (-0.030, 95 % interval "
        "-0.031 to -0.030, in 8 of 8 draws, p = 0.039). At 10 % no difference can be shown."
    )


def test_findings_name_the_share_that_budgets_reached_not_the_one_asked_for() -> None:
    frame = study({0.02: [*HIGHER, 0.052], 0.1: [*MIXED, 0.0], 1.0: [*LOWER, -0.031]})
    frame["reached_frac"] = frame["label_frac"].replace({0.02: 0.0151, 0.1: 0.0964})
    _, text = say(frame)
    assert "over 1.51 % to 100 % of the labels" in text
    assert "in test mean F1 at 1.51 % (" in text
    assert text.endswith("At 9.64 % no difference can be shown.")


def test_seven_seeds_show_no_single_fraction_without_the_whole_curve() -> None:
    _, text = say(study({0.02: HIGHER, 0.1: MIXED, 1.0: LOWER}))
    assert "scores higher" not in text
    assert "scores lower" not in text


def test_a_gain_is_told_with_the_draws_it_shows_in() -> None:
    (text,) = say(study({1.0: [0.05, 0.06, 0.055, 0.05, 0.06, 0.055, 0.05, 0.06, -0.01]}))
    assert "in 8 of 9 draws" in text


def test_mean_and_majority_that_disagree_are_said_and_nothing_is_chosen() -> None:
    """The test shows asymmetry; the sentence would say mean."""
    gains = [0.001] * 5 + [-0.2, -0.25, -0.22, -0.21]
    one = compute_answer(study({1.0: gains}), "mean_f1", STYLES, measures=("mean_f1",))
    disputed = replace(one.main_differences[0], p_complete=0.03, p_worst=0.03)
    answer = replace(one, differences={"mean_f1": (disputed,)})
    (text,) = (plain(text) for text in findings(answer))
    assert text.startswith(
        "The data do not agree on U-REC minus U-Net in test mean F1 (-0.097 on average, higher in "
        "5 of 9 draws) at 100 %: no difference is claimed there."
    )


def failing(*rows: tuple[str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed"])


def test_failed_trials_are_named_and_count_as_the_worst_of_their_arm() -> None:
    unet = [0.50, 0.56, 0.53, 0.54, 0.55, 0.52, 0.51, 0.56, 0.56]
    rows = [("unet", 0.1, seed, value) for seed, value in enumerate(unet)]
    rows += [("urec", 0.1, seed, unet[seed] + 0.01 + seed / 1000) for seed in range(7)]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    answer = compute_answer(
        frame,
        "mean_f1",
        STYLES,
        measures=("mean_f1",),
        failed=failing(("urec", 0.1, 7), ("urec", 0.1, 8)),
    )
    (text,) = (plain(text) for text in findings(answer))
    assert text == (
        "The data do not agree on U-REC minus U-Net in test mean F1 (+0.013 on average, higher in "
        "7 of 7 draws, -0.001 with failed trials as the worst of their arms, which no test shows) "
        "at 10 %: no difference is claimed there. Of 9 confirmation trials of U-REC, 2 failed (2 "
        "at 10 %). A difference is shown only where it also is with failed trials as the worst of "
        "their arms."
    )


def test_a_failure_that_changes_nothing_is_named_beside_the_finding() -> None:
    frame = study({0.1: [0.02] * 9})
    frame = frame[(frame["variant"] != "urec") | (frame["seed"] != 0)]
    answer = compute_answer(
        frame, "mean_f1", STYLES, measures=("mean_f1",), failed=failing(("urec", 0.1, 0))
    )
    (text,) = (plain(text) for text in findings(answer))
    assert text.startswith("U-REC scores higher than U-Net in test mean F1 at 10 %")
    assert "in 8 of 8 draws" in text
    assert "Of 9 confirmation trials of U-REC, 1 failed (1 at 10 %)." in text


def test_a_collapse_is_named_and_holds_back_what_chance_left_without_one() -> None:
    gains = [0.05, 0.06, 0.05, 0.055, 0.052, 0.051, 0.053, 0.052]
    *_, text = say(study({0.02: [*gains[:7], -0.4], 1.0: gains}))
    assert "scores higher" not in text
    assert (
        "The data do not agree on U-REC minus U-Net in test mean F1 (+0.053 on average, higher in "
        "8 of 8 draws, but failures and collapses as U-REC had could cost it up to "
    ) in text
    assert "Of 16 confirmation trials of U-REC, 1 collapsed (1 at 2 %)." in text
    assert text.endswith("6 median absolute deviations below the median of the arm.")


def test_a_score_out_of_reach_is_said_to_be_so() -> None:
    first, _ = say(study({0.02: LOWER, 0.1: LOWER, 1.0: LOWER}, rising=0.1))
    assert first == (
        "U-REC does not reach the score that U-Net has with 100 % of the labels: with as many "
        "it scores lower."
    )


def test_three_pairs_are_too_few_to_show_anything() -> None:
    first, second = say(study({0.1: [0.2, 0.2, 0.2], 1.0: [0.2, 0.2, 0.2]}, rising=0.1))
    assert first == (
        "Whether U-REC needs fewer labels than U-Net for the score that U-Net has with 100 % "
        "of the labels cannot be told from these data: 3 pairs of seeds are too few for the "
        "test that a claim needs. Not excluded is anything up to 10 %."
    )
    assert second == (
        "No difference can be shown by 3 paired seeds, whatever the scores: tests of this study "
        "need 6. Seen in test mean F1, U-REC minus U-Net: +0.200 at 10 % and +0.200 at 100 %."
    )


def test_two_seeds_have_no_interval_of_what_is_saved() -> None:
    first, _ = say(study({0.1: [0.2, 0.2], 1.0: [0.2, 0.2]}, rising=0.1))
    assert first == (
        "Whether U-REC needs fewer labels than U-Net for the score that U-Net has with 100 % "
        "of the labels cannot be told: 2 pairs of seeds are too few."
    )


def test_fraction_without_enough_pairs_is_not_passed_over() -> None:
    *_, text = say(study({0.1: [*HIGHER, 0.052], 1.0: [0.01]}))
    assert text.startswith(
        "No difference over the whole curve can be tested: it needs 6 seeds with scores of both "
        "models at every fraction, there are 1. U-REC scores higher than U-Net in test mean F1 at "
        "10 %"
    )
    assert text.endswith("At 100 % there are fewer than 6 paired seeds, too few for a test.")


def test_one_fraction_has_no_curve_to_save_on() -> None:
    (text,) = say(study({1.0: HIGHER}))
    assert text.startswith("U-REC scores higher than U-Net in test mean F1 at 100 %")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "No trial has been confirmed"),
        ("searching", "No trial has been confirmed"),
        ("one-model", "Only U-Net was confirmed"),
        ("broken", "Only U-Net was confirmed"),
        ("one-seed", "No difference can be shown by 1 paired seed, whatever the scores"),
    ],
)
def test_nothing_is_claimed_where_nothing_can_be(store: str, name: str, said: str) -> None:
    record = load_study(name, store)
    (text,) = findings(answer_of(record, score_trials(record)))
    assert said in text


def test_models_without_a_shared_seed_are_not_compared() -> None:
    rows = [("unet", 0.1, 0, 0.5), ("urec", 0.1, 1, 0.9)]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    (text,) = say(frame)
    assert "U-Net and U-REC share no seed" in text


def variants(**gains: list[float]) -> pd.DataFrame:
    """Scores at 10 % where each variant gains these per seed; '_' stands for '-'."""
    rows = [
        (name.replace("_", "-"), 0.1, seed, 0.5 + seed / 10 + gain)
        for name, per_seed in gains.items()
        for seed, gain in enumerate(per_seed)
    ]
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def test_each_u_rec_is_judged_against_u_net_and_both_against_each_other() -> None:
    said = say(variants(unet=[0.0] * 7, urec_all=HIGHER, urec_annotated=MIXED))
    assert [text.partition(" in test")[0] for text in said] == [
        "U-REC (all pixels) scores higher than U-Net",
        "No difference can be shown at the one fraction measured",
        "U-REC (all pixels) scores higher than U-REC (annotated pixels)",
    ]


def test_without_u_net_nothing_is_claimed_of_reconstruction() -> None:
    first, last = say(variants(urec_all=HIGHER, urec_annotated=MIXED))
    assert first.startswith("U-REC (all pixels) scores higher than U-REC (annotated pixels)")
    assert last.startswith("U-Net was not confirmed on the test tiles")


def test_variants_without_a_shared_seed_are_said_not_to_be_comparable() -> None:
    frame = variants(unet=[0.0, 0.0, 0.0], urec_all=[0.1], urec_annotated=[0.0, 0.1, 0.1])
    frame = frame[(frame["variant"] != "urec-annotated") | (frame["seed"] > 0)]
    assert say(frame)[2] == (
        "U-REC (annotated pixels) and U-REC (all pixels) share no seed at any share of "
        "the labels: their differences cannot be paired, and nothing can be said about which is "
        "better."
    )


def test_scores_that_are_not_defined_are_not_called_unpaired() -> None:
    frame = study({0.1: [0.0] * 7}).assign(mean_f1=float("nan"))
    (text,) = say(frame)
    assert text == (
        "Test mean F1 of U-REC or U-Net is not defined in any pair of seeds: nothing can be said "
        "about their difference."
    )


def test_seeds_with_gaps_are_told_and_do_not_silence_the_rest() -> None:
    frame = study(dict.fromkeys((0.1, 0.2, 0.5, 1.0), HIGHER), rising=0.05)
    gaps = (frame["seed"] == 0) & (frame["label_frac"] == 0.1)
    few = (frame["seed"] > 1) & (frame["label_frac"] == 0.2)
    answer = compute_answer(frame[~gaps & ~few], "mean_f1", STYLES, measures=("mean_f1",))
    assert {one.label_frac for one in answer.needed} == {0.1, 0.2, 0.5, 1.0}
    assert [one.num for one in answer.needed] == [6, 2, 7, 7]
    (told,) = answer.left_out
    assert told == (
        "U-REC and U-Net: 6 seeds without a score at some fraction left out of the areas"
    )


def test_seeds_that_any_test_needs_are_those_of_the_whole_curve_where_it_comes_first() -> None:
    """At a look of level 0.0085 areas need 9 seeds, single fractions alone 11, and 8 was said."""
    frame = study({0.1: HIGHER, 1.0: HIGHER})
    answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",), level=0.0085)
    text = plain(findings(answer)[-1])
    assert "tests of this study need 9. Seen in" in text
