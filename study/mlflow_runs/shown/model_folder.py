"""The files of a model of MLflow, for its registry and its servers."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import mlflow.pyfunc
import numpy as np
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

import contract
import trainables
from contract.names import MODEL_FILE
from trainables.networks.model_file import TrainedModel
from trainables.predict import mlflow_model

_REFUSED: Final = re.compile("[/:.%\"']")
"""Characters that MLflow allows in no name of a model."""
_NEEDED: Final = ("torch", "numpy")
"""Packages that a network is applied with; `trainables.predict.mlflow_model` imports no others."""
_ENCODERS: Final = "transformers"
_ROOMS: Final = (contract, trainables)
"""This project's code that travels with a model: it is in no package registry."""


def model_name(arm: str) -> str:
    """The name of an arm's model, such as `NAME-f0_01` at 1 %."""
    return _REFUSED.sub("_", arm)


@contextmanager
def written_model(
    file: Path, trained: TrainedModel, logged: LoggedModel, own_code: Sequence[str] = ()
) -> Iterator[Path]:
    """A folder with the model as MLflow keeps it, until the end of the block.

    Args:
        file: A trained network, `model.pt`.
        trained: What it holds.
        logged: What MLflow knows of the model.
        own_code: Files and folders of networks of a person's own.
    """
    model = Model(
        artifact_path=logged.artifact_location,
        run_id=logged.source_run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory(prefix="mlflow-model-") as name:
        folder = Path(name) / "model"
        mlflow.pyfunc.save_model(
            str(folder),
            mlflow_model=model,
            loader_module=mlflow_model.__name__,
            data_path=str(file),
            code_paths=[*(str(Path(str(one.__file__)).parent) for one in _ROOMS), *own_code],
            signature=signature_of(trained),
            pip_requirements=requirements_of(trained),
        )
        yield folder


def signature_of(trained: TrainedModel) -> ModelSignature:
    """Image (C, H, W) in the type of the training, to class indices (H, W)."""
    shape = (len(trained.bands), -1, -1)
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(trained.scaling.dtype), shape)]),
        outputs=Schema([TensorSpec(np.dtype("uint8"), (-1, -1))]),
    )


def requirements_of(trained: TrainedModel) -> list[str]:
    """What `pip` installs to apply it; the release of torch without the name of its build."""
    names = (*_NEEDED, _ENCODERS) if trained.encoder is not None else _NEEDED
    return [f"{name}=={version(name).partition('+')[0]}" for name in names]


def drop_weights(stored: Path) -> None:
    """Remove a model's copy of a model file, which may be the trial's own file by another name.

    MLflow writes into the files that it finds; see `share_weights`.

    Args:
        stored: The folder that holds the copy, if there is one.
    """
    for name in (MODEL_FILE, f".{MODEL_FILE}.*"):  # the latter where sharing was cut off
        for copy in stored.rglob(name):
            copy.unlink()


def share_weights(file: Path, stored: Path) -> None:
    """Let a copy of a model file be that file itself, where both lie on one disk.

    Neither is ever changed in place: files are replaced as a whole.

    Args:
        file: The trial's.
        stored: The folder that holds the model's copy of it.
    """
    copy = next(iter(stored.rglob(MODEL_FILE)), None)
    if copy is None:
        return
    linked = copy.with_name(f".{MODEL_FILE}.{os.getpid()}")
    with suppress(OSError):  # two disks, or one that knows no links: then it stays a copy
        os.link(file, linked)
        linked.replace(copy)
