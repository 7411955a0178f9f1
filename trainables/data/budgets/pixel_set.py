"""Sets of pixels of tiles, and walks over their pixels that hold one strip in memory at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
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
    labels: NDArray[np.uint8] | None = None
    """The classes that pixels of the set are given, where these are not those of their masks: the
    digits of a class in base 2, the lowest first, each laid out as `bits` (L, B), read-only."""

    def rows(self, index: int, first: int, last: int) -> NDArray[np.bool_]:
        """Rows `first` to `last`, exclusive, of a tile (last - first, W)."""
        return self._rows_of(self.bits, index, first, last)

    def given(self, index: int, first: int, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What is known of the rows from `first` on, whose mask this is (rows, W).

        Returns:
            The class that each pixel of the set is given (rows, W); `IGNORE_INDEX` outside of it.
        """
        last = first + len(mask)
        classes = mask
        if self.labels is not None:
            classes = np.zeros_like(mask)
            for place, digits in enumerate(self.labels):
                classes |= self._rows_of(digits, index, first, last).view(np.uint8) << place
        return np.where(self.rows(index, first, last), classes, np.uint8(IGNORE_INDEX))

    def tile(self, index: int) -> NDArray[np.bool_]:
        """All rows of a tile (H, W)."""
        return self.rows(index, 0, int(self.shapes[index, 0]))

    def row_counts(self) -> NDArray[np.int64]:
        """Pixels of the set in every row of every tile, one after the other (sum of H,)."""
        counts = [
            np.bitwise_count(self._bytes_of(self.bits, index)[first:last]).sum(
                axis=1, dtype=np.int64
            )
            for index, first, last in row_strips(self.shapes)
        ]
        return np.concatenate([np.zeros(0, dtype=np.int64), *counts])

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over shapes, bits and, where given, labels, in the order of the tiles."""
        checksum = hashlib.sha256(np.ascontiguousarray(self.shapes, dtype="<i8").data)
        checksum.update(np.ascontiguousarray(self.bits).data)
        if self.labels is not None:
            checksum.update(np.ascontiguousarray(self.labels).data)
        return checksum.hexdigest()

    def _rows_of(
        self, plane: NDArray[np.uint8], index: int, first: int, last: int
    ) -> NDArray[np.bool_]:
        width = int(self.shapes[index, 1])
        packed = self._bytes_of(plane, index)[first:last]
        return np.unpackbits(packed, axis=1, count=width).view(np.bool_)

    def _bytes_of(self, plane: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        height = int(self.shapes[index, 0])
        return plane[self.starts[index] : self.starts[index + 1]].reshape(height, -1)


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
    starts, planes = _pack(shapes, 1, ((index, first, rows[None]) for index, first, rows in strips))
    return PixelSet(shapes=np.array(shapes, dtype=np.int64), starts=starts, bits=planes[0])


def _pack(
    shapes: NDArray[np.int64], num: int, strips: Iterable[tuple[int, int, NDArray[np.bool_]]]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where tiles start, and planes (num, B) laid out as `PixelSet.bits`, of strips (num, rows, W).

    The planes are read-only.
    """
    row_bytes = -(-shapes[:, 1] // 8)
    starts = np.concatenate([[0], np.cumsum(shapes[:, 0] * row_bytes)]).astype(np.int64)
    planes = np.zeros((num, int(starts[-1])), dtype=np.uint8)
    for index, first, rows in strips:
        begin = int(starts[index] + first * row_bytes[index])
        packed = np.packbits(rows, axis=2).reshape(num, -1)
        planes[:, begin : begin + packed.shape[1]] = packed
    planes.setflags(write=False)
    return starts, planes


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
        return self._cover([np.argwhere(disc_stencil(self.radius_px)) - self.radius_px])

    def nearest_cover(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """As `first_cover`, of the nearest point that covers it, the first of equally near ones."""
        offsets = np.argwhere(disc_stencil(self.radius_px)) - self.radius_px
        distance = (offsets**2).sum(axis=1)
        return self._cover([offsets[distance == one] for one in np.unique(distance)[::-1]])

    def _cover(
        self, rings: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """Ranks of the points that cover pixels; a later ring (offsets, 2) comes before an earlier.

        Inside a ring the first point counts.
        """
        rows = self.pixels // self.shapes[self.tiles, 1]
        by_row = np.lexsort((rows, self.tiles))
        ends = np.searchsorted(self.tiles[by_row], np.arange(len(self.shapes) + 1))
        for index, first, last in row_strips(self.shapes):
            of_tile = by_row[ends[index] : ends[index + 1]]
            reach = [first - self.radius_px, last + self.radius_px]
            low, high = np.searchsorted(rows[of_tile], reach)
            near = np.sort(of_tile[low:high])
            yield index, first, self._ranks(near, rings, index, first, last)

    def _ranks(
        self,
        near: NDArray[np.int64],
        rings: Sequence[NDArray[np.int64]],
        index: int,
        first: int,
        last: int,
    ) -> NDArray[np.int64]:
        """Rank of that of the points `near` which counts for each pixel of a strip."""
        radius, width = self.radius_px, int(self.shapes[index, 1])
        # A border around the strip takes what the discs would write outside of it.
        padded = width + 2 * radius
        ranks = np.full((last - first + 4 * radius) * padded, len(self), dtype=np.int64)
        row, column = np.divmod(self.pixels[near], width)
        centers = (row - first + 2 * radius) * padded + column + radius
        for ring in rings:
            offsets = ring @ np.array([padded, 1])
            step = max(1, STRIP_PX // len(offsets))
            # Backwards: of several values for one pixel the last assigned stays, the lowest rank.
            for end in range(len(near), 0, -step):
                part = np.s_[max(0, end - step) : end]
                reached = (centers[part][::-1, None] + offsets).ravel()
                ranks[reached] = np.repeat(near[part][::-1], len(offsets))
        inner = ranks.reshape(-1, padded)[2 * radius : 2 * radius + last - first]
        return inner[:, radius : radius + width]


def num_squares(shapes: NDArray[np.int64], sides_px: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows and columns of the squares that tiles are cut into (T, 2).

    What is left over at the lower and right edge is a row or column of its own from half a side on;
    less belongs to its neighbour, or would be strips of a few pixels that nobody annotates alone.

    Args:
        shapes: Height and width of the tiles in pixels (T, 2).
        sides_px: Side of the squares of each tile (T,).
    """
    sides = sides_px[:, None]
    nums: NDArray[np.int64] = np.maximum(1, (2 * shapes + sides) // (2 * sides))
    return nums


def has_joined_squares(shapes: NDArray[np.int64], sides_px: NDArray[np.int64]) -> bool:
    """Whether squares at an edge hold what is less than half a side beyond them."""
    cut = -(-shapes // sides_px[:, None])
    return bool((num_squares(shapes, sides_px) != cut).any())


def square_of(pixels: NDArray[np.int64], side_px: int, num: int) -> NDArray[np.int64]:
    """Row or column, of `num`, of the square that rows or columns of pixels belong to."""
    return np.minimum(pixels // side_px, num - 1)


def pixels_in_squares(
    tiles: TileSet, sides_px: NDArray[np.int64], places: Iterable[tuple[str, int, int]]
) -> PixelSet:
    """The labelled pixels in some of the squares that tiles are cut into, as `num_squares` says.

    Args:
        tiles: T tiles.
        sides_px: Side of the squares of each tile (T,).
        places: Tile name, row and column of each square, counted in squares.

    Raises:
        DataError: If a place names no tile of the set.
    """
    grids = num_squares(tiles.shapes, sides_px)
    chosen = [np.zeros(grid, dtype=np.bool_) for grid in grids]
    index_of = {name: index for index, name in enumerate(tiles.names)}
    for name, row, column in places:
        if name not in index_of:
            raise DataError(f"tile of a budget must be a training tile, got {name!r}")
        chosen[index_of[name]][row, column] = True

    def strips() -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        for index, first, mask in mask_strips(tiles):
            side, (down, across) = int(sides_px[index]), grids[index].tolist()
            rows = square_of(np.arange(first, first + mask.shape[0]), side, down)
            columns = square_of(np.arange(mask.shape[1]), side, across)
            yield index, first, chosen[index][rows][:, columns] & (mask != IGNORE_INDEX)

    return pack_pixels(tiles.shapes, strips())


def clicked_pixels(tiles: TileSet, points: Discs, num_classes: int) -> PixelSet:
    """The labelled pixels that discs cover, each with the class that a click gives it.

    A click says what lies at its point, and says it of the whole disc: a pixel is given the class
    of the nearest point that covers it, the first of equally near ones, whatever its own class is.
    Pixels whose class is unknown stay so: no score counts them, and shares are of labelled pixels.

    Args:
        tiles: The training tiles.
        points: The points, each a labelled pixel, with their discs.
        num_classes: K.
    """
    clicked = tiles.masks[tiles.starts[points.tiles] + points.pixels]
    known = np.concatenate([clicked, [IGNORE_INDEX]]).astype(np.uint8)

    def strips() -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        walk = zip(points.nearest_cover(), mask_strips(tiles), strict=True)
        for (index, first, ranks), (_, _, mask) in walk:
            yield index, first, np.where(mask != IGNORE_INDEX, known[ranks], mask)

    return pack_classes(tiles.shapes, num_classes, strips())


def pack_classes(
    shapes: NDArray[np.int64],
    num_classes: int,
    strips: Iterable[tuple[int, int, NDArray[np.uint8]]],
) -> PixelSet:
    """Build a set whose pixels are given these classes, strip by strip.

    Args:
        shapes: Height and width of the tiles (T, 2).
        num_classes: K.
        strips: Tile index, first row, and the class of each pixel of the rows from there on
            (rows, W); `IGNORE_INDEX` for what does not belong to the set.
    """
    places = np.arange(max(1, (num_classes - 1).bit_length()), dtype=np.uint8)[:, None, None]

    def planes_of() -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        for index, first, classes in strips:
            held = classes != IGNORE_INDEX
            digits = (classes >> places & 1).astype(np.bool_) & held
            yield index, first, np.concatenate([held[None], digits])

    starts, planes = _pack(shapes, 1 + len(places), planes_of())
    return PixelSet(
        shapes=np.array(shapes, dtype=np.int64),
        starts=starts,
        bits=planes[0],
        labels=planes[1:],
    )


def count_labelled(tiles: TileSet) -> int:
    """Pixels of all tiles whose class is known."""
    return sum(int(np.count_nonzero(mask != IGNORE_INDEX)) for _, _, mask in mask_strips(tiles))


def count_classes(tiles: TileSet, pixels: PixelSet, num_classes: int) -> NDArray[np.int64]:
    """Pixels of a set of labelled pixels by the class that they are given (K,)."""
    counts = np.zeros(num_classes, dtype=np.int64)
    for index, first, mask in mask_strips(tiles):
        given = pixels.given(index, first, mask)
        counts += np.bincount(given[given != IGNORE_INDEX], minlength=num_classes)
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
