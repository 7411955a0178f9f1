import io
import math

import pandas as pd
import pytest

from analysis.reading.sources.load import load_study
from analysis.search.search_table import ranked_trials, search_csv, search_results
from analysis.search.suggestions import suggestions


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


def test_scores_are_those_of_finished_trials_alone(store: str) -> None:
    searched = suggestions(load_study("variants", store))
    has_score = searched["select_score"].notna()
    assert set(searched.loc[has_score, "status"]) == {"finished"}
    assert set(searched.loc[~has_score, "status"]) == {"pruned", "failed"}


def test_earliest_of_equals_is_chosen_in_order_of_number() -> None:
    numbers = [1000, 999, 3, 4]
    searched = pd.DataFrame(
        {
            "variant": "urec", "label_frac": 1.0, "number": numbers,
            "trial_key": [f"search-urec-f1.00-t{n:03d}" for n in numbers],
            "select_score": [0.7, 0.7, 0.6, math.nan],
        }
    )  # fmt: skip
    assert ranked_trials(searched, "urec", 1.0)["number"].tolist() == [999, 1000, 3]
    assert ranked_trials(searched, "unet", 1.0).empty


def test_csv_reads_back(store: str) -> None:
    frame = search_results(load_study("variants", store))
    text = search_csv(frame)
    assert "nan" not in text.lower()
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), frame, check_dtype=False)
    empty = search_csv(search_results(load_study("one-seed", store)))
    assert empty == ",".join(frame.columns) + "\n"
