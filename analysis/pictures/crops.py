"""Which parts of the test tiles are shown: chosen by a rule, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pictures.maps.disagreement import FIRST_RIGHT, SECOND_RIGHT, Kinds
from analysis.pictures.maps.maps import ClassMap

MAX_SIDE_PX = 256
CELLS = 4
"""Crops begin every quarter of their side."""

Counts = NDArray[np.int64]
"""Pixels of each class in each cell of a tile of which one model alone is right, (2, K, R, C):
the first model, then the second."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """The square of the test tiles where two models differ most about one class."""

    class_index: int
    tile: str
    top_px: int
    left_px: int
    side_px: int
    num_first_px: int
    """Reference pixels of the class of which the first model alone is right."""
    num_second_px: int
    """The same for the second model."""

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the tile."""
        return (
            slice(self.top_px, self.top_px + self.side_px),
            slice(self.left_px, self.left_px + self.side_px),
        )


def crop_side(shapes: Sequence[tuple[int, int]]) -> int:
    """Side of the crops of all tiles, in px.

    Args:
        shapes: Height and width of every tile, one or more.

    Returns:
        MAX_SIDE_PX, or half of the shorter side of a tile of middle size where that is less; a
        multiple of CELLS, at least that.
    """
    shorter = sorted(min(shape) for shape in shapes)
    half = shorter[len(shorter) // 2] // 2
    return max(CELLS, min(MAX_SIDE_PX, half) // CELLS * CELLS)


def deciding_counts(reference: ClassMap, kinds: Kinds, *, num_classes: int, cell_px: int) -> Counts:
    """Pixels of which one model alone is right, by model, class of the reference and cell.

    Args:
        reference: (H, W).
        kinds: As from `disagreement.kinds_of`, (H, W).
        num_classes: K.
        cell_px: Side of a cell; what is left over at the lower and right edge is not counted.

    Returns:
        (2, K, H // cell_px, W // cell_px), int64.
    """
    num_rows, num_columns = (side // cell_px for side in kinds.shape)
    counts = np.zeros((2, num_classes, num_rows, num_columns), dtype=np.int64)
    num_layers = 2 * num_classes
    column_of = np.tile(np.repeat(np.arange(num_columns), cell_px), cell_px)
    for row in range(num_rows):  # one row of cells at a time stays in the processor's cache
        inside = np.s_[row * cell_px : (row + 1) * cell_px, : num_columns * cell_px]
        kind, true = kinds[inside].ravel(), reference[inside].ravel()
        found = np.flatnonzero((kind == FIRST_RIGHT) | (kind == SECOND_RIGHT))
        layer = (kind[found] == SECOND_RIGHT) * num_classes + true[found]
        place = layer * num_columns + column_of[found]
        numbers = np.bincount(place, minlength=num_layers * num_columns)
        counts[:, :, row] = numbers.reshape(2, num_classes, num_columns)
    return counts


def choose_crops(
    tiles: Sequence[str], counts: Sequence[Counts], *, cell_px: int
) -> tuple[Crop, ...]:
    """For each class the crop with most pixels of it of which one model alone is right.

    Classes with the fewest such pixels choose first, so that large classes do not take their
    places; crops do not overlap. Equal crops: the first tile, the upper one, the left one.

    Args:
        tiles: Names (T).
        counts: As from `deciding_counts`, one per tile; the same classes in all.
        cell_px: Side of a cell; a crop is CELLS of them high and wide.

    Returns:
        In the order of classes; a class for which there is no such pixel in any place that is
        left has none.
    """
    windows = [_window_sums(one) for one in counts]
    taken = [np.zeros(one.shape[2:], dtype=bool) for one in windows]
    num_classes = counts[0].shape[1] if counts else 0
    totals = [sum(int(one[:, index].sum()) for one in counts) for index in range(num_classes)]
    chosen = []
    for index in sorted(range(num_classes), key=lambda index: (totals[index], index)):
        crop = _best(index, tiles, windows, taken, cell_px)
        if crop is None:
            continue
        chosen.append(crop)
        row, column = crop.top_px // cell_px, crop.left_px // cell_px
        overlapping = np.s_[
            max(0, row - CELLS + 1) : row + CELLS, max(0, column - CELLS + 1) : column + CELLS
        ]
        taken[tiles.index(crop.tile)][overlapping] = True
    return tuple(sorted(chosen, key=lambda crop: crop.class_index))


def _best(
    index: int,
    tiles: Sequence[str],
    windows: Sequence[Counts],
    taken: Sequence[NDArray[np.bool_]],
    cell_px: int,
) -> Crop | None:
    best, found = 0, None
    for tile, sums, blocked in zip(tiles, windows, taken, strict=True):
        free = np.where(blocked, 0, sums[:, index].sum(axis=0))
        if free.size == 0 or free.max() <= best:
            continue
        best = int(free.max())
        row, column = (int(at) for at in np.unravel_index(int(free.argmax()), free.shape))
        found = Crop(
            class_index=index,
            tile=tile,
            top_px=row * cell_px,
            left_px=column * cell_px,
            side_px=CELLS * cell_px,
            num_first_px=int(sums[0, index, row, column]),
            num_second_px=int(sums[1, index, row, column]),
        )
    return found


def _window_sums(counts: Counts) -> Counts:
    """Sums over every CELLS x CELLS cells by differences of an integral image.

    (2, K, R - CELLS + 1, C - CELLS + 1); empty where a tile is smaller than a crop.
    """
    total = np.pad(counts, ((0, 0), (0, 0), (1, 0), (1, 0))).cumsum(axis=2).cumsum(axis=3)
    low, high = np.s_[:-CELLS], np.s_[CELLS:]
    sums: Counts = (total[..., high, high] - total[..., low, high] - total[..., high, low]) + total[
        ..., low, low
    ]
    return sums
