"""The record of a study and of its trials in MLflow, on an SQLite database."""

import contextlib
import json
import math
import re
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from contract.names import CONFUSION, RESULT, TRACEBACK
from study.design.arms import confirm_trial, plan_arms
from study.mlflow_runs.client_calls import artifact_errors
from study.mlflow_runs.names import MetricNames
from study.mlflow_runs.study_run import StudyRun, check_store
from study.mlflow_runs.trial_runs import TrialRuns
from trainables.errors import ConfigError
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import (
    Outcome,
    count_failure,
    read_outcome,
    write_failed,
    write_pruned,
)

ROWS = [
    {"step": 2, "train/loss": 1.5, "val/miou": math.nan},
    {"step": 4, "train/loss": 1.0, "val/miou": 0.25},
]


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
def record(config, store) -> StudyRun:
    return StudyRun(store, config.name, "abc123")


@pytest.fixture
def open_runs(config, store, tmp_path) -> Callable[[], TrialRuns]:
    """Opens the study's record as every process that runs it does."""
    manifest = tmp_path / "study.yaml"
    manifest.write_text(yaml.safe_dump({"study_id": "a1", "config": config.to_plain()}))
    (tmp_path / "budgets").mkdir()
    (tmp_path / "budgets" / "s1-f0.10.json").write_text("{}")

    def make(record: StudyRun | None = None) -> TrialRuns:
        record = record or StudyRun(store, config.name, "abc123")
        return record.open(manifest, manifest.parent / "budgets")

    return make


