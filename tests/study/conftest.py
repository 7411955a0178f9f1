"""Tiny training, for the tests of the study layer."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from study.settings.config import StudyConfig, build_config

os.environ.pop("MLFLOW_TRACKING_URI", None)

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


@pytest.fixture(scope="session", autouse=True)
def _scripts_are_read_once() -> Iterator[None]:
    """Optuna and MLflow read all scripts of their versions at each database that is opened."""
    from alembic.script import ScriptDirectory

    read = ScriptDirectory.from_config
    known: dict[str | None, ScriptDirectory] = {}

    def once(_: type[ScriptDirectory], config: Any) -> ScriptDirectory:
        place = config.get_main_option("script_location")
        if place not in known:
            known[place] = read(config)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", classmethod(once))
        yield


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
def store(mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of an SQLite database with MLflow's tables, for all tests that write to one."""
    copied = shutil.copy(mlflow_database, tmp_path_factory.mktemp("mlflow"))
    return f"sqlite:///{copied}"
