"""Trials on tiles of random blobs, built as a study builds them, without Ray and MLflow."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.settings.processes import keep_freed_memory
from trainables.training.loop import TrainingData, TrainResult, train

NUM_CLASSES = 6
TRIAL_VARIABLES = {"MALLOC_ARENA_MAX": "1"}
"""Of a process that runs trials, as `study.machines.cluster` sets them."""

_BLOB_PX = 24
"""About the size of a blob."""
_NOISE = 30
"""Half the range of the noise on every pixel, out of 255."""
_STUB_PX = 32
"""Side of the validation tile: next to nothing, since validation is not what is timed."""


def enter_trial_process(num_threads: int | None = None) -> None:
    """What a process sets before it runs a trial, once; what the product is compared with does not.

    Args:
        num_threads: Of torch; None leaves it its own number.
    """
    keep_freed_memory()
    if num_threads is not None:
        torch.set_num_threads(num_threads)


def blob_tile(name: str, side_px: int, seed: int) -> Tile:
    """A square tile: smooth random areas, each class in a colour of its own under noise."""
    generator = np.random.default_rng(seed)
    fields = np.stack([smooth(side_px, generator) for _ in range(NUM_CLASSES)])
    mask = fields.argmax(axis=0).astype(np.uint8)
    colours = np.random.default_rng(NUM_CLASSES).integers(50, 206, (NUM_CLASSES, 3))
    noise = generator.integers(-_NOISE, _NOISE + 1, (side_px, side_px, 3))
    image = np.clip(colours[mask] + noise, 0, 255).astype(np.uint8)
    return Tile(name=name, image=np.ascontiguousarray(image.transpose(2, 0, 1)), mask=mask)


def smooth(side_px: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Values (side_px, side_px) interpolated between random ones, some `_BLOB_PX` apart."""
    num = side_px // _BLOB_PX + 2
    coarse = generator.normal(size=(num, num))
    places = np.arange(side_px) / _BLOB_PX
    first = places.astype(int)
    share = places - first
    rows = coarse[first] * (1 - share)[:, None] + coarse[first + 1] * share[:, None]
    between: NDArray[np.float64] = rows[:, first] * (1 - share) + rows[:, first + 1] * share
    return between


def training_data(num_tiles: int, side_px: int) -> TrainingData:
    """Training tiles, fully annotated, and a small one to validate on."""
    tiles = pack_tiles([blob_tile(f"t{index}", side_px, index) for index in range(num_tiles)])
    unit = Unit(kind="tile", size_px=0)
    budget, annotated = draw_budget(tiles, fraction=1.0, seed=0, unit=unit, num_classes=NUM_CLASSES)
    return TrainingData(
        train=tiles,
        annotated=annotated,
        class_px=budget.class_px,
        val=pack_tiles([blob_tile("val", _STUB_PX, num_tiles)]),
        scaling=uint8_scaling(3),
        class_names=tuple("abcdef"),
        exclude_from_mean=(),
    )


def trial_config(*, model: str = "urec", seed: int = 0, **training: Any) -> TrialConfig:
    """A trial at full annotation; `training` are fields of `TrainingConfig`, else the paper's."""
    fields = {"epochs": None, "num_validations": 1, "reconstruct_on": "annotated"} | training
    return TrialConfig(
        key="timed",
        phase="search",
        model=model,  # type: ignore[arg-type]
        label_frac=1.0,
        seed=seed,
        training=TrainingConfig(**fields),
    )


def run_trial(
    config: TrialConfig, data: TrainingData, device: torch.device | None = None
) -> TrainResult:
    """Train to the end, leaving no file."""
    with tempfile.TemporaryDirectory() as folder:
        return train(
            config,
            data,
            device=device or torch.device("cpu"),
            checkpoint=Path(folder) / "none",
            report=lambda step, rows: None,
            checkpoint_every_s=math.inf,
        )
