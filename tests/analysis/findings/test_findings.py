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
        "No saving of annotations can be shown: for U-Net's full-annotation score, U-REC needs "
        "100 % of these annotations (95 % interval 81.3 % to more than 100 %).",
        "No difference can be shown at any annotation fraction in test mean F1, U-REC minus U-Net "
        "(mean differences from 0.000 to 0.000).",
    ]


def test_saving_is_told_with_its_interval_where_the_test_shows_a_difference() -> None:
    # at 50 % U-REC is where U-Net is at 100 %
    frame = study({0.25: HIGHER, 0.5: HIGHER, 1.0: HIGHER}, rising=0.0530)
    first, second = say(frame)
    assert first.startswith(
        "U-REC reaches U-Net's full-annotation score with 50 % of these annotations (95 % interval "
    )
    assert first.endswith(
        "U-Net's score at 50 % of the labels with at most 50 % of these annotations (95 % interval "
        "at most 50 % to 52.2 %). What validation costs is not on record, and comes on top."
    )
    assert second.startswith("U-REC scores higher than U-Net in test mean F1 at 25 % (+0.053, 95 %")
    assert "p = 0.047" in second


def test_difference_is_named_where_it_shows_and_only_there() -> None:
    _, text = say(study({0.02: HIGHER, 0.1: MIXED, 1.0: LOWER}))
    assert text == (
        "U-REC scores higher than U-Net in test mean F1 at 2 % (+0.053, 95 % interval +0.050 to "
        "+0.056, p = 0.047); U-REC scores lower than U-Net in test mean F1 at 100 % (-0.030, 95 % "
        "interval -0.031 to -0.029, p = 0.047). At 10 % no difference can be shown."
    )


def test_a_score_out_of_reach_is_said_to_be_so() -> None:
    first, _ = say(study({0.02: LOWER, 0.1: LOWER, 1.0: LOWER}, rising=0.1))
    assert first == (
        "U-REC does not reach U-Net's full-annotation score with the annotations there are."
    )


def test_three_pairs_are_too_few_to_show_anything() -> None:
    first, second = say(study({0.1: [0.2, 0.2, 0.2], 1.0: [0.2, 0.2, 0.2]}, rising=0.1))
    assert first.startswith("No saving of annotations can be shown: for U-Net's full-annotation")
    assert second == (
        "No difference can be shown by 3 paired seeds, whatever the scores: tests of this study "
        "need 7. Seen in test mean F1, U-REC minus U-Net: +0.200 at 10 % and +0.200 at 100 %."
    )


def test_two_seeds_have_no_interval_of_what_is_saved() -> None:
    first, _ = say(study({0.1: [0.2, 0.2], 1.0: [0.2, 0.2]}, rising=0.1))
    assert first == (
        "How much annotation U-REC saves cannot be said from 2 seeds with all scores: an interval "
        "needs 3."
    )


def test_fraction_without_enough_pairs_is_not_passed_over() -> None:
    *_, text = say(study({0.1: HIGHER, 1.0: [0.01]}))
    assert "at 10 %" in text
    assert text.endswith("At 100 % there are fewer than 7 paired seeds, too few for a test.")


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
        "U-REC (annotated pixels) and U-REC (all pixels) share no seed at any annotation "
        "fraction: their differences cannot be paired, and nothing can be said about which is "
        "better."
    )


def test_an_interval_below_without_a_test_is_no_claim_and_says_why() -> None:
    frame = study({0.25: HIGHER[:3], 0.5: HIGHER[:3], 1.0: HIGHER[:3]}, rising=0.0530)
    answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))
    assert answer.needed[-1].saves
    assert not any(answer.claims(one) for one in answer.needed)
    first = plain(findings(answer)[0])
    assert first.startswith("No saving of annotations can be shown")
    assert first.endswith("but 3 seeds are too few for the test that a claim needs.")


def test_a_score_reached_and_lost_again_saves_nothing() -> None:
    rows = []
    for seed in range(7):
        noise = seed / 10_000
        for frac, unet, urec in ((0.25, 0.4, 0.5), (0.5, 0.5, 0.72), (1.0, 0.7, 0.66)):
            rows += [("unet", frac, seed, unet + noise), ("urec", frac, seed, urec - noise)]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    first, *_ = say(frame)
    assert "reaches U-Net's score at 50 % of the labels" in first
    assert "full-annotation" not in first


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
    assert {one.label_frac for one in answer.needed} == {0.1, 0.5, 1.0}
    (told,) = answer.left_out
    assert plain(told) == (
        "U-REC and U-Net: 1 seed without a score at some fraction left out, 20 % left out, where "
        "too few seeds have scores"
    )
