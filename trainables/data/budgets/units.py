"""What is annotated at a time (blocks, whole tiles, areas, points), and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trainables.data.budgets.areas import cell_px
from trainables.data.budgets.pixel_set import (
    Discs,
    disc_stencil,
    hash_pixels,
    mask_strips,
    num_squares,
    square_of,
)
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import ConfigError, DataError
from trainables.settings.seeds import numpy_generator

Kind: TypeAlias = Literal["block", "tile", "area", "point"]
Order: TypeAlias = Literal["random", "diverse"]
Place: TypeAlias = tuple[str, int, int]
"""Tile name, row and column of a block or cell; a whole tile is its own block (0, 0)."""

_LEAST_SIZE_PX: Final = {"block": 1, "tile": 0, "area": 1, "point": 0}


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is annotated at a time."""

    kind: Kind
    """`block`: a square cut from a tile; `tile`: a whole tile; `area`: a contiguous region, see
    `areas.grow`; `point`: a disc around a pixel."""
    size_px: int
    """Side of a block (`pixel_set.num_squares` says what becomes of the edges of a tile), or of
    the square that has the area of a region; radius of a disc; 0 for a tile."""
    stratified: bool = False
    """Whether every class comes early and in proportion, see `unit_order`, `take_discs`."""
    order: Order = "random"
    """Which units come first: random ones, or those whose imagery differs most (`diversity`)."""

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ConfigError: If a field is out of its range.
        """
        if self.kind not in get_args(Kind):
            raise ConfigError(
                f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r} in unit"
            )
        least = _LEAST_SIZE_PX[self.kind]
        whole = isinstance(self.size_px, int) and not isinstance(self.size_px, bool)
        if not whole or self.size_px < least or (self.kind == "tile" and self.size_px != 0):
            rule = "0" if self.kind == "tile" else f"a whole number of at least {least}"
            raise ConfigError(
                f"size_px must be {rule} in a unit of kind {self.kind}, got {self.size_px!r}"
            )
        if not isinstance(self.stratified, bool):
            raise ConfigError(f"stratified must be true or false, got {self.stratified!r}")
        if self.order not in get_args(Order):
            raise ConfigError(
                f"order must be one of {', '.join(get_args(Order))}, got {self.order!r} in unit"
            )
        if self.order == "diverse" and self.kind == "point":
            raise ConfigError(
                "budget_order must be random for points, got 'diverse'; choose another "
                "--budget-unit, or leave it out"
            )
        if self.order == "diverse" and self.stratified:
            raise ConfigError(
                "budget_order must be random where budget_stratified is true, got 'diverse', which "
                "knows no labels; leave out one of the two"
            )

    def sides_px(self, tiles: TileSet) -> NDArray[np.int64]:
        """Side of the squares that each tile is cut into (T,).

        Areas are made of cells; points are drawn from whole tiles.
        """
        whole: NDArray[np.int64] = tiles.shapes.max(axis=1)
        if self.kind not in ("block", "area"):
            return whole
        return np.full_like(whole, self.size_px if self.kind == "block" else cell_px(self.size_px))


def find_units(
    tiles: TileSet, unit: Unit, num_classes: int
) -> tuple[tuple[Place, ...], NDArray[np.int64]]:
    """Blocks, tiles or cells with labelled pixels: their places (U), and pixels per class (U, K).

    They are sorted by tile name, row and column, whatever the order of the tiles.

    Raises:
        DataError: If a mask holds a class that is not below num_classes.
    """
    sides = unit.sides_px(tiles).tolist()
    down, across = num_squares(tiles.shapes, unit.sides_px(tiles)).T.tolist()
    wide = num_classes + 1
    counts = [np.zeros(r * c * wide, dtype=np.int64) for r, c in zip(down, across, strict=True)]
    for index, first, mask in mask_strips(tiles):
        if ((mask >= num_classes) & (mask != IGNORE_INDEX)).any():
            raise DataError(
                f"classes of a mask must be below {num_classes} or {IGNORE_INDEX}, got "
                f"{mask[mask != IGNORE_INDEX].max()} in tile {tiles.names[index]!r}"
            )
        rows = square_of(np.arange(first, first + mask.shape[0]), sides[index], down[index])
        columns = square_of(np.arange(mask.shape[1]), sides[index], across[index])
        squares = ((rows - rows[0])[:, None] * across[index] + columns) * wide
        found = np.bincount((squares + np.minimum(mask, num_classes)).ravel())
        begin = int(rows[0]) * across[index] * wide
        counts[index][begin : begin + len(found)] += found
    places: list[Place] = []
    held = [np.zeros((0, num_classes), dtype=np.int64)]
    for index in _by_name(tiles):
        of_tile = counts[index].reshape(-1, wide)[:, :num_classes]
        labelled = np.flatnonzero(of_tile.sum(axis=1))
        places += [(tiles.names[index], *divmod(int(i), across[index])) for i in labelled]
        held.append(of_tile[labelled])
    return tuple(places), np.concatenate(held)


def unit_order(counts: NDArray[np.int64], *, seed: int, stratified: bool) -> NDArray[np.int64]:
    """The seeded order of blocks or tiles with these pixels per class (U, K); indices (U,).

    Stratified, a unit belongs to the class whose share in it exceeds its share in all labels
    most (of equal ones the rarest). Inside a class the order is the seed's; units of different
    classes follow each other by the share of their own class's units, in labelled pixels, that
    comes before them, of equal ones the rarest class first. So each class comes once at the
    very front, and from then on all classes advance in proportion.
    """
    order = numpy_generator(seed, "budget").permutation(len(counts)).astype(np.int64)
    if not stratified:
        return order
    totals = counts.sum(axis=0)
    rarest = np.argsort(totals, kind="stable")
    stratum = np.argmax(counts[:, rarest] / np.maximum(totals[rarest], 1), axis=1)[order]
    labelled = counts.sum(axis=1)[order]
    before = np.zeros(len(order))
    for rank in np.unique(stratum):
        of_class = stratum == rank
        until = np.cumsum(labelled[of_class])
        before[of_class] = (until - labelled[of_class]) / until[-1]
    return order[np.lexsort((stratum, before))]


def take_units(
    order: NDArray[np.int64], labelled: NDArray[np.int64], *, asked_px: float, smallest_px: float
) -> NDArray[np.int64]:
    """The longest front of an order (U,) of units that does not exceed `asked_px`, one at least.

    Where the first unit exceeds `smallest_px`, the first that does not moves to the front.
    """
    fits = labelled[order] <= smallest_px
    if fits.any():
        first = int(np.argmax(fits))
        order = np.concatenate([order[first : first + 1], np.delete(order, first)])
    return order[: num_within(labelled[order], asked_px)]


def take_discs(
    tiles: TileSet,
    unit: Unit,
    class_px: NDArray[np.int64],
    *,
    seed: int,
    asked_px: float,
    smallest_px: float,
) -> tuple[Discs, NDArray[np.int64]]:
    """The longest front of the seed's order of points whose discs do not exceed `asked_px`.

    Every labelled pixel is a point of the order, by a hash of seed, tile name and position.
    Stratified, a point belongs to its own pixel's class, and points of different classes follow
    each other by the share of their own class's pixels that comes before them, of equal ones
    the rarest class first. Where the disc of the first point exceeds `smallest_px`, the first
    point whose disc does not moves to the front. One point is taken at least.

    Args:
        tiles: The training tiles.
        unit: The unit, whose kind is `point`.
        class_px: Labelled pixels of each class (K,).
        seed: Fixes the order.
        asked_px: Labelled pixels that the discs may cover together.
        smallest_px: The same for the lowest fraction of the study.

    Returns:
        The points (N), and the labelled pixels that each adds to those before it (N,).
    """
    labelled_px = int(class_px.sum())
    missed = max(1 - asked_px / labelled_px, 0.0)
    # Discs around points that are scattered at this share miss the wanted share of the pixels.
    share = 1 - missed ** (1 / int(disc_stencil(unit.size_px).sum()))
    while True:
        points = _points(tiles, unit, class_px, seed, share)
        first = _first_within(tiles, points, smallest_px)
        if first is not None:
            order = np.delete(np.arange(len(points)), first)
            points = points.taken(np.concatenate([[first], order]))
        new_px = np.zeros(len(points) + 1, dtype=np.int64)
        covers = zip(points.first_cover(), mask_strips(tiles), strict=True)
        for (_, _, ranks), (_, _, mask) in covers:
            np.add.at(new_px, ranks[mask != IGNORE_INDEX], 1)
        new_px = new_px[:-1]
        enough = first is not None and new_px.sum() > asked_px
        if enough or len(points) == labelled_px:
            num = num_within(new_px, asked_px)
            return points.taken(np.s_[:num]), new_px[:num]
        share = 1.5 * share + 1 / labelled_px


def _points(
    tiles: TileSet, unit: Unit, class_px: NDArray[np.int64], seed: int, share: float
) -> Discs:
    """The front of the seed's order of points, with at least about this share of all."""
    totals = class_px if unit.stratified else np.full_like(class_px, class_px.sum())
    # A surplus is drawn, so that chance seldom leaves one class behind the others.
    surplus = (4 * np.sqrt(share * totals) + 16) / np.maximum(totals, 1)
    highest = np.zeros(256, dtype=np.uint64)
    highest[: len(totals)] = [min(int(s * 2**64), 2**64 - 1) for s in share + surplus]
    found: list[tuple[NDArray[np.uint64], ...]] = []
    position = {index: place for place, index in enumerate(_by_name(tiles))}
    for index, first, mask in mask_strips(tiles):
        pixels = np.arange(mask.size, dtype=np.uint64) + np.uint64(first * mask.shape[1])
        flat = mask.ravel()
        hashes = hash_pixels(pixels, seed=seed, name=tiles.names[index])
        at = np.flatnonzero((flat != IGNORE_INDEX) & (hashes <= highest[flat]))
        tile = np.full(len(at), index, dtype=np.uint64)
        place = np.full(len(at), position[index], dtype=np.uint64)
        found.append((hashes[at], place, pixels[at], tile, flat[at].astype(np.uint64)))
    hashes, place, pixels, tile, classes = (
        np.concatenate(part) for part in zip(*found, strict=True)
    )
    order = np.lexsort((pixels, place, hashes))
    if unit.stratified:
        order = order[_in_proportion(classes[order].astype(np.int64), class_px)]
    return Discs(
        radius_px=unit.size_px,
        shapes=np.asarray(tiles.shapes),
        tiles=tile[order].astype(np.int64),
        pixels=pixels[order].astype(np.int64),
    )


