"""Where a run comes from: the code and its version, and the data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from contract.names import DISTRIBUTION
from study.design.preflight import SCENES

_COMMAND: Final = "run_study.py"
_DIGITS: Final = 32
"""Of a digest; MLflow takes 36."""


def source_tags(commit: str | None) -> dict[str, str]:
    """Tags of a run that say which code wrote it.

    Args:
        commit: Of the code, with `+changes` where files differ; None where it is not known.
    """
    tags = {MLFLOW_SOURCE_NAME: _COMMAND, MLFLOW_SOURCE_TYPE: "LOCAL"}
    try:
        tags["version"] = f"{DISTRIBUTION} {version(DISTRIBUTION)}"
    except PackageNotFoundError:  # run from a folder that was never installed
        tags["version"] = DISTRIBUTION
    return tags if commit is None else tags | {MLFLOW_GIT_COMMIT: commit}


def data_set_of(manifest: Mapping[str, Any]) -> DatasetInput | None:
    """The data set of a study as MLflow names one: name, checksum of all tiles, place.

    Args:
        manifest: Content of `study.yaml`.

    Returns:
        None where the record says nothing of its tiles.
    """
    data_set = manifest.get("dataset", {})
    if not (data_set.get("checksums") and data_set.get("name")):
        return None
    held = json.dumps(data_set["checksums"], sort_keys=True).encode()
    config = manifest["config"]
    place = config.get("data") or Path(config.get("output", "studies")) / SCENES
    return DatasetInput(
        dataset=Dataset(
            name=str(data_set["name"]),
            digest=hashlib.sha256(held).hexdigest()[:_DIGITS],
            source_type="local",
            source=json.dumps({"uri": str(Path(place).absolute())}),
        ),
        tags=[InputTag(key=MLFLOW_DATASET_CONTEXT, value="training, validation, test")],
    )
