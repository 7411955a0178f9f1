"""Training batches: patches cut, turned and flipped by one gather on the training device."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.positions import Positions
from trainables.data.spec import IGNORE_INDEX
from trainables.data.tileset import TileSet
from trainables.seeds import torch_generator


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Patches of one optimiser step: N with annotated pixels, then M for the L1 term alone."""

    images: Tensor
    """Float32 in [0, 1] (N + M, C, H, W)."""
    masks: Tensor
    """Class index or `IGNORE_INDEX`, int64 (N, H, W)."""
    inside: Tensor
    """Whether a pixel lies on its tile, bool (N + M, H, W); a tile may be smaller than a patch."""


class PatchSampler:
    """Draws the batches of one trial; what a step draws follows from seed and step alone."""

    def __init__(
        self,
        tiles: TileSet,
        labels: NDArray[np.uint8],
        positions: Positions,
        *,
        patch_px: int,
        num_annotated: int,
        num_anywhere: int,
        augment: bool,
        seed: int,
        device: torch.device,
    ) -> None:
        """Put tiles and labels on the device.

        Args:
            tiles: The training tiles.
            labels: Their masks with `IGNORE_INDEX` outside the budget (P,), uint8.
            positions: Where patches lie.
            patch_px: Side of a patch.
            num_annotated: Patches with annotated pixels in a batch, N.
            num_anywhere: Patches for the L1 term alone in a batch, M.
            augment: Whether patches are turned and flipped at random.
            seed: The trial's seed.
            device: Where patches are cut.
        """
        self._positions = positions
        self._patch_px = patch_px
        self._num_annotated = num_annotated
        self._num_anywhere = num_anywhere
        self._augment = augment
        self._seed = seed
        self._device = device
        self._shapes = torch.from_numpy(np.array(tiles.shapes))
        self._starts = torch.from_numpy(np.array(tiles.starts))
        self._images = _borrow(tiles.images).to(device)
        self._labels = _borrow(labels).to(device)

    def draw(self, step: int) -> Batch:
        """The patches of one optimiser step."""
        positions = self._positions.annotated(step, self._num_annotated)
        turns = self._turns("augmentation", step, self._num_annotated)
        if self._num_anywhere:
            anywhere = self._positions.anywhere(step, self._num_anywhere)
            positions = torch.cat([positions, anywhere])
            more = self._turns("unannotated_augmentation", step, self._num_anywhere)
            turns = torch.cat([turns, more])
        index, inside = self._pixel_index(positions, turns)
        images = self._images[:, index].movedim(0, 1).to(torch.float32).div_(255.0)
        masks = self._labels[index[: self._num_annotated]].to(torch.int64)
        masks.masked_fill_(~inside[: self._num_annotated], IGNORE_INDEX)
        return Batch(images=images, masks=masks, inside=inside)

    def _turns(self, purpose: str, step: int, num: int) -> Tensor:
        """Which of the eight symmetries of the square each patch gets, 0-7, int64 (num,)."""
        if not self._augment:
            return torch.zeros(num, dtype=torch.int64)
        return torch.randint(8, (num,), generator=torch_generator(self._seed, purpose, step))

    def _pixel_index(self, positions: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Packed index of every patch pixel, and whether it lies on its tile (N + M, H, W)."""
        device = self._device
        line = torch.arange(self._patch_px, device=device)
        turns = turns.to(device)[:, None, None]
        down, across = line[None, :, None], line[None, None, :]
        transposed = (turns & 4) > 0
        down, across = torch.where(transposed, across, down), torch.where(transposed, down, across)
        down = torch.where((turns & 1) > 0, self._patch_px - 1 - down, down)
        across = torch.where((turns & 2) > 0, self._patch_px - 1 - across, across)
        tile = positions[:, 0]
        start = self._starts[tile].to(device)[:, None, None]
        height, width = self._shapes[tile].to(device)[:, :, None, None].unbind(1)
        top, left = positions[:, 1:].to(device)[:, :, None, None].unbind(1)
        row, column = top + down, left + across
        inside = (row < height) & (column < width)
        # Beyond the tile the edge is repeated: `inside` keeps those pixels out of both losses.
        return start + row.minimum(height - 1) * width + column.minimum(width - 1), inside


def _borrow(array: NDArray[np.uint8]) -> Tensor:
    """Tensor over a read-only array, without a copy: it is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(array)