@pytest.fixture
def runs(client, config) -> Callable[..., list[Run]]:
    """The study's runs as they are in the database."""

    def find(view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        experiment = client.get_experiment_by_name(config.name)
        return list(client.search_runs([experiment.experiment_id], run_view_type=view))

    return find


@pytest.fixture
def children(runs) -> Callable[..., list[Run]]:
    return lambda *view: [run for run in runs(*view) if run.data.tags["phase"] != "study"]


@pytest.fixture
def finished(trial, tmp_path) -> tuple[Path, Outcome]:
    """What a finished trial leaves."""
    folder = tmp_path / "t"
    folder.mkdir()
    left = {
        "trial": trial.to_plain(),
        "score": 0.7,
        "converged": True,
        "metrics": {
            "select/mean_f1": 0.7,
            "select/step": 4,
            "test/f1_car": math.nan,
            "test/miou": 0.5,
        },
        "history": ROWS,
        "damaged_checkpoints": ["checkpoint.pt was damaged and not used"],
    }
    (folder / RESULT).write_text(json.dumps(left))
    (folder / CONFUSION).write_text("{}")
    outcome = read_outcome(folder)
    assert outcome is not None
    return folder, outcome


def points(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    history = client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in history)


def test_parent_run(open_runs, record, runs, client, config):
    open_runs(record)
    (parent,) = runs()
    assert parent.data.tags["phase"] == "study"
    assert parent.data.tags["study"] == config.name
    assert parent.data.tags["mlflow.source.git.commit"] == "abc123"
    assert (parent.info.run_name, parent.info.status) == (config.name, "RUNNING")
    assert parent.data.params["space"] == config.to_plain()["space"]
    assert parent.data.params["lr"] == str(config.training.lr)
    run_id = parent.info.run_id
    assert [file.path for file in client.list_artifacts(run_id)] == ["budgets", "study.yaml"]
    (manifest,) = client.list_artifacts(run_id, "budgets")
    assert manifest.path == "budgets/s1-f0.10.json"
    record.close(1)
    (parent,) = runs()
    assert (parent.info.status, parent.data.tags["status"]) == ("FINISHED", "finished")
    assert parent.data.tags["num_failed"] == "1"


def test_continued_study_has_the_same_parent(open_runs, record, runs):
    open_runs(record)
    record.stop()
    (first,) = runs()
    assert (first.info.status, first.data.tags["status"]) == ("KILLED", "stopped")
    open_runs()
    (second,) = runs()
    assert second.info.run_id == first.info.run_id
    assert (second.info.status, second.data.tags["status"]) == ("RUNNING", "running")


def test_child_run_of_a_finished_trial(open_runs, children, runs, client, trial, finished):
    trials = open_runs()
    trials.begin(trial)
    (run,) = children()
    assert {name: run.data.tags[name] for name in (
        "phase", "arm", "model", "variant", "label_frac", "seed", "trial_key", "status",
        "mlflow.source.git.commit",
    )} == {
        "phase": "confirm", "arm": "urec-f0.10", "model": "urec", "variant": "urec",
        "label_frac": "0.1", "seed": "2", "trial_key": "confirm-urec-f0.10-s2",
        "status": "running", "mlflow.source.git.commit": "abc123",
    }  # fmt: skip
    (parent,) = (run for run in runs() if run.data.tags["phase"] == "study")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.info.run_name == "urec, 10 %, seed 2"
    assert run.data.params["w1"] == "0.25"
    assert (run.data.params["model"], run.data.params["seed"]) == ("urec", "2")

    trials.log_rows(trial.key, ROWS, 1)
    trials.end(*finished, 2)
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")
    assert (run.data.tags["converged"], run.data.tags["attempts"]) == ("true", "1")
    assert run.data.tags["damaged_checkpoints"] == "checkpoint.pt was damaged and not used"
    assert run.data.metrics == {
        "select/mean_f1": 0.7, "select/step": 4, "test/miou": 0.5, "train/loss": 1.0,
        "val/miou": 0.25,
    }  # fmt: skip
    assert run.data.tags["mlflow.note.content"].startswith("Test: mean IoU 0.500.")
    assert points(client, run, "train/loss") == [(2, 1.5), (4, 1.0)]
    assert points(client, run, "val/miou") == [(4, 0.25)], "a NaN is never logged"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {CONFUSION, RESULT}


def test_variant_of_a_model(make_config, open_runs, children, config):
    varied = make_config(name=config.name, space="reconstruct_on,label_frac=0.1")
    arms = plan_arms(varied)
    assert [arm.name for arm in arms] == ["urec-all-f0.10", "urec-annotated-f0.10", "unet-f0.10"]
    open_runs().begin(confirm_trial(varied, arms[1], 1, {}))
    (run,) = children()
    assert (run.data.tags["variant"], run.data.tags["model"]) == ("urec-annotated", "urec")
    assert run.data.tags["arm"] == "urec-annotated-f0.10"
    assert run.data.params["reconstruct_on"] == "annotated"


def test_a_run_carries_only_the_parameters_that_its_method_has(
    make_config, open_runs, children, config
):
    """U-Net's runs had w1 0.1, which they do not use."""
    arms = plan_arms(make_config(name=config.name, space="label_frac=0.1"))
    runs = open_runs()
    for arm in arms:
        trial = confirm_trial(config, arm, 1, {})
        own = {**trial.training.method_parameters, "tau": 0.9} if arm is arms[0] else {}
        runs.begin(replace(trial, training=replace(trial.training, method_parameters=own)))
    urec, unet = sorted(children(), key=lambda run: run.data.tags["model"], reverse=True)
    assert set(urec.data.params) - set(unet.data.params) == {
        "w1", "reconstruct_on", "rec_loss", "rec_target", "rec_mask", "rec_patches",
        "w1_schedule", "branch_norm", "rec_decoder", "tau",
    }  # fmt: skip
    assert set(unet.data.params) < set(urec.data.params)
    assert urec.data.params["tau"] == "0.9"
    assert "method_parameters" not in unet.data.params
    assert unet.data.params["weight_decay"] == "0.0"


def test_a_run_that_an_earlier_version_began_goes_on(open_runs, children, client, trial):
    """What is on record MLflow never changes: another value would be refused."""
    trials = open_runs()
    unet = replace(trial, key="confirm-unet-f0.10-s2", model="unet", variant="unet",
                   network="unet", unannotated="nothing")  # fmt: skip
    trials.begin(unet)
    (run,) = children()
    for name, value in (("w1", 0.1), ("reconstruct_on", "all")):
        client.log_param(run.info.run_id, name, value)
    open_runs().begin(unet)
    (again,) = children()
    assert (again.info.run_id, again.data.params["w1"]) == (run.info.run_id, "0.1")


def test_a_trial_that_begins_again_with_other_values_was_refused_for_ever(
    open_runs, children, client, trial, finished
):
    """Values were lost with a record: MLflow refused them, and every later run of the command."""
    trials = open_runs()
    other = replace(trial, training=replace(trial.training, w1=0.3))
    trials.begin(other)
    trials.log_rows(other.key, [{"step": 2, "train/loss": 9.0}], 1)
    trials.stop()
    again = open_runs()
    again.begin(trial)
    again.begin(trial)
    again.end(*finished, 2)
    (run,) = children()
    assert run.data.params["w1"] == "0.25"
    assert points(client, run, "train/loss") == [(2, 1.5), (4, 1.0)], "none of the other values"


def test_many_rows_go_in_several_batches(open_runs, children, client, trial):
    trials = open_runs()
    trials.begin(trial)
    rows = [{"step": i, "train/loss": 0.0, "train/b": 1.0, "train/c": 2.0} for i in range(700)]
    trials.log_rows(trial.key, rows, 1)
    (run,) = children()
    assert len(points(client, run, "train/c")) == 700


def test_every_call_may_be_repeated(open_runs, children, client, trial, finished):
    """As after a server that took a record and went away before it said so."""
    trials = open_runs()
    for _ in range(2):
        trials.begin(trial)
    for _ in range(2):
        trials._last_step.clear()
        trials.log_rows(trial.key, ROWS, 1)
    for time_ms in (2, 3):  # the second as by the process after one that was killed half way
        trials.end(*finished, time_ms)
    (run,) = children(ViewType.ALL)
    assert points(client, run, "train/loss") == [(2, 1.5), (4, 1.0)]
    assert points(client, run, "test/miou") == [(0, 0.5)], (
        "a bar of a chart, not a dot at the last step"
    )


def test_what_a_person_wrote_of_a_run_stays(open_runs, children, client, trial, finished):
    trials = open_runs()
    trials.begin(trial)
    (run,) = children()
    client.set_tag(run.info.run_id, "mlflow.note.content", "Seed 2 looks odd")
    trials.end(*finished, 2)
    (run,) = children()
    assert run.data.tags["mlflow.note.content"] == "Seed 2 looks odd"


def test_interrupted_trial_goes_on_in_its_run(open_runs, children, client, trial, finished):
    trials = open_runs()
    trials.begin(trial)
    trials.log_rows(trial.key, ROWS[:1], 1)
    (before,) = children()
    again = open_runs()
    again.begin(trial)
    again.log_rows(trial.key, ROWS, 7)
    again.end(*finished, 8)
    (run,) = children(ViewType.ALL)
    assert run.info.run_id == before.info.run_id
    assert run.info.status == "FINISHED"
    assert points(client, run, "train/loss") == [(2, 1.5), (4, 1.0)]


def test_stopped_trial_goes_on_in_its_run(open_runs, children, trial, finished):
    trials = open_runs()
    trials.begin(trial)
    trials.stop()
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("KILLED", "stopped")
    again = open_runs()
    again.begin(trial)
    (run,) = children(ViewType.ALL)
    assert (run.info.status, run.data.tags["status"]) == ("RUNNING", "running")
    again.end(*finished, 8)
    again.stop()
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")


def test_two_runs_of_one_trial_become_one(open_runs, children, client, trial, finished):
    trials = open_runs()
    trials.begin(trial)
    (run,) = children()
    twin = client.create_run(run.info.experiment_id, tags=dict(run.data.tags))
    trials.end(*finished, 1)
    open_runs()
    assert [one.info.run_id for one in children()] == [run.info.run_id]
    assert client.get_run(twin.info.run_id).info.lifecycle_stage == "deleted"


def test_finished_trial_whose_run_is_missing_is_added_once(open_runs, children, finished):
    open_runs().add(*finished, 1)
    (run,) = children()
    assert run.info.status == "FINISHED"
    trials = open_runs()
    trials.add(*finished, 2)
    trials.add(*finished, 3)
    assert [one.info.run_id for one in children(ViewType.ALL)] == [run.info.run_id]


def test_failed_trial_keeps_its_run_until_it_is_repeated(
    open_runs, children, client, trial, tmp_path
):
    """A failed search trial, which is not repeated, vanished when the study was continued."""
    folder = tmp_path / "t"
    for _ in range(3):
        count_failure(folder)
    write_failed(folder, trial, ROWS[:1], "Traceback: out of memory")
    outcome = read_outcome(folder)
    assert outcome is not None
    open_runs().add(folder, outcome, 1)
    again = open_runs()
    again.add(folder, outcome, 2)
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")
    assert run.data.tags["attempts"] == "3"
    assert points(client, run, "train/loss") == [(2, 1.5)]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == [TRACEBACK]
    again.begin(trial)
    (run,) = children()
    assert run.info.status == "RUNNING"


def test_pruned_trial(open_runs, children, client, trial, tmp_path):
    folder = tmp_path / "t"
    write_pruned(folder, trial, ROWS[:1])
    outcome = read_outcome(folder)
    assert outcome is not None
    open_runs().add(folder, outcome, 1)
    (run,) = children()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "pruned")
    assert points(client, run, "train/loss") == [(2, 1.5)]
    assert "converged" not in run.data.tags


