"""The two sides of `training_step.py`: the product's training step, and the reference's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from blob_trials import NUM_CLASSES, enter_trial_process, training_data, trial_config
from reference_loop import Patches, ReferenceLoop, ReferenceUREC, copy_weights
from torch import Tensor

from trainables.data.patches.positions import GridPositions
from trainables.data.patches.sampler import Batch
from trainables.networks.build import build_network
from trainables.settings.process_group import ALONE
from trainables.settings.seeds import torch_generator

# Of the loop alone: network, optimiser and sampler are to be what a trial has, now and later.
from trainables.training.loop import TrainingData, _new_state, build_sampler
from trainables.training.step import Step, Terms


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What both sides train."""

    width: int
    patch_px: int
    stride_px: int
    batch_size: int
    num_tiles: int
    side_px: int
    num_threads: int | None
    device: str
    seed: int = 0

    @property
    def training(self) -> dict[str, Any]:
        """Fields of `TrainingConfig`."""
        return {
            "width": self.width,
            "patch_px": self.patch_px,
            "stride_px": self.stride_px,
            "batch_size": self.batch_size,
        }


class Product:
    """U-REC trained by the product's own sampler and step."""

    def __init__(self, setting: Setting, precision: str) -> None:
        enter_trial_process(setting.num_threads)
        config = trial_config(seed=setting.seed, precision=precision, **setting.training)
        data = training_data(setting.num_tiles, setting.side_px)
        self._device = torch.device(setting.device)
        self._state = _new_state(config, data, self._device, ALONE)
        self._sampler = build_sampler(config, data, self._device, ALONE)
        self._step = Step(self._state, config, self._device, ALONE)
        self._fixed = self._sampler.draw(0)

    def seconds(self, num_steps: int) -> float:
        """Wall seconds of steps as the training loop takes them, drawing included."""
        return self._timed(num_steps, None)

    def seconds_fixed(self, num_steps: int) -> float:
        """The same on one batch that lies on the device."""
        return self._timed(num_steps, self._fixed)

    def losses(self, num_steps: int) -> list[float]:
        """Loss of every step from here on."""
        return [self._advance(None)["loss"].item() for _ in range(num_steps)]

    def weights(self) -> dict[str, Tensor]:
        """State dict of the network as it is now."""
        return self._state.model.state_dict()

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """What the optimiser keeps of every parameter, by name."""
        kept = self._state.optimizer.state
        parameters = self._state.model.named_parameters()
        return {name: kept[one] for name, one in parameters if one in kept}

    def is_bf16(self) -> bool:
        """Whether it runs in bf16: asked for, and the device has it."""
        return self._step.bf16

    def _timed(self, num_steps: int, batch: Batch | None) -> float:
        synchronise(self._device)
        start = time.perf_counter()
        terms = Terms(ALONE)
        for _ in range(num_steps):
            terms.add(self._advance(batch))
        terms.mean(self._state.step)  # read once a row, not once a step
        synchronise(self._device)
        return time.perf_counter() - start

    def _advance(self, batch: Batch | None) -> dict[str, Tensor]:
        batch = self._sampler.draw(self._state.step) if batch is None else batch
        terms = self._step.take(batch)
        self._state.step += 1
        return terms


class Reference:
    """The published manner, from the same weights over the same patches."""

    def __init__(
        self, setting: Setting, steps: Sequence[int], *, channels_last: bool = False
    ) -> None:
        """Build it.

        Args:
            setting: What is trained.
            steps: Of the product's run, whose patches are taken, in this order.
            channels_last: Another memory layout, which is to change nothing but rounding.
        """
        if setting.num_threads is not None:
            torch.set_num_threads(setting.num_threads)
        training = trial_config(seed=setting.seed, **setting.training).training
        data = training_data(setting.num_tiles, setting.side_px)
        generator = torch_generator(setting.seed, "weights")
        weights = build_network("urec", width=setting.width, generator=generator).state_dict()
        network = ReferenceUREC(num_classes=NUM_CLASSES, width=setting.width)
        copy_weights(weights, network)
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        tiles = list(data.train)
        patches = Patches(
            [tile.image for tile in tiles],
            [tile.mask for tile in tiles],
            _grid_order(setting, data, steps),
            setting.patch_px,
        )
        self._device = torch.device(setting.device)
        self._loop = ReferenceLoop(
            network,
            patches,
            batch_size=setting.batch_size,
            w1=training.w1,
            lr=training.lr,
            device=self._device,
        )

    def seconds(self, num_steps: int) -> float:
        """Wall seconds of steps, cropping included."""
        synchronise(self._device)
        start = time.perf_counter()
        self.losses(num_steps)
        synchronise(self._device)
        return time.perf_counter() - start

    def losses(self, num_steps: int) -> list[float]:
        """Loss of every step from here on."""
        return [self._loop.step() for _ in range(num_steps)]

    def take_over(self, product: Product) -> None:
        """Go on from the product's weights and moments."""
        self._loop.take_over(product.weights(), product.moments())


def _grid_order(
    setting: Setting, data: TrainingData, steps: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Tile, top row and left column of the patches that the product draws at these steps."""
    grid = GridPositions(
        data.train,
        data.annotated,
        patch_px=setting.patch_px,
        stride_px=setting.stride_px,
        seed=setting.seed,
    )
    drawn = torch.cat([grid.annotated(step, setting.batch_size) for step in steps])
    return [(tile, top, left) for tile, top, left in drawn.tolist()]


def synchronise(device: torch.device) -> None:
    """Wait until a card has done what it was told; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
