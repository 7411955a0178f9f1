"""A confirmed network in MLflow, loaded back as a server would."""

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient

from contract.names import MODEL_FILE
from study.mlflow_runs.shown.model import requirements_of, share_weights, signature_of
from study.mlflow_runs.trial_runs import TrialRuns
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel
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
def logged(store: str, tmp_path: Path, file: Path):
    """The run of a trial whose network was logged, twice as after a server that went away."""
    client = MlflowClient(tracking_uri=store)
    experiment = client.create_experiment(
        f"served-{tmp_path.name}", artifact_location=(tmp_path / "runs").as_uri()
    )
    parent = client.create_run(experiment)
    tags = {"trial_key": KEY, "mlflow.parentRunId": parent.info.run_id}
    run = client.create_run(experiment, tags=tags)
    runs = TrialRuns(client, experiment, parent.info.run_id, None)
    for _ in range(2):
        runs.log_model(file)
    return client.get_run(run.info.run_id)


def test_a_served_model_needs_nothing_of_this_project_installed(logged, store, file, tmp_path):
    """It is in no package registry: a server that installs the requirements has torch and numpy."""
    image = np.random.default_rng(0).integers(0, 900, (3, 70, 80)).astype(np.uint16)
    np.save(tmp_path / "image.npy", image)
    code = f"""
import mlflow, numpy as np, sys
mlflow.set_tracking_uri({store!r})
model = mlflow.pyfunc.load_model("runs:/{logged.info.run_id}/model")
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
    taken = mlflow.register_model(f"runs:/{logged.info.run_id}/model", "town")
    assert taken.run_id == logged.info.run_id
    assert '"artifact_path": "model"' in logged.data.tags["mlflow.log-model.history"]


def test_weights_lay_on_the_disk_twice(logged, file):
    (copy,) = Path(logged.info.artifact_uri.removeprefix("file://")).rglob(MODEL_FILE)
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
