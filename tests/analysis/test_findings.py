import pandas as pd
import pytest

from analysis.findings import findings, warnings
from analysis.load import load_study
from analysis.scores import score_trials
from analysis.stats import all_differences


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def say(gains: dict[float, list[float]]) -> str:
    """The finding where U-REC gains these on U-Net, per fraction and seed."""
    rows = []
    for frac, per_seed in gains.items():
        for seed, gain in enumerate(per_seed):
            rows.append(("unet", frac, seed, 0.5 + seed / 10))
            rows.append(("urec", frac, seed, 0.5 + seed / 10 + gain))
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    (text,) = findings(frame, all_differences(frame, "mean_f1"))
    return plain(text)


def test_no_difference_is_said_when_every_interval_covers_zero() -> None:
    text = say({0.1: [0.02, -0.02, 0.03], 1.0: [-0.01, 0.01, 0.005]})
    assert text == (
        "No difference can be shown: at every annotation fraction, the 95 % interval of test "
        "mean F1, U-REC minus U-Net, covers 0 (mean differences from +0.002 to +0.010)."
    )


def test_difference_is_named_where_it_shows_and_only_there() -> None:
    text = say({0.02: [0.05, 0.06, 0.05], 0.1: [0.02, -0.02, 0.03], 1.0: [-0.03, -0.03, -0.031]})
    assert text == (
        "U-REC scores higher than U-Net in test mean F1 at 2 % (+0.053, 95 % interval +0.039 to "
        "+0.068); U-REC scores lower than U-Net in test mean F1 at 100 % (-0.030, 95 % interval "
        "-0.032 to -0.029). At 10 % no difference can be shown."
    )


def test_two_pairs_are_too_few_to_show_anything() -> None:
    text = say({0.1: [0.2, 0.2]})
    assert text.startswith("No difference can be shown: there are fewer than 3 paired seeds")
    assert "+0.200 at 10 %" in text


def test_fraction_without_enough_pairs_is_not_passed_over() -> None:
    text = say({0.1: [0.05, 0.05, 0.051], 1.0: [0.01]})
    assert "at 10 %" in text
    assert text.endswith("At 100 % there are fewer than 3 paired seeds.")


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("empty", "No trial has been confirmed"),
        ("searching", "No trial has been confirmed"),
        ("one-model", "Only U-Net was confirmed"),
        ("broken", "Only U-Net was confirmed"),
        ("one-seed", "fewer than 3 paired seeds"),
    ],
)
def test_nothing_is_claimed_where_nothing_can_be(store: str, study: str, said: str) -> None:
    scores = score_trials(load_study(study, store))
    (text,) = findings(scores, all_differences(scores, "mean_f1"))
    assert said in text


def test_models_without_a_shared_seed_are_not_compared() -> None:
    rows = [("unet", 0.1, 0, 0.5), ("urec", 0.1, 1, 0.9)]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    (text,) = findings(frame, all_differences(frame, "mean_f1"))
    assert "U-Net and U-REC share no seed" in text


def test_clean_study_has_no_warning(store: str) -> None:
    record = load_study("full", store)
    assert warnings(record, score_trials(record)) == ()


def test_warnings_count_what_went_wrong(store: str) -> None:
    record = load_study("broken", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "The study ended with failures" in found
    assert "1 of 2 confirmation trials has not converged" in found
    assert "2 of 4 confirmation trials have failed" in found
    assert "Fewer seeds than asked for: U-REC at 10\N{NO-BREAK SPACE}% (0 of 2)" in found


def test_unfinished_and_unrecorded_are_told(store: str) -> None:
    record = load_study("searching", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "has not ended" in found
    assert "1 of 2 trials has not ended (running, or interrupted): the study is not" in found
    record = load_study("one-model", store)
    assert "not recorded whether training converged" in " ".join(
        warnings(record, score_trials(record))
    )


def variants(**gains: list[float]) -> pd.DataFrame:
    """Scores at 10 % where each variant gains these per seed; '_' stands for '-'."""
    rows = [
        (name.replace("_", "-"), 0.1, seed, 0.5 + seed / 10 + gain)
        for name, per_seed in gains.items()
        for seed, gain in enumerate(per_seed)
    ]
    return pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])


def test_each_u_rec_is_judged_against_u_net_and_both_against_each_other() -> None:
    frame = variants(
        unet=[0.0, 0.0, 0.0], urec_all=[0.05, 0.06, 0.05], urec_annotated=[0.01, -0.01, 0.0]
    )
    said = [plain(text) for text in findings(frame, all_differences(frame, "mean_f1"))]
    assert said == [
        "U-REC (all pixels) scores higher than U-Net in test mean F1 at 10 % (+0.053, 95 % "
        "interval +0.039 to +0.068).",
        "No difference can be shown: at the one fraction measured, the 95 % interval of test "
        "mean F1, U-REC (annotated pixels) minus U-Net, covers 0 (mean difference 0.000, interval "
        "-0.025 to +0.025).",
        "U-REC (all pixels) scores higher than U-REC (annotated pixels) in test mean F1 at 10 % "
        "(+0.053, 95 % interval +0.015 to +0.091).",
    ]


def test_without_u_net_nothing_is_claimed_of_reconstruction() -> None:
    frame = variants(urec_all=[0.05, 0.06, 0.05], urec_annotated=[0.01, -0.01, 0.0])
    first, last = findings(frame, all_differences(frame, "mean_f1"))
    assert first.startswith("U-REC (all pixels) scores higher than U-REC (annotated pixels)")
    assert last.startswith("U-Net was not confirmed on the test tiles")


def test_variants_without_a_shared_seed_are_said_not_to_be_comparable() -> None:
    frame = variants(unet=[0.0, 0.0, 0.0], urec_all=[0.1], urec_annotated=[0.0, 0.1, 0.1])
    frame = frame[(frame["variant"] != "urec-annotated") | (frame["seed"] > 0)]
    said = findings(frame, all_differences(frame, "mean_f1"))
    assert said[2] == (
        "U-REC (annotated pixels) and U-REC (all pixels) share no seed at any annotation "
        "fraction: their differences cannot be paired, and nothing can be said about which is "
        "better."
    )


def test_pruned_trial_is_no_warning(store: str) -> None:
    record = load_study("variants", store)
    found = plain(" ".join(warnings(record, score_trials(record))))
    assert "not ended" not in found
    assert "prune" not in found
    assert "4 of 24 confirmation trials have failed" in found
    assert "2 of 20 search trials have failed" in found
    assert (
        "U-REC (annotated pixels) at 2 % (2 of 3), U-REC (annotated pixels) at 10 % (0 of 3) and "
        "U-REC (annotated pixels) at 100 % (0 of 3)"
    ) in found


def test_stopped_study_says_so_and_counts_what_is_open(store: str) -> None:
    record = load_study("stopped", store)
    found = " ".join(warnings(record, score_trials(record)))
    assert "stopped before its end" in found
    assert "3 of 7 trials have not ended" in found
    assert "Fewer seeds" not in found
