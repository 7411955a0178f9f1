"""Studies of next to nothing: three tiny tiles, for measuring what lies around the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from contract.mlflow_store.sqlite_address import sqlite_url
from study.settings.config import StudyConfig, build_config

_SIDE_PX = 64


def blank_config(folder: Path, **options: Any) -> StudyConfig:
    """A study that writes below a folder, its MLflow database too.

    Args:
        folder: An empty one.
        options: Of the study and its training, besides a small network and few steps.
    """
    _write_tiles(folder)
    return build_config(
        {
            "data": str(folder),
            "preset": "smoke",
            "downsample": 1,
            "name": "blank",
            "output": str(folder / "studies"),
            "tracking_uri": sqlite_url(folder / "mlflow.db"),
            **options,
        }
    )


def _write_tiles(folder: Path) -> None:
    generator = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "height": _SIDE_PX,
        "width": _SIDE_PX,
        "dtype": "uint8",
        "transform": from_origin(0.0, 0.0, 1.0, 1.0),
    }
    for name in "abc":
        with rasterio.open(folder / f"{name}.tif", "w", count=3, **profile) as file:
            file.write(generator.integers(0, 256, (3, _SIDE_PX, _SIDE_PX), dtype=np.uint8))
        with rasterio.open(folder / f"{name}_mask.tif", "w", count=1, **profile) as file:
            file.write(generator.integers(0, 2, (1, _SIDE_PX, _SIDE_PX), dtype=np.uint8))
    (folder / "dataset.yaml").write_text(
        "name: blank\n"
        "bands: [red, green, blue]\n"
        "images: '{tile}.tif'\n"
        "masks: '{tile}_mask.tif'\n"
        "classes: [{name: one, value: 0}, {name: two, value: 1}]\n"
        "splits: {train: [a], val: [b], test: [c]}\n"
    )
