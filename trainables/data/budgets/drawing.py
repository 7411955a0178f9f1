"""Chooses the annotated pixels of a budget.

Patches overlap, so "10 % of the patches" would reveal most pixels. A budget is a set of pixels: a
seed fixes one order of all units (blocks, tiles, cells of areas or points), and a fraction takes
units from the front of it. For one seed, smaller budgets are contained in larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trainables.data.budgets.annotation import (
    REFERENCE,
    TILES,
    Budget,
    Split,
    has_joined_blocks,
    labels_given,
    most_px,
    verify_pixels,
    verify_tiles,
)
from trainables.data.budgets.areas import cells_of, grow, windows_of
from trainables.data.budgets.diversity import diverse_order, looks, square_moments
from trainables.data.budgets.pixel_set import (
    PixelSet,
    clicked_pixels,
    count_classes,
    pixels_in_squares,
)
from trainables.data.budgets.units import (
    Place,
    Unit,
    find_units,
    num_within,
    take_discs,
    take_units,
    unit_order,
)
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import DataError
from trainables.settings.seeds import numpy_generator

_Taken: TypeAlias = tuple[tuple[Place, ...], int, PixelSet]
"""Places, number and pixels of the units that a budget takes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldUnits:
    """Blocks, tiles or cells that hold labelled pixels: the same for every seed and fraction."""

    places: tuple[Place, ...]
    """Of the units (U)."""
    counts: NDArray[np.int64]
    """Labelled pixels of each class (U, K)."""
    moments: NDArray[np.float64] | None
    """As from `square_moments`, for a diverse order."""

    @classmethod
    def find(cls, tiles: TileSet, unit: Unit, num_classes: int) -> HeldUnits:
        """The units of tiles.

        Args:
            tiles: The tiles of a split.
            unit: What is annotated at a time.
            num_classes: K.

        Raises:
            DataError: If a class is not below num_classes.
        """
        places, counts = find_units(tiles, unit, num_classes)
        moments = None
        if unit.order == "diverse" and places:
            moments = square_moments(tiles, unit.sides_px(tiles), places)
        return cls(places=places, counts=counts, moments=moments)

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Labelled pixels (U,)."""
        totals: NDArray[np.int64] = self.counts.sum(axis=1)
        return totals

    def order(self, unit: Unit, seed: int) -> NDArray[np.int64]:
        """Indices in the order in which units are annotated (U,)."""
        if unit.order == "diverse":
            assert self.moments is not None
            return diverse_order(looks(self.moments), seed=seed)
        return unit_order(self.counts, seed=seed, stratified=unit.stratified)

    def summed(self, groups: NDArray[np.int64]) -> HeldUnits:
        """Units that are made of several of these, by the number of their group (U,)."""
        num = int(groups.max()) + 1

        def total(values: NDArray[Any]) -> NDArray[Any]:
            sums = np.zeros((num, values.shape[1]), dtype=values.dtype)
            np.add.at(sums, groups, values)
            return sums

        return HeldUnits(
            places=(),
            counts=total(self.counts),
            moments=None if self.moments is None else total(self.moments),
        )


def draw_budget(
    tiles: TileSet,
    *,
    fraction: float,
    seed: int,
    unit: Unit,
    num_classes: int,
    smallest: float | None = None,
    split: Split = "train",
    held: HeldUnits | None = None,
) -> tuple[Budget, PixelSet]:
    """Choose the annotated pixels of the training tiles, or of the validation tiles.

    Args:
        tiles: The tiles of the split.
        fraction: Annotated / labelled pixels asked for, in (0, 1].
        seed: Fixes the order of units, the same for every fraction.
        unit: What is annotated at a time.
        num_classes: K.
        smallest: The study's lowest fraction, None for `fraction`; with the same, budgets nest.
        split: Whose tiles; validation tiles have an order of their own of the same seed.
        held: The units of the tiles; None to find them here.

    Returns:
        Manifest and pixels of the longest front of the seed's order within the fraction. The first
        unit that fits `smallest` leads the order; where none does, one is taken all the same.

    Raises:
        ValueError: If fraction is not in (0, 1] or smallest not in (0, fraction].
        DataError: If no pixel is labelled, or a class is not below num_classes.
    """
    (drawn,) = draw_budgets(
        tiles,
        fractions=(fraction,),
        seed=seed,
        unit=unit,
        num_classes=num_classes,
        smallest=smallest,
        split=split,
        held=held,
    )
    return drawn


def draw_budgets(
    tiles: TileSet,
    *,
    fractions: Sequence[float],
    seed: int,
    unit: Unit,
    num_classes: int,
    smallest: float | None = None,
    split: Split = "train",
    held: HeldUnits | None = None,
) -> list[tuple[Budget, PixelSet]]:
    """The budgets of several fractions, each as from `draw_budget`, by one order of units.

    Args:
        tiles: As of `draw_budget`, likewise all others.
        fractions: One or more; `smallest` is the lowest of them where it is None.
        seed: As there.
        unit: As there.
        num_classes: As there.
        smallest: As there.
        split: As there.
        held: As there.

    Raises:
        ValueError: As there.
        DataError: As there.
    """
    smallest = min(fractions) if smallest is None else smallest
    for fraction in fractions:
        _check(fraction, smallest)
    held = HeldUnits.find(tiles, unit, num_classes) if held is None else held
    if not held.places:
        raise DataError(f"{TILES[split]} must hold labelled pixels, got none; check their masks")
    labelled_px = int(held.counts.sum())
    budgets = []
    taken = _take_all(tiles, unit, held, _order_seed(seed, split), fractions, smallest)
    for fraction, (units, num_units, pixels) in zip(fractions, taken, strict=True):
        class_px = count_classes(tiles, pixels, num_classes)
        budget = Budget(
            unit=unit,
            seed=seed,
            fraction_asked=float(fraction),
            fraction_reached=int(class_px.sum()) / labelled_px,
            smallest=float(smallest),
            labelled_px=labelled_px,
            annotated_px=int(class_px.sum()),
            labelled_class_px=tuple(held.counts.sum(axis=0).tolist()),
            class_px=tuple(class_px.tolist()),
            num_units=num_units,
            units=units,
            pixels_checksum=pixels.checksum,
            data_checksum=tiles.checksum,
            labels=labels_given(unit, fraction, labelled_px),
            split=split,
            joined=has_joined_blocks(tiles, unit),
        )
        budgets.append((budget, pixels))
    return budgets


def listed_budget(
    tiles: TileSet,
    places: Sequence[Place],
    *,
    unit: Unit,
    fraction: float,
    seed: int,
    num_classes: int,
    smallest: float,
    held: HeldUnits | None = None,
) -> tuple[Budget, PixelSet]:
    """The budget that consists of these training tiles, or blocks of them.

    Args:
        tiles: The training tiles.
        places: The annotated ones.
        unit: What is listed: tiles or blocks.
        fraction: Name of the list, in (0, 1]; what it names may hold another share.
        seed: Whose list it is.
        num_classes: K.
        smallest: The study's lowest fraction.
        held: The units of the tiles; None to find them here.

    Raises:
        DataError: If a place is not on a tile, or the tiles have no labelled pixel.
    """
    pixels = pixels_in_squares(tiles, unit.sides_px(tiles), places)
    whole, _ = draw_budget(
        tiles, fraction=1.0, seed=seed, unit=unit, num_classes=num_classes, held=held
    )
    class_px = tuple(count_classes(tiles, pixels, num_classes).tolist())
    if not sum(class_px):
        raise DataError(
            f"{unit.kind}s of budget_lists must hold labelled pixels, got none in "
            f"{', '.join(name for name, _, _ in places)}"
        )
    return replace(
        whole,
        fraction_asked=float(fraction),
        fraction_reached=sum(class_px) / whole.labelled_px,
        smallest=float(smallest),
        annotated_px=sum(class_px),
        class_px=class_px,
        num_units=len(places),
        units=tuple(places),
        pixels_checksum=pixels.checksum,
        listed=True,
    ), pixels


def annotated_pixels(tiles: TileSet, budget: Budget) -> PixelSet:
    """Draw the annotated pixels again, from the manifest.

    Raises:
        DataError: If the tiles are not those the budget was drawn on.
    """
    verify_tiles(tiles, budget)
    if budget.unit.kind in ("area", "point"):
        _, pixels = draw_budget(
            tiles,
            fraction=budget.fraction_asked,
            seed=budget.seed,
            unit=budget.unit,
            num_classes=len(budget.class_px),
            smallest=budget.smallest,
            split=budget.split,
        )
    else:
        pixels = pixels_in_squares(tiles, budget.unit.sides_px(tiles), budget.units)
    verify_pixels(tiles, budget, pixels)
    return pixels


def _take_all(
    tiles: TileSet,
    unit: Unit,
    held: HeldUnits,
    seed: int,
    fractions: Sequence[float],
    smallest: float,
) -> list[_Taken]:
    """What each fraction takes: fronts of the one order, which is drawn as far as the longest."""
    counts, sides_px = held.counts, unit.sides_px(tiles)
    labelled_px = int(counts.sum())
    asked = [most_px(fraction, labelled_px) for fraction in fractions]
    limits = {"asked_px": max(asked), "smallest_px": most_px(smallest, labelled_px)}
    if unit.kind == "point":
        return _take_points(tiles, unit, held, seed, fractions, limits)
    if unit.kind == "area":
        indices, regions = _grown(unit, held, seed, limits)
    else:
        indices = take_units(held.order(unit, seed), held.labelled, **limits)
        regions = np.arange(len(indices))
    taken = []
    for asked_px in asked:
        num = num_within(held.labelled[indices], asked_px)
        places = tuple(held.places[index] for index in indices[:num])
        pixels = pixels_in_squares(tiles, sides_px, places)
        shown = () if unit.kind == "area" else places
        taken.append((shown, int(regions[num - 1]) + 1, pixels))
    return taken


def _take_points(
    tiles: TileSet,
    unit: Unit,
    held: HeldUnits,
    seed: int,
    fractions: Sequence[float],
    limits: dict[str, float],
) -> list[_Taken]:
    """The same of points; where all labelled pixels are asked for, each is one."""
    counts, labelled_px = held.counts, int(held.counts.sum())
    clicked = [one for one in fractions if labels_given(unit, one, labelled_px) != REFERENCE]
    if clicked:
        limits = limits | {"asked_px": most_px(max(clicked), labelled_px)}
        points, new_px = take_discs(tiles, unit, counts.sum(axis=0), seed=seed, **limits)
    taken: list[_Taken] = []
    for fraction in fractions:
        if fraction in clicked:
            num = num_within(new_px, most_px(fraction, labelled_px))
            pixels = clicked_pixels(tiles, points.taken(np.s_[:num]), counts.shape[1])
            taken.append(((), num, pixels))
        else:
            every = tuple((name, 0, 0) for name in tiles.names)
            pixels = pixels_in_squares(tiles, unit.sides_px(tiles), every)
            taken.append(((), labelled_px, pixels))
    return taken


def _grown(
    unit: Unit, held: HeldUnits, seed: int, limits: dict[str, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells taken in their order, and the region of each; as from `areas.grow`."""
    number: dict[str, int] = {}
    of_cell = np.array([number.setdefault(name, len(number)) for name, _, _ in held.places])
    cells = np.array([place[1:] for place in held.places])
    windows = windows_of(of_cell, cells)
    ranks = np.argsort(held.summed(windows).order(unit, seed))
    return grow(
        of_cell,
        cells,
        held.labelled,
        ranks[windows],
        most_cells=cells_of(unit.size_px),
        seed=seed,
        **limits,
    )


def _check(fraction: float, smallest: float) -> None:
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], got {fraction!r}")
    if not 0 < smallest <= fraction:
        raise ValueError(f"smallest must be in (0, fraction = {fraction!r}], got {smallest!r}")


def _order_seed(seed: int, split: Split) -> int:
    """The seed of the order of units: the trial's own, for validation one drawn from it."""
    return seed if split == "train" else int(numpy_generator(seed, "val_budget").integers(2**63))
