"""Where the patches of a step lie: pure functions of the seed and the step, on the host.

A position is (tile index, top row, left column), int64. There is no state to save: an interrupted
run, or another number of workers, gets the positions of an undisturbed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.spec import IGNORE_INDEX
from trainables.data.tileset import TileSet
from trainables.seeds import torch_generator


class Positions(Protocol):
    """A way to place patches."""

    def annotated(self, step: int, num: int) -> Tensor:
        """Patches that each hold at least one annotated pixel (num, 3)."""

    def anywhere(self, step: int, num: int) -> Tensor:
        """Patches all over the training tiles (num, 3)."""


class RandomPositions:
    """Any position; every annotated pixel is equally likely to be what a patch is drawn around."""

    def __init__(
        self, tiles: TileSet, labels: NDArray[np.uint8], *, patch_px: int, seed: int
    ) -> None:
        """Count the annotated pixels of every image row.

        Args:
            tiles: The training tiles.
            labels: Their masks with `IGNORE_INDEX` outside the budget (P,), uint8.
            patch_px: Side of a patch.
            seed: The trial's seed.

        Raises:
            ValueError: If labels has no annotated pixel.
        """
        self._labels = labels
        self._patch_px = patch_px
        self._seed = seed
        self._shapes = torch.from_numpy(np.array(tiles.shapes))
        self._starts = torch.from_numpy(np.array(tiles.starts))
        # The k-th annotated pixel is found by its row: a list of all would dwarf the tiles.
        widths = np.repeat(tiles.shapes[:, 1], tiles.shapes[:, 0])
        self._row_starts = np.concatenate([[0], np.cumsum(widths)])
        annotated = labels != IGNORE_INDEX
        per_row = np.add.reduceat(annotated, self._row_starts[:-1], dtype=np.int64)
        self._annotated_until = np.cumsum(per_row)
        if self._annotated_until[-1] == 0:
            raise ValueError("labels must hold an annotated pixel, got none")

    def annotated(self, step: int, num: int) -> Tensor:
        """Patches that each hold at least one annotated pixel (num, 3)."""
        generator = torch_generator(self._seed, "patches", step)
        ranks = torch.randint(int(self._annotated_until[-1]), (num,), generator=generator)
        shift = torch.randint(self._patch_px, (num, 2), generator=generator)
        pixels = torch.tensor([self._pixel(int(rank)) for rank in ranks])
        tile = torch.searchsorted(self._starts, pixels, right=True) - 1
        within = pixels - self._starts[tile]
        width = self._shapes[tile, 1]
        corner = torch.stack([within // width, within % width], dim=1) - shift
        last = (self._shapes[tile] - self._patch_px).clamp_min(0)
        return torch.cat([tile[:, None], corner.clamp_min(0).minimum(last)], dim=1)

    def anywhere(self, step: int, num: int) -> Tensor:
        """Patches all over the training tiles, every position equally likely (num, 3)."""
        generator = torch_generator(self._seed, "unannotated_patches", step)
        places = (self._shapes - self._patch_px).clamp_min(0) + 1
        weights = places.prod(dim=1).to(torch.float64)
        tile = torch.multinomial(weights, num, replacement=True, generator=generator)
        share = torch.rand((num, 2), generator=generator, dtype=torch.float64)
        return torch.cat([tile[:, None], (share * places[tile]).to(torch.int64)], dim=1)

    def _pixel(self, rank: int) -> int:
        """Packed index of the annotated pixel of this rank."""
        row = int(np.searchsorted(self._annotated_until, rank, side="right"))
        before = int(self._annotated_until[row - 1]) if row else 0
        start, end = self._row_starts[row], self._row_starts[row + 1]
        columns = np.flatnonzero(self._labels[start:end] != IGNORE_INDEX)
        return int(start + columns[rank - before])


class GridPositions:
    """The positions of a regular grid, shuffled anew in every epoch, as in the paper."""

    def __init__(
        self,
        tiles: TileSet,
        labels: NDArray[np.uint8],
        *,
        patch_px: int,
        stride_px: int,
        seed: int,
    ) -> None:
        """List the grid and those of its patches that hold annotated pixels.

        Args:
            tiles: The training tiles.
            labels: Their masks with `IGNORE_INDEX` outside the budget (P,), uint8.
            patch_px: Side of a patch.
            stride_px: Step of the grid along rows and columns.
            seed: The trial's seed.

        Raises:
            ValueError: If no patch of the grid holds an annotated pixel.
        """
        self._seed = seed
        self._shuffled: dict[str, _Shuffled] = {}
        self._all = patch_grid(tiles, patch_px, stride_px)
        held = _annotated_px(tiles, labels, self._all, patch_px) > 0
        self._with_annotation = self._all[torch.from_numpy(held)]
        if len(self._with_annotation) == 0:
            raise ValueError("labels must hold an annotated pixel on the patch grid, got none")

    def annotated(self, step: int, num: int) -> Tensor:
        """Patches that each hold at least one annotated pixel (num, 3)."""
        return self._share(self._with_annotation, "patches", step, num)

    def anywhere(self, step: int, num: int) -> Tensor:
        """Patches all over the training tiles (num, 3)."""
        return self._share(self._all, "unannotated_patches", step, num)

    def _share(self, grid: Tensor, purpose: str, step: int, num: int) -> Tensor:
        places = [divmod(rank, len(grid)) for rank in range(step * num, (step + 1) * num)]
        return torch.stack([grid[self._order(grid, purpose, epoch)[i]] for epoch, i in places])

    def _order(self, grid: Tensor, purpose: str, epoch: int) -> Tensor:
        held = self._shuffled.get(purpose)
        if held is None or held.epoch != epoch:
            generator = torch_generator(self._seed, purpose, epoch)
            held = _Shuffled(epoch, torch.randperm(len(grid), generator=generator))
            self._shuffled[purpose] = held
        return held.order


@dataclass(frozen=True)
class _Shuffled:
    """The order of one epoch, kept until another is asked for."""

    epoch: int
    order: Tensor


def patch_grid(tiles: TileSet, patch_px: int, stride_px: int) -> Tensor:
    """Positions of the patches of a regular grid that lie on their tile (G, 3), int64.

    The last row and column are shifted back to the tile's edge, so that every pixel lies in a
    patch; a tile smaller than a patch has one, at its upper left corner.
    """
    corners = []
    for index, (height, width) in enumerate(tiles.shapes):
        rows = _grid_line(int(height), patch_px, stride_px)
        columns = _grid_line(int(width), patch_px, stride_px)
        corners.append(torch.cartesian_prod(torch.tensor([index]), rows, columns))
    return torch.cat(corners)


def _grid_line(length_px: int, patch_px: int, stride_px: int) -> Tensor:
    last = max(length_px - patch_px, 0)
    return torch.tensor([*range(0, last, stride_px), last])


def _annotated_px(
    tiles: TileSet, labels: NDArray[np.uint8], grid: Tensor, patch_px: int
) -> NDArray[np.int64]:
    """Annotated pixels inside every patch of the grid (G,), by summed-area tables."""
    counts = []
    for index, (height, width) in enumerate(tiles.shapes):
        mask = labels[tiles.starts[index] : tiles.starts[index + 1]].reshape(height, width)
        table = np.zeros((height + 1, width + 1), dtype=np.int64)
        table[1:, 1:] = (mask != IGNORE_INDEX).cumsum(axis=0).cumsum(axis=1)
        _, top, left = grid[grid[:, 0] == index].numpy().T
        bottom, right = np.minimum(top + patch_px, height), np.minimum(left + patch_px, width)
        counts.append(
            table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        )
    return np.concatenate(counts)
