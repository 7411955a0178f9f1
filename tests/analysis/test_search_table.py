import math

import pytest

from analysis.load import load_study
from analysis.search_table import search_results


def test_search_results_are_the_best_by_validation(store: str) -> None:
    frame = search_results(load_study("full", store))
    assert frame["model"].tolist() == ["unet", "urec", "unet", "urec"]
    assert frame["lr"].tolist() == [0.003] * 4
    assert frame["select_score"].tolist() == pytest.approx([0.70, 0.74, 0.85, 0.85])
    assert frame["num_pruned"].tolist() == [0] * 4


def test_study_without_a_search_has_no_rows(store: str) -> None:
    assert search_results(load_study("one-seed", store)).empty


def test_pruned_trial_is_counted_and_never_chosen(store: str) -> None:
    frame = search_results(load_study("variants", store)).set_index(["label_frac", "model"])
    arm = frame.loc[(0.02, "urec-all")]
    assert (arm["num_trials"], arm["num_pruned"], arm["num_open"]) == (3, 2, 0)
    assert (arm["lr"], arm["select_score"]) == (0.003, pytest.approx(0.7))
    assert frame.loc[(0.02, "unet"), "num_pruned"] == 0


def test_score_is_the_one_the_study_selects_by(store: str) -> None:
    record = load_study("variants", store)
    assert record.info.select_by == "miou"
    assert record.trials["select_mean_f1"].isna().all()
    assert search_results(record)["select_score"].tolist()[:2] == pytest.approx([0.6, 0.7])


def test_arm_whose_search_failed_has_no_setting(store: str) -> None:
    frame = search_results(load_study("variants", store)).set_index(["label_frac", "model"])
    arm = frame.loc[(1.0, "urec-annotated")]
    assert (arm["num_trials"], arm["num_failed"]) == (2, 2)
    assert math.isnan(arm["lr"])
    assert math.isnan(arm["select_score"])


def test_running_and_stopped_trials_have_not_ended(store: str) -> None:
    frame = search_results(load_study("stopped", store)).set_index("model")
    arm = frame.loc["urec"]
    assert (arm["num_trials"], arm["num_pruned"], arm["num_open"]) == (4, 1, 2)
    assert search_results(load_study("searching", store))["num_trials"].tolist() == [2]
