"""How far a running study is said to be, from the runs that a driver has written so far."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

import analysis.reading.sources.load as load
from analysis.page.running import StudyProgress, read_progress
from analysis.reading.sources.store import UnknownStudyError
from tests.analysis.conftest import FakeStudy, confusion_counts, new_store

CONFIG: dict[str, Any] = {
    "preset": "demo", "models": ["unet", "urec"], "space": "w1=0.01..0.5,label_frac=0.1/1",
    "trials": 3, "seeds": 2, "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def uri(mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    client = new_store(mlflow_database, tmp_path_factory.mktemp("running"))
    study = FakeStudy(client, "going", status="running", recorded={"config": CONFIG})
    fill(study)
    return str(client.tracking_uri)


def fill(study: FakeStudy) -> None:
    """U-Net at 10 % is done; U-REC there has two of three searched, one of them failed."""
    client, generator = study.client, np.random.default_rng(1)
    study.trial("search", "unet", 0.1, 0, metrics={"select/mean_f1": 0.5})
    for seed in (1, 2):
        study.confirm("unet", 0.1, seed, [confusion_counts(0.8, generator)])
    study.trial("search", "urec", 0.1, 0, metrics={"select/mean_f1": 0.61})
    study.trial("search", "urec", 0.1, 1, status="failed", metrics={"select/mean_f1": 0.99})
    running = study.trial("search", "urec", 0.1, 2, status="running")
    scores = [(120, 0.25), (40, 0.15), (80, 0.2)]  # a store may give them in any order
    validations = [Metric("val/mean_f1", value, 1_700_000_004_000, step) for step, value in scores]
    loss = Metric("train/loss", 0.2, 1_700_000_005_000, 120)
    client.log_batch(running, metrics=[*validations, loss])
    for run in client.search_runs([study.experiment_id]):
        if run.data.tags.get("status") == "finished":
            client.set_terminated(run.info.run_id, end_time=run.info.start_time + 60_000)


def now_s(uri: str) -> float:
    """A minute and a half after the trial that runs began."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("going")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.trial_key LIKE '%t002'")
    return float(run.info.start_time / 1000.0 + 90.0)


@pytest.fixture(scope="module")
def going(uri: str) -> StudyProgress:
    return read_progress("going", uri, now_s(uri))


def test_every_arm_of_the_plan_is_counted_also_those_that_have_not_begun(
    going: StudyProgress,
) -> None:
    rows = [
        (a.label, a.label_frac, a.num_searched, a.num_search, a.num_confirmed, a.num_confirm)
        for a in going.arms
    ]
    assert rows == [
        ("U-Net", 0.1, 1, 1, 2, 2),
        ("U-REC", 0.1, 2, 3, 0, 2),
        ("U-Net", 1.0, 0, 0, 0, 2),
        ("U-REC", 1.0, 0, 3, 0, 2),
    ]
    assert (going.num_done, going.num_trials, going.num_failed) == (5, 15, 1)


def test_the_best_score_is_that_of_validation_and_of_no_failed_trial(going: StudyProgress) -> None:
    assert [arm.best_score for arm in going.arms[:2]] == [0.5, 0.61]
    assert all(math.isnan(arm.best_score) for arm in going.arms[2:])


def test_what_runs_says_how_far_it_is(going: StudyProgress) -> None:
    (running,) = going.running
    assert running.key == "search-urec-f0.10-t002"
    assert (running.step, running.steps, running.scores) == (120, 400.0, (0.15, 0.2, 0.25))
    assert going.is_running
    assert going.look.startswith("Findings are closed until 2 seeds of every arm have ended (0 so")


def test_time_left_is_that_of_trials_like_those_that_finished(going: StudyProgress) -> None:
    """10 trials of a minute each are left, and the one that runs is nearly over."""
    assert going.seconds_left == pytest.approx(10 * 60.0 - 60.0, abs=0.01)


def test_a_trial_of_an_earlier_session_left_no_time_for_all_others(
    uri: str, going: StudyProgress
) -> None:
    """Begun twelve hours ago, it was taken for twelve hours of work: `about 0:00 left`."""
    later = read_progress("going", uri, now_s(uri) + 12 * 3600.0)
    assert later.seconds_left == going.seconds_left


def test_trials_recorded_after_they_had_ended_were_taken_to_last_no_time(
    mlflow_database: Path, tmp_path: Path
) -> None:
    """As where a study goes on with another store: its run begins and ends in one moment."""
    client = new_store(mlflow_database, tmp_path)
    study = FakeStudy(client, "moved", status="running", recorded={"config": CONFIG})
    took = {"perf/train_s": 80.0, "perf/eval_s": 15.0, "perf/test_s": 5.0}
    client.set_terminated(study.trial("search", "unet", 0.1, 0, metrics=took))
    assert read_progress("moved", client.tracking_uri, 0.0).seconds_left == 14 * 100.0


def test_confirmation_trials_that_never_run_were_waited_for(
    mlflow_database: Path, tmp_path: Path
) -> None:
    """Nothing is confirmed of an arm whose search trials have all failed."""
    client = new_store(mlflow_database, tmp_path)
    study = FakeStudy(client, "lost", status="running", recorded={"config": CONFIG})
    for number in range(3):
        study.trial("search", "urec", 0.1, number, status="failed")
    study.trial("search", "unet", 0.1, 0, status="failed")  # nothing to choose: it is confirmed
    arms = read_progress("lost", client.tracking_uri, 0.0).arms
    assert [(arm.label, arm.num_confirm) for arm in arms[:2]] == [("U-Net", 2), ("U-REC", 0)]


def test_silence_is_counted_from_the_last_thing_on_record(uri: str, going: StudyProgress) -> None:
    later = read_progress("going", uri, now_s(uri) + 1000.0)
    assert later.silent_s == pytest.approx(going.silent_s + 1000.0, abs=1.0)


def test_no_confusion_matrix_is_read(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found on test tiles is not even loaded: nobody can look early."""
    asked = []
    original = load.read_artifact

    def noted(*parts: str) -> bytes | None:
        asked.append(parts[-1])
        return original(*parts)

    monkeypatch.setattr(load, "read_artifact", noted)
    read_progress("going", uri, 0.0)
    assert asked == ["study.yaml"]


def test_before_the_first_trial_all_of_the_plan_is_left(store: str) -> None:
    empty = read_progress("empty", store, 0.0)
    assert (empty.num_done, empty.running) == (0, ())
    assert math.isnan(empty.seconds_left)
    searching = read_progress("searching", store, 0.0)
    assert (searching.num_done, searching.num_trials) == (1, 2), "without a configuration on record"


def test_an_unknown_study_is_told_beside_those_there_are(store: str) -> None:
    with pytest.raises(UnknownStudyError, match="known studies: "):
        read_progress("goings", store, 0.0)
