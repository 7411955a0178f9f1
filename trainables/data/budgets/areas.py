"""Areas: contiguous regions that grow cell by cell, as a person draws one polygon after another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.settings.seeds import numpy_generator

CELLS: Final = 8
"""Cells along the side of the square that has the area of a whole region."""


def cell_px(size_px: int) -> int:
    """Side of the cells that regions of about `size_px` x `size_px` pixels grow by."""
    return max(1, size_px // CELLS)


def windows_of(tiles: NDArray[np.int64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The window that each cell lies in, numbered in the order of tiles, rows and columns.

    Args:
        tiles: Number of each cell's tile (U,).
        cells: Row and column of each cell in its tile (U, 2).

    Returns:
        Numbers from 0 on, none left out (U,).
    """
    places = np.column_stack([tiles, cells // CELLS])
    return np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)


def grow(
    tiles: NDArray[np.int64],
    cells: NDArray[np.int64],
    labelled: NDArray[np.int64],
    ranks: NDArray[np.int64],
    *,
    seed: int,
    asked_px: float,
    smallest_px: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The longest front of the seed's order of cells that does not exceed `asked_px`, one at least.

    Regions grow one after another. A region begins at a random free cell of the next window, in the
    order of their ranks; windows without a free one are passed over, and after the last window the
    first has its turn again. It takes one more free cell at a time over a random one of the cell
    edges between it and its free neighbours, so that cells it half surrounds come early, until it
    has `CELLS` x `CELLS` cells or no free neighbour. Cells lie in one tile, and only those with
    labelled pixels count. Where the first cell exceeds `smallest_px`, the first region begins at
    the first that does not. The order does not depend on what is asked for: budgets nest.

    Args:
        tiles: Number of each cell's tile (U,).
        cells: Row and column of each cell in its tile (U, 2).
        labelled: Labelled pixels of each cell (U,), all above 0.
        ranks: Rank of the window that each cell lies in, in the order in which they have their
            turns (U,).
        seed: Fixes the growth.
        asked_px: Labelled pixels that the cells may hold together.
        smallest_px: The same for the lowest fraction of the study.

    Returns:
        Indices of the cells in their order (N,), and the region of each, from 0 on (N,).
    """
    places = [*zip(tiles.tolist(), *cells.T.tolist(), strict=True)]
    index_of = {place: index for index, place in enumerate(places)}
    generator = numpy_generator(seed, "budget", 1)
    beginnings = _beginnings(ranks, generator.permutation(len(ranks)))
    fits = labelled[beginnings] <= smallest_px
    if fits.any():
        first = int(np.argmax(fits))
        beginnings = np.concatenate([beginnings[[first]], np.delete(beginnings, first)])
    is_free = np.ones(len(ranks), dtype=np.bool_)
    order: list[int] = []
    regions: list[int] = []
    held_px, num_regions = 0, 0
    for beginning in beginnings.tolist():
        edges = [beginning]
        num_left = CELLS**2
        while edges and num_left:
            chosen = int(generator.random() * len(edges))
            edges[chosen], edges[-1] = edges[-1], edges[chosen]
            cell = edges.pop()
            if not is_free[cell]:
                continue
            held_px += int(labelled[cell])
            if order and held_px > asked_px:
                return np.array(order), np.array(regions)
            is_free[cell] = False
            order.append(cell)
            regions.append(num_regions)
            num_left -= 1
            tile, row, column = places[cell]
            for place in (
                (tile, row - 1, column),
                (tile, row, column - 1),
                (tile, row, column + 1),
                (tile, row + 1, column),
            ):
                neighbour = index_of.get(place)
                if neighbour is not None and is_free[neighbour]:
                    edges.append(neighbour)
        num_regions += num_left < CELLS**2
    return np.array(order), np.array(regions)


def _beginnings(ranks: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """All cells (U,): the first of every window by rank, then the second of every one, and so on.

    Args:
        ranks: Rank of the window that each cell lies in (U,).
        order: A random order of the cells, which is theirs inside each window (U,).
    """
    by_window = order[np.argsort(ranks[order], kind="stable")]
    sizes = np.bincount(ranks)
    turn = np.arange(len(ranks)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return by_window[np.argsort(turn, kind="stable")]
