"""What a training step computes: its floating-point operations, counted without computing them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.networks.build import NETWORKS
from trainables.networks.encoders.reading import read_encoder
from trainables.settings.config import TrialConfig
from trainables.settings.process_group import ALONE
from trainables.training.checkpoint import LoopState
from trainables.training.loop import TrainingData, build_sampler, new_network, teacher_of
from trainables.training.step import Step

_CPU: Final = torch.device("cpu")
_META: Final = torch.device("meta")
"""Its tensors have shapes and no values: what is done with them is counted and never done."""
_FEW_PATCHES: Final = 2
"""Batch normalisation wants more than one."""


def step_flop(trial: TrialConfig, num_bands: int, num_classes: int) -> int:
    """Operations of one optimiser step, forward and backward, of all its patches.

    Counted are convolutions and products of matrices, a multiplication and an addition as two, by
    torch's counter, in the step that trials take; what works value by value (normalisation,
    activations, the optimiser) is not.

    Args:
        trial: Whose step; nothing but sizes matters.
        num_bands: Bands of the images, C.
        num_classes: Classes, K.

    Returns:
        FLOP, of all workers together. Of a network that cannot be run without values, a step of
        two annotated patches is taken, and its count is multiplied.
    """
    training = replace(
        trial.training,
        steps=1,
        epochs=None,
        warmup_steps=0,
        num_validations=1,
        sampling="random",
        ema_decay=0.0,  # these two change no operation that counts
        precision="fp32",
    )
    trial = replace(trial, training=training)
    try:
        return _count(trial, num_bands, num_classes, _META)
    except (RuntimeError, TypeError):  # it looks at values, or at tensors that nobody registered
        num = min(_FEW_PATCHES, training.batch_size)
        few = replace(trial, training=replace(training, batch_size=num))
        return _count(few, num_bands, num_classes, _CPU) * training.batch_size // num


def _count(trial: TrialConfig, num_bands: int, num_classes: int, device: torch.device) -> int:
    data = _one_tile(trial, num_bands, num_classes)
    # A network of one's own, whose layers may be drawn in any way, is built as it is in trials.
    with device if trial.network in NETWORKS else nullcontext():
        network = new_network(trial, data).to(device)
    unlearned: Any = None  # nothing is updated; the first optimiser of a process takes a second
    state = LoopState(
        model=network, optimizer=unlearned, averaged=None, teacher=teacher_of(trial, network)
    )
    step = Step(state, trial, device, ALONE)
    batch = build_sampler(trial, data, device, ALONE).draw(0)
    with FlopCounterMode(display=False) as counter:
        step.terms(batch)["loss"].backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


def _one_tile(trial: TrialConfig, num_bands: int, num_classes: int) -> TrainingData:
    """A tile of one patch, every pixel annotated: what it shows changes no count."""
    side_px = trial.training.patch_px
    mask = np.arange(side_px * side_px, dtype=np.uint8).reshape(side_px, side_px) % num_classes
    image = np.zeros((num_bands, side_px, side_px), dtype=np.uint8)
    tiles = pack_tiles([Tile(name="tile", image=image, mask=mask)])
    unit = Unit(kind="tile", size_px=0)
    budget, annotated = draw_budget(tiles, fraction=1.0, seed=0, unit=unit, num_classes=num_classes)
    return TrainingData(
        train=tiles,
        annotated=annotated,
        class_px=budget.class_px,
        val=tiles,
        scaling=BandScaling(dtype="uint8", low=(0.0,) * num_bands, high=(255.0,) * num_bands),
        class_names=tuple(f"class {index}" for index in range(num_classes)),
        exclude_from_mean=(),
        encoder=None if trial.encoder is None else read_encoder(trial.encoder),
    )