def _in_proportion(classes: NDArray[np.int64], class_px: NDArray[np.int64]) -> NDArray[np.int64]:
    """Stratified order of points with these classes, as far as no point that is missing comes."""
    before = np.zeros(len(classes))
    complete = np.inf
    for index in np.flatnonzero(class_px):
        of_class = np.flatnonzero(classes == index)
        before[of_class] = np.arange(len(of_class)) / class_px[index]
        if len(of_class) < class_px[index]:
            complete = min(complete, len(of_class) / class_px[index])
    rarity = np.argsort(np.argsort(class_px, kind="stable"))
    order = np.lexsort((rarity[classes], before))
    return order[before[order] < complete]


def _first_within(tiles: TileSet, points: Discs, most_px: float) -> int | None:
    """Rank of the first point whose own disc holds at most so many labelled pixels."""
    radius = points.radius_px
    disc = disc_stencil(radius)
    for rank, (index, pixel) in enumerate(zip(points.tiles, points.pixels, strict=True)):
        if disc.sum() <= most_px:
            return rank
        mask = tiles.tile(int(index)).mask
        row, column = divmod(int(pixel), mask.shape[1])
        top, left = max(0, row - radius), max(0, column - radius)
        window = mask[top : row + radius + 1, left : column + radius + 1] != IGNORE_INDEX
        inner = disc[top - row + radius :, left - column + radius :]
        if (window & inner[: window.shape[0], : window.shape[1]]).sum() <= most_px:
            return rank
    return None


def num_within(new_px: NDArray[np.int64], most_px: float) -> int:
    """How many units of an order with so many new pixels each (U,) a limit holds; one at least."""
    return max(1, int(np.searchsorted(np.cumsum(new_px), most_px, side="right")))


def _by_name(tiles: TileSet) -> list[int]:
    return sorted(range(len(tiles)), key=lambda index: tiles.names[index])
