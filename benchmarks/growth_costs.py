"""The costs that `growth.py` measures: what is done at which sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from blob_trials import (
    NUM_CLASSES,
    blob_tile,
    enter_trial_process,
    run_trial,
    training_data,
    trial_config,
)
from growth_chart import Expected

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.patches.positions import GridPositions, RandomPositions
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import TileSet, pack_tiles
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.networks.build import build_network
from trainables.settings.config import TrialConfig
from trainables.training.loop import TrainingData

Runs = Mapping[float, Callable[[], float]]
"""By size: does the work once and returns its wall seconds."""

_BATCH = 4
_PATCH_PX, _STRIDE_PX = 64, 16
_STEPS = (20, 40, 80)
_FIXED_STEPS = 20
_NUM_TILES = (2, 4, 8, 16)
_TILE_PX = 256
_MANY_TILES = (8, 16, 32, 64)
_REPEATS = 20
"""Of what takes milliseconds, within one turn."""
_PATCH_SIDES_PX = (64, 96, 128, 192)
_EVALUATED_SIDES_PX = (512, 724, 1024, 1448)
"""Areas that double; large beside a window, so that its overlap at the edges weighs little."""
_WINDOW_PX, _WINDOW_STEP_PX = 64, 32


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One cost and its cause."""

    title: str
    size: str
    """What grows, for the axis."""
    expected: Expected
    prepare: Callable[[int, int | None], Runs]
    """From the width of the network and the number of threads."""


def _training_steps(width: int, num_threads: int | None) -> Runs:
    enter_trial_process(num_threads)
    data = training_data(2, _TILE_PX)
    return {num: partial(_train, _trial(width, steps=num), data) for num in _STEPS}


def _training_tiles(width: int, num_threads: int | None) -> Runs:
    enter_trial_process(num_threads)
    config = _trial(width, steps=_FIXED_STEPS)
    return {num: partial(_train, config, training_data(num, _TILE_PX)) for num in _NUM_TILES}


def _patch_area(width: int, num_threads: int | None) -> Runs:
    enter_trial_process(num_threads)
    data = training_data(2, _TILE_PX)
    return {
        side**2: partial(_train, _trial(width, steps=_FIXED_STEPS, patch_px=side), data)
        for side in _PATCH_SIDES_PX
    }


def _grid_positions(width: int, num_threads: int | None) -> Runs:
    def build(data: TrainingData) -> None:
        GridPositions(data.train, data.annotated, patch_px=_PATCH_PX, stride_px=_STRIDE_PX, seed=0)

    return _over_many_tiles(build)


def _random_positions(width: int, num_threads: int | None) -> Runs:
    def build(data: TrainingData) -> None:
        RandomPositions(data.train, data.annotated, patch_px=_PATCH_PX, seed=0)

    return _over_many_tiles(build)


def _budget(width: int, num_threads: int | None) -> Runs:
    unit = Unit(kind="block", size_px=_PATCH_PX)

    def draw(data: TrainingData) -> None:
        draw_budget(data.train, fraction=0.1, seed=0, unit=unit, num_classes=NUM_CLASSES)

    return _over_many_tiles(draw)


def _evaluation(width: int, num_threads: int | None) -> Runs:
    enter_trial_process(num_threads)
    training = _trial(
        width, steps=1, infer_window_px=_WINDOW_PX, infer_step_px=_WINDOW_STEP_PX
    ).training
    network = build_network("urec", num_classes=NUM_CLASSES, width=width)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def evaluate(tiles: TileSet) -> float:
        start = time.perf_counter()
        scaling, device = uint8_scaling(3), torch.device("cpu")
        evaluate_tiles(network, tiles, training, NUM_CLASSES, scaling, device)
        return time.perf_counter() - start

    sides = _EVALUATED_SIDES_PX
    return {side**2: partial(evaluate, pack_tiles([blob_tile("t", side, 0)])) for side in sides}


def _trial(width: int, **training: Any) -> TrialConfig:
    fields = {"patch_px": _PATCH_PX, "batch_size": _BATCH, "sampling": "random"} | training
    return trial_config(width=width, **fields)


def _train(config: TrialConfig, data: TrainingData) -> float:
    """Seconds of all steps, without validation."""
    return run_trial(config, data).train_s


def _over_many_tiles(work: Callable[[TrainingData], None]) -> Runs:
    def timed(data: TrainingData) -> float:
        start = time.perf_counter()
        for _ in range(_REPEATS):
            work(data)
        return (time.perf_counter() - start) / _REPEATS

    return {num: partial(timed, training_data(num, _TILE_PX)) for num in _MANY_TILES}


COSTS: Mapping[str, Cost] = {
    "training_steps": Cost(
        title="Training time over optimiser steps",
        size="optimiser steps",
        expected="proportional",
        prepare=_training_steps,
    ),
    "training_tiles": Cost(
        title=f"Training time of {_FIXED_STEPS} steps over training tiles",
        size="training tiles",
        expected="constant",
        prepare=_training_tiles,
    ),
    "patch_area": Cost(
        title=f"Training time of {_FIXED_STEPS} steps over patch area",
        size="pixels of a patch",
        expected="proportional",
        prepare=_patch_area,
    ),
    "grid_positions": Cost(
        title="Building the patch grid over training tiles",
        size="training tiles",
        expected="proportional",
        prepare=_grid_positions,
    ),
    "random_positions": Cost(
        title="Building random positions over training tiles",
        size="training tiles",
        expected="proportional",
        prepare=_random_positions,
    ),
    "budget": Cost(
        title="Drawing a budget over training tiles",
        size="training tiles",
        expected="proportional",
        prepare=_budget,
    ),
    "evaluation": Cost(
        title="Evaluation time over tile area",
        size="pixels of a tile",
        expected="proportional",
        prepare=_evaluation,
    ),
}
"""Every cost by the name of its chart."""