def test_a_run_that_a_person_deleted_before_its_trial_goes_on_is_replaced(
    open_runs, record, client, children, trial
):
    open_runs(record).begin(trial)
    again = open_runs(record)
    (deleted,) = children()
    client.delete_run(deleted.info.run_id)
    again.begin(trial)
    again.log_rows(trial.key, ROWS, 1)
    (run,) = children()
    assert run.info.run_id != deleted.info.run_id
    assert run.data.metrics["train/loss"] == 1.0


def test_trial_of_a_deleted_study_folder_is_replaced(open_runs, children, trial, finished):
    """Its run in MLflow outlived the folder; a second one beside it counted the trial twice."""
    open_runs().add(*finished, 1)
    open_runs().begin(trial)
    (run,) = children()
    assert run.info.status == "RUNNING"


def test_deleted_experiment_comes_back(open_runs, client, config):
    open_runs()
    client.delete_experiment(client.get_experiment_by_name(config.name).experiment_id)
    open_runs()
    assert client.get_experiment_by_name(config.name).lifecycle_stage == "active"


BARREN, OPEN = "Barren Land (Rock/Sand/Clay)", "Developed, Open Space"


@pytest.fixture
def open_land_cover(open_runs, config, tmp_path) -> Callable[..., TrialRuns]:
    """Opens the record of a study with classes of NLCD."""
    classes = [{"name": BARREN}, {"name": OPEN}, {"name": "car"}]
    content = {"study_id": "a1", "config": config.to_plain(), "dataset": {"classes": classes}}

    def make(*given: StudyRun) -> TrialRuns:
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
        return open_runs(*given)

    return make


