"""How long the parts of a trial take on this machine, measured in some seconds."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import Tile, TileSet, allocate_tiles, pack_tiles, seal_tiles
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.networks.encoders.reading import read_encoder
from trainables.networks.network import Network
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.training.loop import TrainingData, TrainResult, train

_SAMPLE_SIDE_PX: Final = 2048
_SAMPLE_PX: Final = _SAMPLE_SIDE_PX**2
"""Pixels that are taken of each split: more than any cache holds, and few enough to hand to every
process."""
_PROBE_PATCHES: Final = 2
"""Batch normalisation wants more than one value of a channel, which one small patch may be."""
_MORE_STEPS: Final = 8
"""The next run has so many times as many steps: the first one is slow and tells little of those
after it."""
_PICTURE_SIDE_PX: Final = 512
_STUB_SIDE_PX: Final = 32
_ANY_LR: Final = 1e-6
"""Changes no time, and no loss can run away."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds that the parts of one trial take."""

    step_s: float
    """One optimiser step, its patches included."""
    validation_s: float
    """All validation tiles, once."""
    test_s: float
    """All test tiles, once."""
    picture_s: float
    """What the network does for the picture of a trial."""

    def trial_s(self, trial: TrialConfig) -> float:
        """Training, validations and, for a confirmation trial, the test of one trial."""
        training = trial.training
        test_s = self.test_s if trial.phase == "confirm" else 0.0
        validations_s = training.num_validations * self.validation_s
        return training.steps * self.step_s + validations_s + test_s + self.picture_s


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some tiles of a data set, to be measured on, and the sizes of all."""

    train: TileSet
    val: TileSet
    shapes: Mapping[str, NDArray[np.int64]]
    """Height and width in pixels of all tiles of a split (T, 2), by split."""
    scaling: BandScaling
    class_names: tuple[str, ...]


def take_sample(
    tiles: Mapping[str, TileSet],
    scaling: BandScaling,
    class_names: tuple[str, ...],
    scratch: Path,
) -> Sample:
    """Take tiles from the front of the training and validation split; large ones are cropped.

    Args:
        tiles: All tiles, by split.
        scaling: How their values become those that the network sees.
        class_names: Classes of the data set (K).
        scratch: Folder for the sample of mapped tiles, which stays mapped: where tiles lie
            decides what drawing a patch costs. Nothing is written for tiles in memory.
    """
    return Sample(
        train=_some_tiles(tiles["train"], scratch / "train"),
        val=_some_tiles(tiles["val"], scratch / "val"),
        shapes={split: np.array(held.shapes) for split, held in tiles.items()},
        scaling=scaling,
        class_names=class_names,
    )


def measure_timings(
    trial: TrialConfig, sample: Sample, *, device: torch.device, limit_s: float
) -> Timings:
    """Train and evaluate for a while, by the code that trials run.

    If one step or one window exceeds the limit, a few patches or one window are measured and
    scaled by pixels.

    Args:
        trial: What to train; its steps and validations do not matter.
        sample: What to train on.
        device: Where to train and evaluate.
        limit_s: About how long to train. The whole takes up to about four times as long, or four
            steps of two patches and three windows if that is longer.
    """
    model, step_s = _measure_step(trial, sample, device, limit_s)
    training = trial.training
    px_s = _measure_px(model, sample, training, device, limit_s / 4)
    shown = np.minimum(sample.shapes["val"][:1], _PICTURE_SIDE_PX)
    num_branches = 2 if model.has_reconstruction else 1  # the picture shows the reconstruction too
    return Timings(
        step_s=step_s,
        validation_s=px_s * windows_px(sample.shapes["val"], training),
        test_s=px_s * windows_px(sample.shapes["test"], training),
        picture_s=px_s * windows_px(shown, training) * num_branches,
    )


def windows_px(shapes: NDArray[np.int64], training: TrainingConfig) -> int:
    """Pixels of all windows over tiles (T, 2), those in several windows counted each time."""
    sides = np.minimum(shapes, training.infer_window_px)
    counts = 1 - (sides - shapes) // training.infer_step_px
    return int((counts * sides).prod(axis=1).sum())


def _measure_step(
    trial: TrialConfig, sample: Sample, device: torch.device, limit_s: float
) -> tuple[Network, float]:
    """A network that has been trained a little, and the seconds of one step."""
    data = _training_data(sample, trial.encoder)
    batch = trial.training.batch_size
    few = min(_PROBE_PATCHES, batch)
    _run_steps(trial, data, device, num_steps=1, batch_size=few)  # libraries load, memory grows
    result = _run_steps(trial, data, device, num_steps=1, batch_size=few)
    step_s, num = result.train_s * batch / few, 1
    while step_s < limit_s:
        result = _run_steps(trial, data, device, num_steps=num, batch_size=batch)
        step_s = result.train_s / num
        if result.train_s >= limit_s / 2:
            break
        num = min(_MORE_STEPS * num, math.ceil(limit_s / step_s))
    return result.model, step_s


def _run_steps(
    trial: TrialConfig, data: TrainingData, device: torch.device, *, num_steps: int, batch_size: int
) -> TrainResult:
    """A trial of a few steps and one validation of next to nothing, which leaves no file."""
    training = replace(
        trial.training,
        steps=num_steps,
        epochs=None,
        warmup_steps=0,
        num_validations=1,
        batch_size=batch_size,
        lr=_ANY_LR,
    )
    with tempfile.TemporaryDirectory() as folder:
        return train(
            replace(trial, training=training),
            data,
            device=device,
            checkpoint=Path(folder) / "none",
            report=lambda step, rows: None,
            checkpoint_every_s=math.inf,
        )


def _training_data(sample: Sample, encoder: str | None) -> TrainingData:
    """All of the sample counts as annotated: which pixels do changes no time."""
    unit, num = Unit(kind="tile", size_px=0), len(sample.class_names)
    budget, annotated = draw_budget(sample.train, fraction=1.0, seed=0, unit=unit, num_classes=num)
    return TrainingData(
        train=sample.train,
        annotated=annotated,
        class_px=budget.class_px,
        val=pack_tiles([_crop(sample.val.tile(0), _STUB_SIDE_PX)]),
        scaling=sample.scaling,
        class_names=sample.class_names,
        exclude_from_mean=(),
        encoder=None if encoder is None else read_encoder(encoder),
    )


def _measure_px(
    model: Network,
    sample: Sample,
    training: TrainingConfig,
    device: torch.device,
    limit_s: float,
) -> float:
    """Seconds per pixel of a window, evaluated as validation tiles are."""

    def evaluate(tile: Tile) -> float:
        packed, num_classes = pack_tiles([tile]), len(sample.class_names)
        start = time.perf_counter()
        list(evaluate_tiles(model, packed, training, num_classes, sample.scaling, device))
        return time.perf_counter() - start

    window_px, step_px = training.infer_window_px, training.infer_step_px
    window = _crop(sample.val.tile(0), window_px)
    evaluate(window)  # libraries load, memory grows
    num_fit = max(1, math.isqrt(int(limit_s / evaluate(window))))  # along each side
    taken_s, num_px = 0.0, 0
    for tile in cycle(sample.val):
        crop = _crop(tile, window_px + (num_fit - 1) * step_px)
        taken_s += evaluate(crop)
        num_px += windows_px(np.array([crop.mask.shape]), training)
        if taken_s >= limit_s / 2:
            break
    return taken_s / num_px


def _some_tiles(tiles: TileSet, folder: Path) -> TileSet:
    """The first tiles up to the size of a sample, one at least, every pixel with a class."""
    taken: list[Tile] = []
    num_px = 0
    for tile in tiles:
        crop = _crop(tile, _SAMPLE_SIDE_PX)
        if taken and num_px + crop.mask.size > _SAMPLE_PX:
            break
        taken.append(crop)
        num_px += crop.mask.size
    sample = allocate_tiles(
        [tile.name for tile in taken],
        [(tile.mask.shape[0], tile.mask.shape[1]) for tile in taken],
        num_bands=len(tiles.images),
        dtype=tiles.images.dtype,
        has_eroded=False,
        has_hidden=False,
        folder=None if tiles.folder is None else folder,
    )
    for index, tile in enumerate(taken):
        target = sample.tile(index)
        target.image[:] = tile.image
        # A crop may hold no label at all, and then no patch could be drawn.
        target.mask[:] = np.where(tile.mask == IGNORE_INDEX, 0, tile.mask)
    return seal_tiles(sample)


def _crop(tile: Tile, side_px: int) -> Tile:
    """The upper left corner of a tile, against one reference."""
    corner = np.s_[..., :side_px, :side_px]
    return Tile(name=tile.name, image=tile.image[corner], mask=tile.mask[corner])
