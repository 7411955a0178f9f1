"""A tiny data set on disk and tiny training, for the tests of the study layer."""

import contextlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.errors import NotGeoreferencedWarning

from study.config import StudyConfig, build_config
from study.record import check_store

os.environ.pop("MLFLOW_TRACKING_URI", None)

DATASET_YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}, {name: wood, value: 2}]
ignore_values: [9]
splits: {train: [a*], val: [b1], test: [c*]}
"""
TRAINING = {
    "width": 4,
    "downsample": 1,
    "patch_px": 32,
    "sampling": "random",
    "batch_size": 2,
    "steps": 4,
    "epochs": None,
    "warmup_steps": 1,
    "ema_decay": 0.0,
    "num_validations": 2,
    "infer_window_px": 64,
    "infer_step_px": 64,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tests share the machine with others, and tiny networks gain nothing from more threads."""
    torch.set_num_threads(1)


def _write(file: Path, bands: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "w", driver="GTiff", **profile) as target:
            target.write(bands)


def _write_dataset(folder: Path, *, masks: bool = True, unlabelled: tuple[str, ...] = ()) -> Path:
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :96]
    mask = ((rows // 20 + columns // 24) % 3).astype(np.uint8)
    for tile in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        noise = generator.integers(0, 30, (3, 80, 96))
        _write(folder / "images" / f"{tile}.tif", (mask[None] * 70 + noise).astype(np.uint8))
        if masks:
            shown = np.full_like(mask, 9) if tile in unlabelled else mask
            _write(folder / "masks" / f"{tile}.tif", shown[None])
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., Path]:
    """Writes 4 training, 1 validation and 2 test tiles of 80 x 96 pixels with a dataset.yaml."""
    return _write_dataset


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set; for reading only."""
    return _write_dataset(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture
def make_config(tiny_folder: Path, tmp_path: Path) -> Callable[..., StudyConfig]:
    """A study of the tiny data set that writes below `tmp_path`; options as keywords."""

    def make(**options: Any) -> StudyConfig:
        given = {"name": "tiny", "data": str(tiny_folder), "output": str(tmp_path / "studies")}
        return build_config({**TRAINING, **given, **options})

    return make


@pytest.fixture(scope="session")
def tiny_training() -> dict[str, Any]:
    """Training fields of a run of a second."""
    return dict(TRAINING)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of an SQLite database with MLflow's tables, which take seconds to create."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with contextlib.chdir(folder):  # where MLflow makes its folder of artifacts
        check_store(uri)
    return uri