def scored(folder: Path, outcome: Outcome, metrics: dict[str, float]) -> tuple[Path, Outcome]:
    record = {**json.loads((folder / RESULT).read_text()), "metrics": metrics}
    (folder / RESULT).write_text(json.dumps(record))
    again = read_outcome(folder)
    assert again is not None
    return folder, again


SCORES = {f"test/iou_{BARREN}": 0.25, f"test/iou_{OPEN}": 0.5, "test/iou_car": 0.75}


def test_classes_that_mlflow_would_refuse_are_delivered_and_shown_as_spelled(
    open_land_cover, children, runs, finished
):
    """All trials ran, then MLflow refused their scores for ever."""
    open_land_cover().add(*scored(*finished, SCORES), 1)
    (run,) = children()
    assert run.info.status == "FINISHED"
    assert {name: value for name, value in run.data.metrics.items() if "test/" in name} == {
        "test/iou_Barren Land _Rock/Sand/Clay_": 0.25,
        "test/iou_Developed_ Open Space": 0.5,
        "test/iou_car": 0.75,
    }
    (parent,) = (run for run in runs() if run.data.tags["phase"] == "study")
    assert {
        name: value for name, value in parent.data.tags.items() if name.startswith("class_")
    } == {
        "class_Barren Land _Rock/Sand/Clay_": BARREN,
        "class_Developed_ Open Space": OPEN,
    }


