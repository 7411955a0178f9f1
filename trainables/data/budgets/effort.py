"""What annotating a budget takes: pixels, objects, borders, tiles, and so minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from trainables.data.budgets.pixel_set import PixelSet, num_squares, row_strips, square_of
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What somebody draws who annotates a budget."""

    px: int
    """Annotated pixels."""
    objects: int
    """Contiguous pieces of one class, over edges of pixels, each inside one block; of other units
    inside a tile. So more blocks never have fewer objects."""
    border_px: int
    """Edges between annotated pixels of different classes, in pixels; they follow the pixels, so
    that a slanting border is up to 1.4 times as long as a straight line."""
    tiles: int
    """Tiles with an annotated pixel."""


def effort_of(tiles: TileSet, annotated: PixelSet, unit: Unit) -> Effort:
    """Count what a budget takes.

    Args:
        tiles: T tiles.
        annotated: Annotated pixels of these tiles, with the classes that they are given.
        unit: What is annotated at a time.
    """
    sides_px, num_px, num_border_px = unit.sides_px(tiles), 0, 0
    grids = num_squares(tiles.shapes, sides_px)
    pieces = [_Pieces() for _ in tiles.names]
    last_rows: dict[int, NDArray[np.int64]] = {}
    for index, first, last in row_strips(tiles.shapes):
        classes = annotated.given(index, first, tiles.tile(index).mask[first:last])
        known = classes != IGNORE_INDEX
        num_px += int(known.sum())
        values = np.where(known, classes.astype(np.int64), -1)
        above = last_rows.get(index, values[:0])
        last_rows[index] = values[-1:]
        num_border_px += _num_borders(np.concatenate([above, values]))
        num_border_px += int(_differ(values[:, 1:], values[:, :-1]).sum())
        if unit.kind == "block":
            side, (down, across) = int(sides_px[index]), grids[index].tolist()
            rows = square_of(np.arange(first, last), side, down)
            columns = square_of(np.arange(values.shape[1]), side, across)
            values = values + np.where(known, 256 * (rows[:, None] * across + columns), 0)
        pieces[index].add(values)
    return Effort(
        px=num_px,
        objects=sum(one.num for one in pieces),
        border_px=num_border_px,
        tiles=sum(one.num > 0 for one in pieces),
    )


def minutes_of(effort: Effort, cost: Mapping[str, float], pixel_m: float | None) -> float:
    """Minutes that a budget takes: the sum of all prices times what they are for.

    Args:
        effort: What somebody draws.
        cost: Minutes `per_px`, `per_object`, `per_border_m` and `per_tile`; what is left out costs
            nothing.
        pixel_m: Side of a pixel in metres; None where it is not known.

    Raises:
        ConfigError: If borders have a price and pixels no size.
    """
    per_border_m = cost.get("per_border_m", 0.0)
    if per_border_m and pixel_m is None:
        raise ConfigError(
            "per_border_m of cost must be left out where the data set has no gsd_m, got "
            f"{per_border_m!r}; add gsd_m to dataset.yaml"
        )
    return (
        cost.get("per_px", 0.0) * effort.px
        + cost.get("per_object", 0.0) * effort.objects
        + per_border_m * effort.border_px * (pixel_m or 0.0)
        + cost.get("per_tile", 0.0) * effort.tiles
    )


def _num_borders(values: NDArray[np.int64]) -> int:
    """Edges between rows whose pixels are annotated and differ."""
    return int(_differ(values[1:], values[:-1]).sum())


def _differ(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = (one != other) & (one >= 0) & (other >= 0)
    return differs


class _Pieces:
    """Counts contiguous pieces of one value in a tile that is read by strips of rows."""

    def __init__(self) -> None:
        self._num_runs = 0
        self._num_empty = 0
        self._joined: list[NDArray[np.int64]] = []
        self._values: NDArray[np.int64] | None = None
        self._runs: NDArray[np.int64] | None = None

    def add(self, values: NDArray[np.int64]) -> None:
        """Take the next rows (rows, W); below 0 is what belongs to no piece."""
        begins = np.ones(values.shape, dtype=np.bool_)
        begins[:, 1:] = values[:, 1:] != values[:, :-1]
        runs = self._num_runs - 1 + np.cumsum(begins).reshape(values.shape)
        self._num_runs = int(runs[-1, -1]) + 1
        self._num_empty += int((begins & (values < 0)).sum())
        if self._values is not None and self._runs is not None:
            values = np.concatenate([self._values, values])
            runs = np.concatenate([self._runs, runs])
        touch = (values[1:] == values[:-1]) & (values[1:] >= 0)
        begins = np.ones(values.shape, dtype=np.bool_)
        begins[:, 1:] = values[:, 1:] != values[:, :-1]
        touch &= begins[1:] | begins[:-1]  # two runs that touch do so first where one begins
        self._joined.append(np.stack([runs[:-1][touch], runs[1:][touch]]))
        self._values, self._runs = values[-1:], runs[-1:]

    @property
    def num(self) -> int:
        """Pieces of all rows."""
        one, other = np.concatenate(self._joined, axis=1)
        size = (self._num_runs, self._num_runs)
        graph = sparse.coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=size)
        num, _ = csgraph.connected_components(graph, directed=False)
        return int(num) - self._num_empty
