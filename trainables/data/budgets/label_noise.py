"""Annotator noise: borders of the annotated classes shifted by smooth random offsets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.budgets.pixel_set import PixelSet, pack_classes, row_strips
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import TileSet
from trainables.settings.seeds import numpy_generator

_LEAST_KNOT_PX: Final = 16
_KNOT_PER_STD: Final = 8
"""Knots are so many standard deviations apart, or the field would fold and tear classes apart."""


def shift_labels(
    tiles: TileSet, annotated: PixelSet, *, std_px: float, seed: int, num_classes: int
) -> PixelSet:
    """The same pixels, each with the class that lies a smooth random offset away.

    Offsets are a Gaussian field whose components have this standard deviation at every pixel, drawn
    by seed and tile name. Where the offset leads out of the annotated pixels, of which nothing is
    known, a pixel keeps its own class; beyond the edge of a tile the edge counts.

    Args:
        tiles: T tiles.
        annotated: Annotated pixels of these tiles, with their classes.
        std_px: Standard deviation of the offsets down and across, in pixels, above 0.
        seed: The trial's seed.
        num_classes: K.
    """

    def strips() -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        for index, first, last in row_strips(tiles.shapes):
            mask = tiles.tile(index).mask
            own = annotated.given(index, first, mask[first:last])
            rows, columns = _sources(tiles.names[index], mask.shape, (first, last), std_px, seed)
            low, high = int(rows.min()), int(rows.max()) + 1
            shifted = annotated.given(index, low, mask[low:high])[rows - low, columns]
            is_known = (own != IGNORE_INDEX) & (shifted != IGNORE_INDEX)
            yield index, first, np.where(is_known, shifted, own)

    return pack_classes(tiles.shapes, num_classes, strips())


def _sources(
    name: str, shape: tuple[int, ...], rows: tuple[int, int], std_px: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the pixel that gives each pixel its class, both (last - first, W)."""
    knot_px = max(_LEAST_KNOT_PX, math.ceil(_KNOT_PER_STD * std_px))
    num_knots = [(side - 1) // knot_px + 4 for side in shape]
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    knots = std_px * numpy_generator(seed, "label_noise", key).standard_normal((2, *num_knots))
    down, across = (np.arange(*span) for span in (rows, (0, shape[1])))
    field = _interpolate(np.swapaxes(_interpolate(knots, down, knot_px), 1, 2), across, knot_px)
    offsets = np.rint(np.swapaxes(field, 1, 2)).astype(np.int64)
    return (
        np.clip(down[:, None] + offsets[0], 0, shape[0] - 1),
        np.clip(across + offsets[1], 0, shape[1] - 1),
    )


def _interpolate(
    knots: NDArray[np.float64], pixels: NDArray[np.int64], knot_px: int
) -> NDArray[np.float64]:
    """Cubic B-spline along the second axis, of independent values with the variance of each.

    Sums are written out, pixel by pixel and knot by knot, so that every machine gives the same.

    Args:
        knots: (2, n, m).
        pixels: Where, in pixels (L,).
        knot_px: Distance of the knots in pixels.

    Returns:
        (2, L, m).
    """
    first, t = pixels // knot_px, pixels % knot_px / knot_px
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    )
    weights /= np.sqrt(sum(one**2 for one in weights))
    total = np.zeros((2, len(pixels), knots.shape[2]))
    for place, one in enumerate(weights):
        total += one[:, None] * knots[:, first + place]
    return total