def test_scores_that_were_refused_before_are_delivered_by_the_next_run(
    open_runs, open_land_cover, children, client, finished, monkeypatch
):
    folder, outcome = scored(*finished, SCORES)
    with monkeypatch.context() as patch:
        patch.setattr(MetricNames, "of", lambda _, name: name)  # as code that knew no other names
        earlier = open_land_cover()
        with pytest.raises(MlflowException, match="Invalid value"):
            earlier.add(folder, outcome, 1)
    open_runs().stop()
    open_land_cover().add(folder, outcome, 2)
    (run,) = children(ViewType.ALL)
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "finished")
    assert run.data.metrics["test/iou_Barren Land _Rock/Sand/Clay_"] == 0.25
    assert points(client, run, "train/loss") == [(2, 1.5), (4, 1.0)]


def test_the_list_of_runs_had_2032_columns_for_254_classes(
    open_runs, config, children, finished, tmp_path
):
    classes = [{"name": f"class {index}"} for index in range(254)]
    content = {"study_id": "a1", "config": config.to_plain(), "dataset": {"classes": classes}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    many = {f"test/{kind}_class {index}": 0.5 for kind in ("f1", "iou", "precision", "recall")
            for index in range(254)}  # fmt: skip
    folder, outcome = scored(*finished, many)
    open_runs().add(folder, outcome, 1)
    (run,) = children()
    assert {name for name in run.data.metrics if "test/" in name} == {
        f"test/iou_class {index}" for index in range(10)
    }


def test_many_renamed_classes_are_all_shown(open_runs, config, runs, tmp_path):
    classes = [{"name": f"class ({index})"} for index in range(150)]
    content = {"study_id": "a1", "config": config.to_plain(), "dataset": {"classes": classes}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    open_runs()
    (parent,) = runs()
    assert sum(name.startswith("class_") for name in parent.data.tags) == 150


def test_a_folder_whose_name_is_no_utf8_is_recorded_with_escapes(
    open_runs, children, finished, tmp_path
):
    folder, outcome = finished
    odd = tmp_path / "caf\udce9"
    folder.rename(odd)
    open_runs().add(odd, outcome, 1)
    (run,) = children()
    assert run.data.tags["trial_folder"].endswith(r"caf\udce9")


def test_record_of_an_earlier_version_with_a_login_goes_on_and_says_so(
    open_runs, record, client, runs, config, tmp_path, store
):
    """MLflow refuses another value of a parameter, and so did the study's next run."""
    plain = config.to_plain()
    del plain["tracking_uri"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"study_id": "a1", "config": plain}))
    open_runs(record)
    (parent,) = runs()
    client.log_param(parent.info.run_id, "tracking_uri", "http://me:s3cret@host")
    cleaned = {"study_id": "a1", "config": plain | {"tracking_uri": "http://host"}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(cleaned))
    again = StudyRun(store, config.name)
    open_runs(again)
    (note,) = again.notes
    assert parent.info.run_id in note
    assert "change the password" in note
    assert "s3cret" not in note


