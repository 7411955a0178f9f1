"""What to annotate first: units whose imagery differs most, found without any label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.budgets.pixel_set import num_squares, row_strips, square_of
from trainables.data.tilesets.tileset import TileSet
from trainables.settings.seeds import numpy_generator

_DIGITS: Final = 6
"""Decimals of features in standard deviations: the last bits of sums differ between machines."""


def square_moments(
    tiles: TileSet, sides_px: NDArray[np.int64], places: Sequence[tuple[str, int, int]]
) -> NDArray[np.float64]:
    """Sums over the shown pixels of squares, from the images alone; masks are not read.

    A gradient is the length of the differences to the pixel on the right and the pixel below; a
    difference to what lies beyond the edge of the tile, or shows nothing, is 0.

    Args:
        tiles: T tiles.
        sides_px: Side of the squares that each tile is cut into (T,), see `num_squares`.
        places: Tile name, row and column of U squares.

    Returns:
        Number of pixels, then sums and sums of squares of every band and of its gradient
        (U, 1 + 4 C).
    """
    grids = num_squares(tiles.shapes, sides_px)
    num_bands = len(tiles.images)
    found = [np.zeros((1 + 4 * num_bands, down * across)) for down, across in grids.tolist()]
    for index, first, last in row_strips(tiles.shapes):
        tile, side = tiles.tile(index), int(sides_px[index])
        down, across = grids[index].tolist()
        image = tile.image[:, first : last + 1].astype(np.float64)  # a row more, for differences
        num_rows, width = last - first, image.shape[2]
        rows = square_of(np.arange(first, last), side, down)
        squares = rows[:, None] * across + square_of(np.arange(width), side, across)
        shown = np.ones(image.shape[1:])
        if tile.shown is not None:
            shown = tile.shown[first : last + 1].astype(np.float64)
        weights = shown[:num_rows]

        def add(row: int, values: NDArray[np.float64]) -> None:
            sums = np.bincount(squares.ravel(), values.ravel(), minlength=down * across)  # noqa: B023
            found[index][row] += sums  # noqa: B023

        add(0, weights)
        for band in range(num_bands):
            right, below = np.zeros((2, num_rows, width))
            right[:, :-1] = np.diff(image[band, :num_rows], axis=1) * weights[:, 1:]
            below[: len(image[band]) - 1] = np.diff(image[band], axis=0) * shown[1:]
            for place, values in (
                (1 + 4 * band, image[band][:num_rows]),
                (3 + 4 * band, np.sqrt(right**2 + below**2)),
            ):
                add(place, weights * values)
                add(place + 1, weights * values**2)
    position = {name: index for index, name in enumerate(tiles.names)}
    return np.stack(
        [
            found[position[name]][:, row * int(grids[position[name], 1]) + column]
            for name, row, column in places
        ]
    )


def looks(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means and standard deviations of bands and of their gradients, each with deviation 1.

    Args:
        moments: As from `square_moments` (U, 1 + 4 C), or sums of several of its rows.

    Returns:
        Features (U, 4 C); what is the same for all units is 0, as is a unit that shows nothing.
    """
    shows = moments[:, 0] > 0
    found = np.zeros((len(moments), moments.shape[1] - 1))
    if shows.any():
        held = moments[shows]
        means = held[:, 1::2] / held[:, :1]
        deviations = np.sqrt(np.maximum(held[:, 2::2] / held[:, :1] - means**2, 0))
        features = np.concatenate([means, deviations], axis=1)
        features -= features.mean(axis=0)
        spread = features.std(axis=0)
        found[shows] = features / np.where(spread > 1e-9, spread, np.inf)
    return found.round(_DIGITS)


def diverse_order(features: NDArray[np.float64], *, seed: int) -> NDArray[np.int64]:
    """Farthest-first traversal (Gonzalez, 1985): each unit is the farthest from those before it.

    Args:
        features: Of the units (U, F).
        seed: Chooses the first unit.

    Returns:
        Indices (U,); of equally far units the one with the lowest index comes first.
    """
    num = len(features)
    order = np.zeros(num, dtype=np.int64)
    nearest = np.full(num, np.inf)
    chosen = int(numpy_generator(seed, "budget").integers(num))
    for place in range(num):
        order[place] = chosen
        distance = np.zeros(num)
        for values in features.T:  # one after the other: the same sum on every machine
            distance += (values - values[chosen]) ** 2
        nearest = np.minimum(nearest, distance)
        nearest[chosen] = -1.0
        chosen = int(np.argmax(nearest))
    return order
