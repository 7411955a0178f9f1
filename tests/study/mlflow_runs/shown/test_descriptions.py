from pathlib import Path

from study.mlflow_runs.names import tag_value
from study.mlflow_runs.shown.descriptions import (
    begun_text,
    ended_text,
    experiment_text,
    may_be_written,
    trial_text,
)

REPORT = Path("/studies/town/report")


def test_what_was_written_here_may_be_written_again_and_nothing_else():
    for text in (None, "", begun_text(REPORT), ended_text("**Findings**", REPORT)):
        assert may_be_written(text)
    assert may_be_written(experiment_text("town", {"config": {}}, REPORT))
    assert not may_be_written("Mine")
    assert not may_be_written(f"{begun_text(REPORT)}\nSeed 3 looks odd")


def test_a_long_text_keeps_its_last_line_where_mlflow_cuts():
    text = ended_text("word " * 5000, REPORT)
    assert tag_value(text) == text
    assert may_be_written(text)
    assert "…" in text


def test_a_study_in_a_folder_whose_name_is_no_utf8_was_not_recorded():
    """Databases refuse such a description; cut after it was escaped, it lost its last line."""
    odd = Path("/studies/caf\udce9/report")
    for text in (
        begun_text(odd),
        experiment_text("town", {"config": {}}, odd),
        ended_text("caf\udce9 " * 1200, odd),
    ):
        assert tag_value(text) == text
        assert may_be_written(text)


def test_a_trial_says_its_scores_and_that_it_had_not_converged():
    metrics = {"select/oa": 0.81249, "select/step": 160.0}
    searched = trial_text({"metrics": metrics, "converged": True})
    assert searched.startswith("Validation: OA 0.812, best at step 160.\n\n")
    metrics |= {"test/mean_f1": 0.7, "test/miou": float("nan"), "test/oa": 0.8}
    confirmed = trial_text({"metrics": metrics, "converged": False})
    assert confirmed.startswith("Test: mean F1 0.700, OA 0.800.\n\nValidation: ")
    assert "Not converged: validation was not flat" in confirmed
    assert may_be_written(confirmed)


def test_a_record_that_says_little_is_described_in_whole_sentences():
    text = experiment_text("town", {"config": {}}, REPORT)
    assert "It compares" not in text
    assert " ." not in text
    assert str(REPORT / "index.html") in text