def test_login_of_the_configuration_is_no_parameter(open_runs, config, runs, tmp_path):
    given = config.to_plain() | {"tracking_uri": "postgresql://me@host/db?password=s3cret"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"study_id": "a1", "config": given}))
    open_runs()
    (parent,) = runs()
    assert parent.data.params["tracking_uri"] == "postgresql://host/db"


def test_a_name_that_the_database_takes_for_another_study_s_is_refused(store, config, monkeypatch):
    """MySQL compares without case: two studies would be one experiment."""
    real = MlflowClient.get_experiment_by_name
    StudyRun(store, config.name)
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: real(self, config.name)
    )
    with pytest.raises(ConfigError, match=rf"got '{config.name.upper()}' beside '{config.name}'"):
        StudyRun(store, config.name.upper())


def test_artifact_root_of_another_machine_is_refused_before_the_first_run(store, config, client):
    client.create_experiment(config.name, artifact_location="/proc/of-the-server/7")
    with pytest.raises(ConfigError, match=r"artifact root of study .* '/proc/of-the-server/7'"):
        StudyRun(store, config.name)


def test_login_is_in_no_message_of_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    secret = "s3cret"
    with pytest.raises(ConfigError, match=r"got 'http://127\.0\.0\.1:9': connection refused") as it:
        check_store(f"http://me:{secret}@127.0.0.1:9")
    assert secret not in "".join(traceback.format_exception(it.value))


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://me:s3cret@localhost/mlflow", "no module psycopg; install psycopg[binary]"),
        ("mysql+pymysql://me:s3cret@localhost/mlflow", "no module pymysql; install pymysql"),
        ("oracle://me:s3cret@localhost/mlflow", "write https://HOST"),
    ],
)
def test_database_without_its_driver_is_one_line_that_says_what_to_install(uri, said, monkeypatch):
    for module in ("psycopg", "pymysql"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        check_store(uri)
    assert "s3cret" not in str(caught.value)


def test_files_that_are_no_database_of_mlflow_are_one_line(store, tmp_path):
    text = tmp_path / "text.db"
    text.write_text("no database\n" * 100)
    with pytest.raises(ConfigError, match="a file that is no database; name an SQLite file"):
        check_store(f"sqlite:///{text}")
    newer = shutil.copy(store.removeprefix("sqlite:///"), tmp_path / "newer.db")
    with contextlib.closing(sqlite3.connect(newer)) as connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
        connection.commit()
    with pytest.raises(ConfigError, match="tables of another version of MLflow; install that"):
        check_store(f"sqlite:///{newer}")


@pytest.mark.parametrize("uri", ["mlruns", "nonsense://x", "sqlite:////proc/none/x.db"])
def test_store_that_cannot_be_used_is_refused(uri):
    with pytest.raises(ConfigError, match="--tracking-uri") as caught:
        check_store(uri)
    assert "\n" not in str(caught.value)
    assert repr(uri) in str(caught.value)


def test_another_study_of_the_same_name_gets_a_parent_of_its_own(
    store, config, tmp_path, children, finished
):
    parents = []
    for study_id in ("first", "second"):
        manifest = tmp_path / study_id / "study.yaml"
        (manifest.parent / "budgets").mkdir(parents=True)
        manifest.write_text(yaml.safe_dump({"study_id": study_id, "config": config.to_plain()}))
        record = StudyRun(store, config.name)
        record.open(manifest, manifest.parent / "budgets").add(*finished, 1)
        parents.append(record.parent_id)
    assert parents[0] != parents[1]
    assert {run.data.tags["mlflow.parentRunId"] for run in children()} == set(parents)


def test_rows_of_a_trial_whose_run_was_refused_are_refused_too(open_runs, trial, finished):
    """Somebody deleted the experiment: a KeyError ended the study."""
    trials = open_runs()
    for write in (lambda: trials.log_rows(trial.key, ROWS, 1), lambda: trials.end(*finished, 1)):
        with pytest.raises(MlflowException, match="has no run") as caught:
            write()
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_deleted_parent_comes_back_with_its_trials(open_runs, record, client, children, finished):
    open_runs(record).add(*finished, 1)
    client.delete_run(record.parent_id)
    open_runs().add(*finished, 2)
    (run,) = children()
    assert run.data.tags["mlflow.parentRunId"] == record.parent_id
    assert client.get_run(record.parent_id).info.lifecycle_stage == "active"


def test_an_artifact_store_that_is_away_is_no_mistake_of_ours():
    class BotoCoreError(Exception):
        """As boto3 raises them."""

    with pytest.raises(OSError, match="BotoCoreError: away"), artifact_errors():
        raise BotoCoreError("away")


def test_maps_of_a_finished_trial_go_with_it(open_runs, children, client, finished):
    folder, _ = finished
    (folder / "maps").mkdir()
    (folder / "maps" / "c1.png").write_bytes(b"map")
    open_runs().add(*finished, 1)
    (run,) = children()
    (kept,) = client.list_artifacts(run.info.run_id, "maps")
    assert (kept.path, kept.file_size) == ("maps/c1.png", 3)


def test_maps_of_a_failed_trial_stay_away(open_runs, children, client, trial, tmp_path):
    folder = tmp_path / "t"
    (folder / "maps").mkdir(parents=True)
    (folder / "maps" / "c1.png").write_bytes(b"map")
    write_failed(folder, trial, ROWS[:1], "Traceback: out of memory")
    outcome = read_outcome(folder)
    assert outcome is not None
    open_runs().add(folder, outcome, 1)
    (run,) = children()
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == [TRACEBACK]


def test_pictures_of_the_test_tiles_are_sent_once(open_runs, record, client, tmp_path, monkeypatch):
    folder = tmp_path / "test_tiles"
    folder.mkdir()
    (folder / "c1.jpg").write_bytes(b"image")
    open_runs(record)
    (kept,) = client.list_artifacts(record.parent_id, "test_tiles")
    assert (kept.path, kept.file_size) == ("test_tiles/c1.jpg", 5)
    (folder / "c1_reference.png").write_bytes(b"reference")
    sent, send = [], MlflowClient.log_artifact

    def spied(self, run_id, path, *more):
        sent.append(Path(path).name)
        send(self, run_id, path, *more)

    monkeypatch.setattr(MlflowClient, "log_artifact", spied)
    open_runs()
    assert sent == ["study.yaml", "c1_reference.png"]


@pytest.mark.parametrize("state", ["finished", "pruned", "failed"])
def test_the_profile_of_a_trial_goes_with_it_however_it_ended(
    open_runs, children, client, trial, finished, tmp_path, state
):
    folder, outcome = finished
    if state != "finished":
        folder = tmp_path / state
        write = write_pruned if state == "pruned" else partial(write_failed, traceback="NaN")
        write(folder, trial, ROWS)
        outcome = read_outcome(folder)
    (folder / "profile").mkdir()
    for name in ("trace.json.gz", "operators.txt"):
        (folder / "profile" / name).write_bytes(b"a")
    runs = open_runs()
    runs.begin(trial)
    runs.end(folder, outcome, 1)
    (run,) = children()
    found = [file.path for file in client.list_artifacts(run.info.run_id, "profile")]
    assert found == ["profile/operators.txt", "profile/trace.json.gz"]


def test_times_of_the_study_are_metrics_of_its_run(open_runs, record, runs, client):
    open_runs(record)
    record.log_times(dict, 1)
    assert runs()[0].data.metrics == {}
    record.log_times(lambda: {"time/wall_s": 10.0, "time/sessions": 1.0}, 2)
    record.log_times(lambda: {"time/wall_s": 15.0, "time/sessions": 2.0}, 3)
    assert runs()[0].data.metrics == {"time/wall_s": 15.0, "time/sessions": 2.0}
