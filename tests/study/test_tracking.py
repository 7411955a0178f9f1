"""The record of a study in MLflow, on an SQLite database."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from study.arms import confirm_trial, plan_arms, search_trial
from study.record import TRACEBACK, StudyRecord, check_store
from study.tracking import TrackingCallback
from trainables.config import TrialConfig
from trainables.errors import ConfigError
from trainables.trial import CONFUSION, RESULT


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


@pytest.fixture(autouse=True)
def _artifacts_in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(make_config, request):
    return make_config(name=re.sub(r"\W", "-", request.node.name), space="w1,label_frac=0.1")


@pytest.fixture
def trial(config) -> TrialConfig:
    return confirm_trial(config, plan_arms(config)[0], 2, {"w1": 0.25})


@pytest.fixture
def open_record(config, store, tmp_path) -> Callable[[], StudyRecord]:
    manifest = tmp_path / "study.yaml"
    manifest.write_text(yaml.safe_dump({"study_id": "a1", "config": config.to_plain()}))
    (tmp_path / "budgets").mkdir()
    (tmp_path / "budgets" / "s1-f0.10.json").write_text("{}")

    def make() -> StudyRecord:
        record = StudyRecord(store, config.name)
        record.open(manifest, manifest.parent / "budgets")
        return record

    return make


@pytest.fixture
def runs(client, config) -> Callable[..., list[Run]]:
    """The study's runs as they are in the database."""

    def find(view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        experiment = client.get_experiment_by_name(config.name)
        return list(client.search_runs([experiment.experiment_id], run_view_type=view))

    return find


@pytest.fixture
def children(runs) -> Callable[[], list[Run]]:
    return lambda: [run for run in runs() if run.data.tags["phase"] != "study"]


def left_on_disk(folder: Path, trial: TrialConfig) -> dict[str, Any]:
    """What a finished trial leaves."""
    record = {
        "trial": trial.to_plain(),
        "score": 0.7,
        "converged": True,
        "metrics": {"select/mean_f1": 0.7, "test/f1_car": math.nan, "test/miou": 0.5},
        "history": [
            {"step": 2, "train/loss": 1.5, "val/kappa": math.nan},
            {"step": 4, "train/loss": 1.0, "val/kappa": 0.25},
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT).write_text(json.dumps(record))
    (folder / CONFUSION).write_text("{}")
    return record


def tune_trial(trial: TrialConfig, folder: Path, error: Exception | None = None) -> SimpleNamespace:
    handed = {"trial": trial.to_plain(), "folder": str(folder)}
    return SimpleNamespace(trial_id="x", config=handed, get_error=lambda: error)


def test_parent_run(open_record, runs, client, config, tmp_path):
    record = open_record()
    (parent,) = runs()
    assert parent.data.tags["phase"] == "study"
    assert parent.data.tags["study"] == config.name
    assert (parent.info.run_name, parent.info.status) == (config.name, "RUNNING")
    assert parent.data.params["space"] == config.to_plain()["space"]
    assert parent.data.params["lr"] == str(config.training.lr)
    run_id = parent.info.run_id
    assert [file.path for file in client.list_artifacts(run_id)] == ["budgets", "study.yaml"]
    (manifest,) = client.list_artifacts(run_id, "budgets")
    assert manifest.path == "budgets/s1-f0.10.json"
    record.close(0)
    (parent,) = runs()
    assert (parent.info.status, parent.data.tags["status"]) == ("FINISHED", "finished")


def test_child_run_of_a_finished_trial(open_record, children, runs, client, trial, tmp_path):
    record = open_record()
    record.begin_trial(trial)
    (run,) = children()
    assert {name: run.data.tags[name] for name in (
        "phase", "arm", "model", "label_frac", "seed", "trial_key", "status",
    )} == {
        "phase": "confirm", "arm": "urec-f0.10", "model": "urec", "label_frac": "0.1",
        "seed": "2", "trial_key": "confirm-urec-f0.10-s2", "status": "running",
    }  # fmt: skip
    (parent,) = (run for run in runs() if run.data.tags["phase"] == "study")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.info.run_name == trial.key
    assert run.data.params["w1"] == "0.25"
    assert (run.data.params["model"], run.data.params["seed"]) == ("urec", "2")

    left = left_on_disk(tmp_path / "t", trial)
    record.log_rows(trial.key, left["history"])
    record.finish_trial(trial.key, tmp_path / "t", left)
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")
    assert run.data.tags["converged"] == "true"
    assert run.data.metrics == {
        "select/mean_f1": 0.7, "test/miou": 0.5, "train/loss": 1.0, "val/kappa": 0.25,
    }  # fmt: skip
    curve = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in curve] == [(2, 1.5), (4, 1.0)]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {CONFUSION, RESULT}


def test_nan_is_never_logged(open_record, children, client, trial, tmp_path):
    """A validation measure that was not defined became a number in MLflow."""
    record = open_record()
    record.add_missing(trial, tmp_path / "t", left_on_disk(tmp_path / "t", trial))
    (run,) = children()
    curve = client.get_metric_history(run.info.run_id, "val/kappa")
    assert [(point.step, point.value) for point in curve] == [(4, 0.25)]
    assert "test/f1_car" not in run.data.metrics


def test_many_rows_go_in_several_batches(open_record, children, client, trial):
    record = open_record()
    record.begin_trial(trial)
    record.log_rows(trial.key, [{"step": i, "a": 0.0, "b": 1.0, "c": 2.0} for i in range(700)])
    (run,) = children()
    assert len(client.get_metric_history(run.info.run_id, "c")) == 700


def test_continued_study_has_the_same_parent(open_record, runs):
    open_record().close(0)
    first = runs()
    open_record()
    assert [run.info.run_id for run in runs()] == [run.info.run_id for run in first]
    assert runs()[0].info.status == "RUNNING"


def test_interrupted_run_is_replaced(open_record, children, trial, tmp_path):
    record = open_record()
    record.begin_trial(trial)
    record.log_rows(trial.key, [{"step": 1, "train/loss": 9.0}])
    again = open_record()
    again.begin_trial(trial)
    left = left_on_disk(tmp_path / "t", trial)
    again.log_rows(trial.key, left["history"])
    again.finish_trial(trial.key, tmp_path / "t", left)
    (run,) = children()
    assert run.info.status == "FINISHED"
    open_record()
    assert [one.info.run_id for one in children()] == [run.info.run_id]


def test_finished_trial_whose_run_is_missing_is_added_once(open_record, children, trial, tmp_path):
    left = left_on_disk(tmp_path / "t", trial)
    open_record().add_missing(trial, tmp_path / "t", left)
    (run,) = children()
    assert run.info.status == "FINISHED"
    record = open_record()
    record.add_missing(trial, tmp_path / "t", left)
    record.add_missing(trial, tmp_path / "t", left)
    assert [one.info.run_id for one in children()] == [run.info.run_id]


def test_finished_trial_whose_run_was_cut_off_is_added(open_record, children, trial, tmp_path):
    open_record().begin_trial(trial)
    open_record().add_missing(trial, tmp_path / "t", left_on_disk(tmp_path / "t", trial))
    (run,) = children()
    assert run.info.status == "FINISHED"


def test_failed_trial_keeps_its_run_until_it_is_repeated(
    open_record, children, client, trial, tmp_path
):
    """A failed search trial, which is not repeated, vanished when the study was continued."""
    record = open_record()
    record.begin_trial(trial)
    record.fail_trial(trial.key, "Traceback: out of memory")
    assert record.num_failed == 1
    record.close(record.num_failed)
    again = open_record()
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == [TRACEBACK]
    assert again.num_failed == 1
    again.begin_trial(trial)
    (run,) = children()
    assert run.info.status == "RUNNING"
    assert again.num_failed == 0


def test_trial_of_a_deleted_study_folder_is_replaced(open_record, children, trial, tmp_path):
    """Its run in MLflow outlived the folder; a second one beside it counted the trial twice."""
    left = left_on_disk(tmp_path / "t", trial)
    open_record().add_missing(trial, tmp_path / "t", left)
    record = open_record()
    record.begin_trial(trial)
    (run,) = children()
    assert run.info.status == "RUNNING"


def test_deleted_experiment_comes_back(open_record, client, config, runs):
    open_record().close(0)
    client.delete_experiment(client.get_experiment_by_name(config.name).experiment_id)
    open_record()
    assert client.get_experiment_by_name(config.name).lifecycle_stage == "active"


def test_callback_over_a_trial(open_record, children, config, tmp_path):
    trial = search_trial(config, plan_arms(config)[0], 0, {})
    callback = TrackingCallback(open_record())
    told = tune_trial(trial, tmp_path / "t")
    callback.on_trial_start(0, [], told)
    callback.on_trial_start(0, [], told)
    left = left_on_disk(tmp_path / "t", trial)
    callback.on_trial_result(0, [], told, {"rows": left["history"]})
    callback.on_trial_result(0, [], told, {"rows": []})
    callback.on_trial_complete(0, [], told)
    (run,) = children()
    assert (run.info.status, run.data.tags["phase"]) == ("FINISHED", "search")
    assert run.data.metrics["train/loss"] == 1.0


def test_callback_refuses_a_complete_trial_without_result(open_record, trial, tmp_path):
    callback = TrackingCallback(open_record())
    callback.on_trial_start(0, [], tune_trial(trial, tmp_path / "t"))
    with pytest.raises(RuntimeError, match=RESULT):
        callback.on_trial_complete(0, [], tune_trial(trial, tmp_path / "t"))


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("error", [ValueError("loss must be finite"), None])
def test_callback_over_a_failed_trial(open_record, children, trial, tmp_path, started, error):
    """Of a trial whose process never came up, Tune tells the end alone."""
    record = open_record()
    callback = TrackingCallback(record)
    told = tune_trial(trial, tmp_path / "t", error)
    if started:
        callback.on_trial_start(0, [], told)
    callback.on_trial_error(0, [], told)
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")
    said = (tmp_path / "t" / TRACEBACK).read_text()
    assert said == (str(error) if error else "the trial's process ended without an error")
    assert record.num_failed == 1


@pytest.mark.parametrize("uri", ["mlruns", "nonsense://x", "sqlite:////proc/none/x.db"])
def test_store_that_cannot_be_used_is_refused(uri):
    with pytest.raises(ConfigError, match="--tracking-uri") as caught:
        check_store(uri)
    assert "\n" not in str(caught.value)
    assert repr(uri) in str(caught.value)


def test_another_study_of_the_same_name_gets_a_parent_of_its_own(store, config, tmp_path, trial):
    parents = []
    for study_id in ("first", "second"):
        manifest = tmp_path / study_id / "study.yaml"
        (manifest.parent / "budgets").mkdir(parents=True)
        manifest.write_text(yaml.safe_dump({"study_id": study_id, "config": config.to_plain()}))
        record = StudyRecord(store, config.name)
        record.open(manifest, manifest.parent / "budgets")
        record.begin_trial(trial)
        record.fail_trial(trial.key, "out of memory")
        assert record.num_failed == 1  # its own, not the other's
        parents.append(record.parent_id)
    assert parents[0] != parents[1]
