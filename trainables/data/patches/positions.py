"""Places the patches of a step: pure functions of the seed and the step, on the host.

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

from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.tilesets.tileset import TileSet
from trainables.settings.seeds import torch_generator


class Positions(Protocol):
    """A way to place patches."""

    def annotated(self, step: int, num: int) -> Tensor:
        """Patches that each hold at least one annotated pixel (num, 3)."""

    def anywhere(self, step: int, num: int) -> Tensor:
        """Patches all over the training tiles (num, 3)."""


class RandomPositions:
    """Any position; every annotated pixel is equally likely to be what a patch is drawn around."""

    def __init__(self, tiles: TileSet, annotated: PixelSet, *, patch_px: int, seed: int) -> None:
        """Count the annotated pixels of every image row.

        Args:
            tiles: The training tiles.
            annotated: Their annotated pixels.
            patch_px: Side of a patch.
            seed: The trial's seed.

        Raises:
            ValueError: If no pixel is annotated.
        """
        self._pixels = annotated
        self._patch_px = patch_px
        self._seed = seed
        self._shapes = torch.from_numpy(np.array(tiles.shapes))
        # The k-th annotated pixel is found by its row: a list of all would dwarf the tiles.
        self._first_rows = np.concatenate([[0], np.cumsum(tiles.shapes[:, 0])])
        self._annotated_until = np.cumsum(annotated.row_counts())
        if self._annotated_until[-1] == 0:
            raise ValueError("annotated must hold a pixel, got none")

    def annotated(self, step: int, num: int) -> Tensor:
        """Patches that each hold at least one annotated pixel (num, 3)."""
        generator = torch_generator(self._seed, "patches", step)
        ranks = torch.randint(int(self._annotated_until[-1]), (num,), generator=generator)
        shift = torch.randint(self._patch_px, (num, 2), generator=generator)
        pixels = torch.tensor([self._pixel(int(rank)) for rank in ranks], dtype=torch.int64)
        tile, corner = pixels[:, 0], pixels[:, 1:] - shift
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

    def _pixel(self, rank: int) -> tuple[int, int, int]:
        """Tile index, row and column of the annotated pixel of this rank."""
        line = int(np.searchsorted(self._annotated_until, rank, side="right"))
        before = int(self._annotated_until[line - 1]) if line else 0
        tile = int(np.searchsorted(self._first_rows, line, side="right")) - 1
        row = line - int(self._first_rows[tile])
        columns = np.flatnonzero(self._pixels.rows(tile, row, row + 1)[0])
        return tile, row, int(columns[rank - before])


class GridPositions:
    """The positions of a regular grid, shuffled anew in every epoch, as in the paper."""

    def __init__(
        self,
        tiles: TileSet,
        annotated: PixelSet,
        *,
        patch_px: int,
        stride_px: int,
        seed: int,
    ) -> None:
        """List the grid and those of its patches that hold annotated pixels.

        Args:
            tiles: The training tiles.
            annotated: Their annotated pixels.
            patch_px: Side of a patch.
            stride_px: Step of the grid along rows and columns.
            seed: The trial's seed.

        Raises:
            ValueError: If no patch of the grid holds an annotated pixel.
        """
        self._seed = seed
        self._shuffled: dict[str, _Shuffled] = {}
        self._all = patch_grid(tiles, patch_px, stride_px)
        held = _annotated_px(annotated, self._all, patch_px) > 0
        self._with_annotation = self._all[torch.from_numpy(held)]
        if len(self._with_annotation) == 0:
            raise ValueError("annotated must hold a pixel on the patch grid, got none")

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


def _annotated_px(annotated: PixelSet, grid: Tensor, patch_px: int) -> NDArray[np.int64]:
    """Annotated pixels inside every patch of the grid (G,), one row of patches after another."""
    positions, counts = grid.numpy(), np.zeros(len(grid), dtype=np.int64)
    lines, first = np.unique(positions[:, :2], axis=0, return_index=True)  # in order of the grid
    for (index, top), start, end in zip(lines, first, [*first[1:], len(grid)], strict=True):
        height, width = (int(side) for side in annotated.shapes[index])
        rows = annotated.rows(int(index), int(top), min(int(top) + patch_px, height))
        until = np.concatenate([[0], np.cumsum(rows.sum(axis=0, dtype=np.int64))])
        lefts = positions[start:end, 2]
        counts[start:end] = until[np.minimum(lefts + patch_px, width)] - until[lefts]
    return counts
