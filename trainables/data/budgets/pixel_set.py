"""Sets of pixels of tiles, and walks over their pixels that hold one strip in memory at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import DataError

STRIP_PX: Final = 2**22
"""Pixels handled at a time: a tile may be a mapped file of gigabytes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelSet:
    """A set of pixels of T tiles, one bit each.

    Every image row begins at a byte; within a byte the most significant bit comes first, and
    the bits after the last column are 0.
    """

    shapes: NDArray[np.int64]
    """Height and width in pixels (T, 2)."""
    starts: NDArray[np.int64]
    """Index of each tile's first byte, and B at the end (T + 1,)."""
    bits: NDArray[np.uint8]
    """The rows of all tiles, one after the other (B,), read-only."""

    def rows(self, index: int, first: int, last: int) -> NDArray[np.bool_]:
        """Rows `first` to `last`, exclusive, of a tile (last - first, W)."""
        width = int(self.shapes[index, 1])
        packed = self._bytes_of(index)[first:last]
        return np.unpackbits(packed, axis=1, count=width).view(np.bool_)

    def tile(self, index: int) -> NDArray[np.bool_]:
        """All rows of a tile (H, W)."""
        return self.rows(index, 0, int(self.shapes[index, 0]))

    def row_counts(self) -> NDArray[np.int64]:
        """Pixels of the set in every row of every tile, one after the other (sum of H,)."""
        counts = [
            np.bitwise_count(self._bytes_of(index)[first:last]).sum(axis=1, dtype=np.int64)
            for index, first, last in row_strips(self.shapes)
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *counts])

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over shapes and bits, in the order of the tiles."""
        checksum = hashlib.sha256(np.ascontiguousarray(self.shapes, dtype="<i8").data)
        checksum.update(np.ascontiguousarray(self.bits).data)
        return checksum.hexdigest()

    def _bytes_of(self, index: int) -> NDArray[np.uint8]:
        height = int(self.shapes[index, 0])
        return self.bits[self.starts[index] : self.starts[index + 1]].reshape(height, -1)


def row_strips(shapes: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Strips of about `STRIP_PX` pixels over tiles (T, 2): tile index, first row, last row + 1."""
    for index, (height, width) in enumerate(shapes.tolist()):
        step = max(1, STRIP_PX // width)
        for first in range(0, height, step):
            yield index, first, min(first + step, height)


def mask_strips(tiles: TileSet) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Tile index, first row and mask (rows, W) of strips that cover all tiles."""
    for index, first, last in row_strips(tiles.shapes):
        start, width = int(tiles.starts[index]), int(tiles.shapes[index, 1])
        mask = tiles.masks[start + first * width : start + last * width]
        yield index, first, mask.reshape(last - first, width)


def pack_pixels(
    shapes: NDArray[np.int64], strips: Iterable[tuple[int, int, NDArray[np.bool_]]]
) -> PixelSet:
    """Build a set strip by strip; only one strip has a byte per pixel at a time.

    Args:
        shapes: Height and width of the tiles (T, 2).
        strips: Tile index, first row, and which pixels of the rows from there on belong to the
            set (rows, W); rows in no strip hold none.
    """
    row_bytes = -(-shapes[:, 1] // 8)
    starts = np.concatenate([[0], np.cumsum(shapes[:, 0] * row_bytes)]).astype(np.int64)
    bits = np.zeros(int(starts[-1]), dtype=np.uint8)
    for index, first, rows in strips:
        begin = int(starts[index] + first * row_bytes[index])
        packed = np.packbits(rows, axis=1)
        bits[begin : begin + packed.size] = packed.ravel()
    bits.setflags(write=False)
    return PixelSet(shapes=np.array(shapes, dtype=np.int64), starts=starts, bits=bits)


@dataclass(frozen=True, kw_only=True, eq=False)
class Discs:
    """Discs of one radius around N points, in the order in which the points are taken."""

    radius_px: int
    """A disc holds the pixels with dx * dx + dy * dy <= radius_px * radius_px."""
    shapes: NDArray[np.int64]
    """Height and width of the tiles (T, 2)."""
    tiles: NDArray[np.int64]
    """Tile index of each point (N,)."""
    pixels: NDArray[np.int64]
    """Row * W + column of each point (N,)."""

    def __len__(self) -> int:
        return len(self.tiles)

    def taken(self, order: slice | NDArray[np.int64]) -> Discs:
        """Some of the points, in the order given."""
        return Discs(
            radius_px=self.radius_px,
            shapes=self.shapes,
            tiles=self.tiles[order],
            pixels=self.pixels[order],
        )

    def first_cover(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """Strip by strip: tile index, first row, rank of the first point that covers each pixel.

        Ranks are (rows, W), int64; N for a pixel that no disc covers.
        """
        rows = self.pixels // self.shapes[self.tiles, 1]
        by_row = np.lexsort((rows, self.tiles))
        ends = np.searchsorted(self.tiles[by_row], np.arange(len(self.shapes) + 1))
        for index, first, last in row_strips(self.shapes):
            of_tile = by_row[ends[index] : ends[index + 1]]
            reach = [first - self.radius_px, last + self.radius_px]
            low, high = np.searchsorted(rows[of_tile], reach)
            near = np.sort(of_tile[low:high])
            yield index, first, self._ranks(near, index, first, last)

    def _ranks(
        self, near: NDArray[np.int64], index: int, first: int, last: int
    ) -> NDArray[np.int64]:
        """Rank of the first of the points `near` that covers each pixel of a strip."""
        radius, width = self.radius_px, int(self.shapes[index, 1])
        # A border around the strip takes what the discs would write outside of it.
        padded = width + 2 * radius
        ranks = np.full((last - first + 4 * radius) * padded, len(self), dtype=np.int64)
        row, column = np.divmod(self.pixels[near], width)
        centers = (row - first + 2 * radius) * padded + column + radius
        disc = disc_stencil(radius)
        offsets = (np.argwhere(disc) - radius) @ np.array([padded, 1])
        step = max(1, STRIP_PX // len(offsets))
        # Backwards: of several values for one pixel the last assigned stays, the lowest rank.
        for end in range(len(near), 0, -step):
            part = np.s_[max(0, end - step) : end]
            reached = (centers[part][::-1, None] + offsets).ravel()
            ranks[reached] = np.repeat(near[part][::-1], len(offsets))
        inner = ranks.reshape(-1, padded)[2 * radius : 2 * radius + last - first]
        return inner[:, radius : radius + width]


def pixels_in_squares(
    tiles: TileSet, sides_px: NDArray[np.int64], places: Iterable[tuple[str, int, int]]
) -> PixelSet:
    """The labelled pixels in some of the squares that tiles are cut into.

    Args:
        tiles: T tiles.
        sides_px: Side of the squares of each tile (T,); those at its edges are cut off.
        places: Tile name, row and column of each square, counted in squares.

    Raises:
        DataError: If a place names no tile of the set.
    """
    chosen = [np.zeros(grid, dtype=np.bool_) for grid in -(-tiles.shapes // sides_px[:, None])]
    index_of = {name: index for index, name in enumerate(tiles.names)}
    for name, row, column in places:
        if name not in index_of:
            raise DataError(f"tile of a budget must be a training tile, got {name!r}")
        chosen[index_of[name]][row, column] = True

    def strips() -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        for index, first, mask in mask_strips(tiles):
            rows = np.arange(first, first + mask.shape[0]) // sides_px[index]
            columns = np.arange(mask.shape[1]) // sides_px[index]
            yield index, first, chosen[index][rows][:, columns] & (mask != IGNORE_INDEX)

    return pack_pixels(tiles.shapes, strips())


def covered_pixels(tiles: TileSet, points: Discs) -> PixelSet:
    """The labelled pixels that discs cover."""
    walk = zip(points.first_cover(), mask_strips(tiles), strict=True)
    covered = (
        (index, first, (ranks < len(points)) & (mask != IGNORE_INDEX))
        for (index, first, ranks), (_, _, mask) in walk
    )
    return pack_pixels(tiles.shapes, covered)


def count_labelled(tiles: TileSet) -> int:
    """Pixels of all tiles whose class is known."""
    return sum(int(np.count_nonzero(mask != IGNORE_INDEX)) for _, _, mask in mask_strips(tiles))


def count_classes(tiles: TileSet, pixels: PixelSet, num_classes: int) -> NDArray[np.int64]:
    """Pixels of each class in a set of labelled pixels (K,)."""
    counts = np.zeros(num_classes, dtype=np.int64)
    for index, first, mask in mask_strips(tiles):
        inside = pixels.rows(index, first, first + mask.shape[0])
        counts += np.bincount(mask[inside], minlength=num_classes)
    return counts


def disc_stencil(radius_px: int) -> NDArray[np.bool_]:
    """Which pixels of a square of side 2 r + 1 belong to the disc of radius r around its centre."""
    distance = np.arange(-radius_px, radius_px + 1) ** 2
    return distance[:, None] + distance <= radius_px**2


def hash_pixels(pixels: NDArray[np.uint64], *, seed: int, name: str) -> NDArray[np.uint64]:
    """A uniform 64-bit number for each pixel (N,) of a tile, the same on every machine.

    It is the finaliser of SplitMix64 (Steele et al., 2014) on a counter, keyed by seed and name.
    """
    digest = hashlib.sha256(json.dumps([seed, name]).encode()).digest()
    mixed = (pixels + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed += np.uint64(int.from_bytes(digest[:8], "little"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
