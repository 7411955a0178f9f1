"""A confirmed network in MLflow, loaded back as a server would."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests
import torch
from mlflow.entities import Dataset, DatasetInput, LoggedModel, LoggedModelStatus, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_logged_model_name

from contract.names import MODEL_FILE
from study.mlflow_runs.shown.model_folder import (
    model_name,
    requirements_of,
    share_weights,
    signature_of,
)
from study.mlflow_runs.trial_runs import TrialRuns
from study.mlflow_runs.upload_queue import UploadQueue
from study.runner import _log_models
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling
from trainables.errors import DataError
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
from trainables.predict.command import load_trained
from trainables.predict.mlflow_model import ServedModel

KEY = "confirm-unet-f1.00-s1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    network = build_network("unet", 3, 2, width=2, generator=torch.Generator().manual_seed(1))
    colors = ((1, 2, 3), (4, 5, 6))
    trained = TrainedModel(
        network="unet", width=2, bands=("r", "g", "b"), downsample=1, window_px=64, step_px=64,
        classes=tuple(ClassSpec(name=f"c{i}", color=one) for i, one in enumerate(colors)),
        scaling=BandScaling(dtype="uint16", low=(0.0,) * 3, high=(900.0,) * 3), trial_key=KEY,
        state=network.state_dict(),
    )  # fmt: skip
    path = tmp_path / KEY / MODEL_FILE
    trained.save(path)
    return path


@pytest.fixture
def client(store: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store)


@pytest.fixture
def run(client: MlflowClient, tmp_path: Path) -> Run:
    """The run of a trial that has ended."""
    experiment = client.create_experiment(
        f"served-{tmp_path.name}", artifact_location=(tmp_path / "runs").as_uri()
    )
    parent = client.create_run(experiment)
    tags = {
        "trial_key": KEY, "arm": "unet-f1.00", "mlflow.parentRunId": parent.info.run_id,
        "trial_folder": str(tmp_path / KEY),
    }  # fmt: skip
    run = client.create_run(experiment, tags=tags)
    client.log_param(run.info.run_id, "label_frac", "1.0")
    client.set_tag(run.info.run_id, "mlflow.note.content", "what it found")
    used = Dataset(name="town", digest="12ab", source_type="local", source="{}")
    client.log_inputs(run.info.run_id, [DatasetInput(used)])
    client.log_metric(run.info.run_id, "test/mean_f1", 0.5, step=0)
    client.log_metric(run.info.run_id, "perf/train_s", 9, step=0)
    client.set_terminated(run.info.run_id)
    return client.get_run(run.info.run_id)


@pytest.fixture
def runs(client: MlflowClient, run: Run) -> TrialRuns:
    return TrialRuns(client, run.info.experiment_id, run.data.tags["mlflow.parentRunId"], None)


@pytest.fixture
def logged(client: MlflowClient, run: Run, runs: TrialRuns, file: Path) -> LoggedModel:
    """The model of the run, logged twice as after a server that went away."""
    for _ in range(2):
        runs.log_model(file)
    (logged,) = client.search_logged_models([run.info.experiment_id])
    return logged


def test_a_served_model_needs_nothing_of_this_project_installed(logged, store, file, tmp_path):
    """It is in no package registry: a server that installs the requirements has torch and numpy."""
    image = np.random.default_rng(0).integers(0, 900, (3, 70, 80)).astype(np.uint16)
    np.save(tmp_path / "image.npy", image)
    code = f"""
import mlflow, numpy as np, sys
mlflow.set_tracking_uri({store!r})
model = mlflow.pyfunc.load_model("models:/{logged.model_id}")
classes = model.predict(np.load({str(tmp_path / "image.npy")!r}))
np.save({str(tmp_path / "classes.npy")!r}, classes)
print(sys.modules["trainables"].__file__, *(m for m in ("rasterio", "ray") if m in sys.modules))
"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place = done.stdout.split()
    assert len(place) == 1, "nothing else was imported"
    assert "/code/trainables/" in place[0]
    expected = ServedModel(TrainedModel.load(file)).predict(image)
    assert np.array_equal(np.load(tmp_path / "classes.npy"), expected)


def test_the_registry_takes_the_model(logged, store, monkeypatch):
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", store)
    taken = mlflow.register_model(f"models:/{logged.model_id}", "town")
    assert taken.run_id == logged.source_run_id
    of_run = f"runs:/{logged.source_run_id}/unet-f1_00"
    assert mlflow.models.get_model_info(of_run).model_id == logged.model_id


def test_the_list_of_models_was_empty(client, logged, run):
    """Models lay among the artifacts of their runs, where MLflow's page of models shows none."""
    assert (logged.name, logged.status) == ("unet-f1_00", LoggedModelStatus.READY)
    assert logged.params == {"label_frac": "1.0"}
    assert logged.tags["mlflow.note.content"] == "what it found"
    check_logged(client, run)


def check_logged(client: MlflowClient, run: Run) -> None:
    """The run has one model, with its test scores, and each of its own points once."""
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert logged.status == LoggedModelStatus.READY
    (score,) = logged.metrics
    assert (score.key, score.value, score.dataset_name) == ("test/mean_f1", 0.5, "town")
    (output,) = client.get_run(run.info.run_id).outputs.model_outputs
    assert output.model_id == logged.model_id
    history = client.get_metric_history(run.info.run_id, "test/mean_f1")
    assert [(one.step, one.value) for one in history] == [(0, 0.5)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "call",
    ["create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_batch",
     "log_outputs"],
)  # fmt: skip
def test_a_model_that_was_cut_off_is_taken_up(client, run, runs, file, monkeypatch, call, after):
    sent = getattr(client, call)

    def break_off(*given, **named):
        if after:  # it arrived, and the answer was lost
            sent(*given, **named)
        raise OSError("connection reset")

    with monkeypatch.context() as broken:
        broken.setattr(client, call, break_off)
        with pytest.raises(OSError, match="connection reset"):
            runs.log_model(file)
    runs.log_model(file)
    check_logged(client, run)


def test_a_second_upload_does_not_write_into_the_trials_own_file(client, runs, file, monkeypatch):
    """The first had made the copy a second name of it; a kill in the middle would take both."""
    with monkeypatch.context() as broken:
        broken.setattr(client, "finalize_logged_model", refused("INTERNAL_ERROR"))
        with pytest.raises(MlflowException):
            runs.log_model(file)
    upload = client.log_model_artifacts

    def watched(model_id, folder):
        assert file.stat().st_nlink == 1
        upload(model_id, folder)

    monkeypatch.setattr(client, "log_model_artifacts", watched)
    runs.log_model(file)
    assert file.stat().st_nlink == 2


def test_a_request_that_was_repeated_below_leaves_one_model(client, run, runs, file, monkeypatch):
    create = client.create_logged_model

    def twice(*given, **named):
        create(*given, **named)
        return create(*given, **named)

    monkeypatch.setattr(client, "create_logged_model", twice)
    runs.log_model(file)
    check_logged(client, run)


def refused(word: str):
    def refuse(*_, **__):
        raise MlflowException("it said no", error_code=ErrorCode.Value(word))

    return refuse


def denied(*_, **__):
    response = requests.Response()
    response.status_code = 403
    raise requests.HTTPError("403 Forbidden", response=response)


@pytest.mark.parametrize(
    ("call", "refuse", "said"),
    [
        ("search_logged_models", refused("ENDPOINT_NOT_FOUND"), "none before version 3"),
        ("create_logged_model", refused("PERMISSION_DENIED"), "it said no"),
        ("log_model_artifacts", denied, "403 Forbidden"),
    ],
)
def test_a_study_ends_well_on_a_server_that_takes_no_models(
    client, runs, file, monkeypatch, capsys, call, refuse, said
):
    monkeypatch.setattr(client, call, refuse)
    queue = UploadQueue()
    queue.put(_log_models, [file], [], runs)
    assert queue.close(60)
    assert queue.refused == []
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"note: the network of {KEY} is not among the models in MLflow: ")
    assert said in told


@pytest.mark.parametrize(("word", "status"), [("INTERNAL_ERROR", 500), ("UNAUTHENTICATED", 401)])
def test_what_may_pass_is_tried_again(client, runs, file, monkeypatch, word, status):
    def fail(*_, **__):
        response = requests.Response()
        response.status_code = status
        raise requests.HTTPError("not now", response=response)

    with monkeypatch.context() as broken:
        broken.setattr(client, "create_logged_model", refused(word))
        with pytest.raises(MlflowException):
            runs.log_model(file)
        broken.setattr(client, "create_logged_model", fail)
        with pytest.raises(OSError, match="not now"):
            runs.log_model(file)
    runs.log_model(file)


def test_a_damaged_network_leaves_no_model_behind(client, run, runs, file):
    file.write_bytes(b"")
    with pytest.raises(DataError):
        runs.log_model(file)
    assert not client.search_logged_models([run.info.experiment_id])


def test_a_run_that_a_person_deleted_gets_no_model(client, run, runs, file):
    client.delete_run(run.info.run_id)
    with pytest.raises(MlflowException, match="deleted"):
        runs.log_model(file)
    assert not client.search_logged_models([run.info.experiment_id])


def test_a_network_whose_trial_has_lost_its_folder_comes_from_its_model(logged, file, store):
    told = TrainedModel.load(file)
    file.unlink()
    for address in (logged.source_run_id, logged.model_id, f"models:/{logged.model_id}"):
        found = load_trained(address, store)
        assert found.trial_key == told.trial_key
        assert all(torch.equal(found.state[name], value) for name, value in told.state.items())
    with pytest.raises(DataError, match="a model of MLflow's"):
        load_trained("m-" + 32 * "0", store)


def test_names_that_mlflow_refuses_are_not_asked_for():
    name = model_name("my.nets:UNet++-f0.01")
    assert name == "my_nets_UNet++-f0_01"
    _validate_logged_model_name(name)


def test_weights_lay_on_the_disk_twice(logged, file):
    (copy,) = Path(logged.artifact_location.removeprefix("file://")).rglob(MODEL_FILE)
    assert copy.samefile(file)


def test_weights_that_cannot_be_shared_stay_a_copy(file, tmp_path, monkeypatch):
    stored = tmp_path / "stored"
    stored.mkdir()
    (stored / MODEL_FILE).write_bytes(b"weights")

    def refuse(*_):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    share_weights(file, stored)
    assert [one.name for one in stored.iterdir()] == [MODEL_FILE]
    assert (stored / MODEL_FILE).read_bytes() == b"weights"


def test_signature_and_requirements(file):
    trained = TrainedModel.load(file)
    signature = signature_of(trained)
    (image,), (classes,) = signature.inputs.inputs, signature.outputs.inputs
    assert (image.type, image.shape) == (np.dtype("uint16"), (3, -1, -1))
    assert (classes.type, classes.shape) == (np.dtype("uint8"), (-1, -1))
    needed = requirements_of(trained)
    assert [one.partition("==")[0] for one in needed] == ["torch", "numpy"]
    assert not any("+" in one for one in needed), "a build of torch is on no index"
