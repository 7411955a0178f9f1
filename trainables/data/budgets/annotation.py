"""Annotation budgets: which pixels of the training or validation tiles count as annotated.

Patches overlap, so "10 % of the patches" would reveal most pixels. A budget is a set of pixels: a
seed fixes one order of all units (blocks, tiles, cells of areas or points), and a fraction takes
units from the front of it. For one seed, smaller budgets are contained in larger ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trainables.data.budgets.areas import grow, windows_of
from trainables.data.budgets.diversity import diverse_order, looks, square_moments
from trainables.data.budgets.pixel_set import (
    PixelSet,
    clicked_pixels,
    count_classes,
    has_joined_squares,
    pixels_in_squares,
)
from trainables.data.budgets.units import (
    Place,
    Unit,
    find_units,
    take_discs,
    take_units,
    unit_order,
)
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import DataError
from trainables.settings.seeds import numpy_generator
from trainables.storage.atomic_files import write_atomically

Split: TypeAlias = Literal["train", "val"]

_ADVICE: Final = "remove it, and it is written again from the same seed"
_REFERENCE: Final = "reference"
_TILES: Final = {"train": "training tiles", "val": "validation tiles"}
_ROUNDING_PX: Final = 1e-6
"""Slack for fractions such as 0.1 that binary floating point cannot hold."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The manifest of one budget: written once, verified by every trial that uses it."""

    unit: Unit
    """What is annotated at a time."""
    seed: int
    fraction_asked: float
    """Annotated / labelled pixels, in (0, 1]."""
    fraction_reached: float
    """Largest reachable share that is not above `fraction_asked`; one unit at the least."""
    smallest: float
    """The lowest fraction of the study, which the first unit fits if any does."""
    labelled_px: int
    """Pixels of the tiles whose class is known."""
    annotated_px: int
    """Those of them inside the budget."""
    labelled_class_px: tuple[int, ...]
    """Labelled pixels of each class (K,)."""
    class_px: tuple[int, ...]
    """Annotated pixels by the class that they are given (K,)."""
    num_units: int
    """Blocks, tiles, points, or contiguous regions."""
    units: tuple[Place, ...]
    """Tile name, block row, block column, in the order of the seed; none for areas and points."""
    pixels_checksum: str
    """`PixelSet.checksum` of the annotated pixels."""
    data_checksum: str
    """`TileSet.checksum` of the tiles."""
    labels: Literal["reference", "click"] = "reference"
    """Whose class an annotated pixel is given: its own, or that of the nearest point clicked. Left
    out of what is written where it is the former, as in manifests of before there were others."""
    split: Split = "train"
    """Whose tiles: those that are trained on, or those that choose weights and settings."""
    joined: bool = False
    """Whether blocks at the edges of tiles hold what is less than half a block beyond them. Left
    out of what is written where no tile has such edges, as in manifests of before they did."""
    listed: bool = False
    """Whether a published list says which tiles, and the fraction asked is its name; left out of
    what is written where budgets are drawn."""

    @property
    def empty_classes(self) -> tuple[int, ...]:
        """Indices of the classes without an annotated pixel, labelled anywhere or not."""
        return tuple(index for index, count in enumerate(self.class_px) if count == 0)

    @property
    def exceeds(self) -> bool:
        """Whether more is annotated than asked, because one unit alone exceeds the fraction.

        A list is what was asked for, whatever share its tiles hold.
        """
        return not self.listed and self.annotated_px > _most_px(
            self.fraction_asked, self.labelled_px
        )

    @property
    def checksum(self) -> str:
        """SHA-256 over every field that is written."""
        content = json.dumps(self._written(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Dictionary of numbers, strings, lists and the unit's fields, with the checksum."""
        return {**json.loads(json.dumps(self._written())), "checksum": self.checksum}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Budget:
        """Inverse of `to_plain`.

        Raises:
            DataError: If the content does not give the checksum it carries, or was drawn by rules
                that no longer hold.
        """
        content = {name: value for name, value in plain.items() if name != "checksum"}
        content["unit"] = Unit(**content["unit"])
        for name in ("class_px", "labelled_class_px"):
            content[name] = tuple(content[name])
        content["units"] = tuple((name, row, column) for name, row, column in content["units"])
        budget = cls(**content)
        if budget.split not in get_args(Split):
            raise DataError(f"split of a budget must be train or val, got {budget.split!r}")
        if budget.checksum != plain.get("checksum"):
            raise DataError(
                f"budget checksum must be {budget.checksum[:12]}…, got "
                f"{str(plain.get('checksum'))[:12]}…; the manifest was changed after it was drawn"
            )
        if budget.labels != labels_given(budget.unit, budget.fraction_asked, budget.labelled_px):
            raise DrawingChangedError(
                f"labels of a budget of points must be those of its clicks, got those of the "
                f"{budget.labels}, as earlier versions drew them; choose another --name"
            )
        return budget

    def _written(self) -> dict[str, Any]:
        """The fields that a manifest holds; what none of old could be is not named."""
        content = asdict(self)
        if self.labels == _REFERENCE:
            del content["labels"]
        if self.split == "train":
            del content["split"]
        for name in ("joined", "listed"):
            if not content[name]:
                del content[name]
        if self.unit.order == "random":
            del content["unit"]["order"]
        return content


class DrawingChangedError(DataError):
    """A budget was drawn by rules that no longer hold: the study cannot go on."""


def labels_given(unit: Unit, fraction: float, labelled_px: int) -> Literal["reference", "click"]:
    """Whose class annotated pixels are given, see `Budget.labels`.

    Of points, all labelled pixels are one each where all are asked for, and each is its own centre.
    """
    return (
        "click"
        if unit.kind == "point" and _most_px(fraction, labelled_px) < labelled_px
        else "reference"
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
    moments: NDArray[np.float64] | None = None,
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
        moments: As from `unit_moments`, for a diverse order; None to compute them here.

    Returns:
        Manifest and pixels of the longest front of the seed's order within the fraction. The first
        unit that fits `smallest` leads the order; where none does, one is taken all the same.

    Raises:
        ValueError: If fraction is not in (0, 1] or smallest not in (0, fraction].
        DataError: If no pixel is labelled, or a class is not below num_classes.
    """
    smallest = _checked(fraction, smallest)
    places, counts = find_units(tiles, unit, num_classes)
    if not places:
        raise DataError(f"{_TILES[split]} must hold labelled pixels, got none; check their masks")
    labelled_px = int(counts.sum())
    order = _order_seed(seed, split)
    if unit.order == "diverse" and moments is None:
        moments = square_moments(tiles, unit.sides_px(tiles), places)
    held = _Units(places=places, counts=counts, moments=moments)
    units, num_units, pixels = _take(tiles, unit, held, order, (fraction, smallest))
    class_px = count_classes(tiles, pixels, num_classes)
    return Budget(
        unit=unit,
        seed=seed,
        fraction_asked=float(fraction),
        fraction_reached=int(class_px.sum()) / labelled_px,
        smallest=float(smallest),
        labelled_px=labelled_px,
        annotated_px=int(class_px.sum()),
        labelled_class_px=tuple(counts.sum(axis=0).tolist()),
        class_px=tuple(class_px.tolist()),
        num_units=num_units,
        units=units,
        pixels_checksum=pixels.checksum,
        data_checksum=tiles.checksum,
        labels=labels_given(unit, fraction, labelled_px),
        split=split,
        joined=has_joined_blocks(tiles, unit),
    ), pixels


def listed_budget(
    tiles: TileSet,
    names: Sequence[str],
    *,
    fraction: float,
    seed: int,
    num_classes: int,
    smallest: float,
) -> tuple[Budget, PixelSet]:
    """The budget that consists of these training tiles.

    Args:
        tiles: The training tiles.
        names: Of the annotated ones.
        fraction: Name of the list, in (0, 1]; the tiles may hold another share.
        seed: Whose list it is.
        num_classes: K.
        smallest: The study's lowest fraction.

    Raises:
        DataError: If a name is not that of a tile, or the tiles have no labelled pixel.
    """
    unit = Unit(kind="tile", size_px=0)
    places = tuple((name, 0, 0) for name in names)
    pixels = pixels_in_squares(tiles, unit.sides_px(tiles), places)
    whole, _ = draw_budget(tiles, fraction=1.0, seed=seed, unit=unit, num_classes=num_classes)
    class_px = tuple(count_classes(tiles, pixels, num_classes).tolist())
    if not sum(class_px):
        raise DataError(
            f"tiles of budget_lists must hold labelled pixels, got none in {', '.join(names)}"
        )
    return replace(
        whole,
        fraction_asked=float(fraction),
        fraction_reached=sum(class_px) / whole.labelled_px,
        smallest=float(smallest),
        annotated_px=sum(class_px),
        class_px=class_px,
        num_units=len(places),
        units=places,
        pixels_checksum=pixels.checksum,
        listed=True,
    ), pixels


def unit_moments(tiles: TileSet, unit: Unit, num_classes: int) -> NDArray[np.float64] | None:
    """What a diverse order looks at, the same for every seed and fraction; None for another order.

    Args:
        tiles: The tiles of the split.
        unit: What is annotated at a time.
        num_classes: K.
    """
    if unit.order != "diverse":
        return None
    places, _ = find_units(tiles, unit, num_classes)
    return square_moments(tiles, unit.sides_px(tiles), places) if places else None


def has_joined_blocks(tiles: TileSet, unit: Unit) -> bool:
    """Whether blocks of this size hold more than a square at the edges of a tile."""
    return unit.kind == "block" and has_joined_squares(tiles.shapes, unit.sides_px(tiles))


def annotated_pixels(tiles: TileSet, budget: Budget) -> PixelSet:
    """Draw the annotated pixels again, from the manifest.

    Raises:
        DataError: If the tiles are not those the budget was drawn on.
    """
    _verify_tiles(tiles, budget)
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


def verify_pixels(tiles: TileSet, budget: Budget, pixels: PixelSet) -> None:
    """Check what a trial was handed; reads one bit per pixel.

    Raises:
        DataError: If the tiles or the pixels are not those of the budget.
    """
    _verify_tiles(tiles, budget)
    same_shapes = np.array_equal(pixels.shapes, tiles.shapes)
    if not same_shapes or pixels.checksum != budget.pixels_checksum:
        raise DataError(
            f"annotated pixels must have the checksum {budget.pixels_checksum[:12]}… of the "
            f"budget, got {pixels.checksum[:12]}…; the masks or the order of the tiles changed "
            f"after the budget was drawn"
        )


def write_budget(path: Path, budget: Budget) -> None:
    """Write the manifest as JSON; the file appears whole or not at all."""
    write_atomically(path, json.dumps(budget.to_plain(), indent=1).encode())


def read_budget(path: Path) -> Budget:
    """Read a manifest.

    Raises:
        DataError: If the file is no manifest or its content does not give its checksum.
    """
    try:
        return Budget.from_plain(json.loads(path.read_text(encoding="utf-8")))
    except DrawingChangedError as error:
        raise DrawingChangedError(f"{error} [in {path}]") from error
    except DataError as error:
        raise DataError(f"{error} [in {path}]; {_ADVICE}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} must be a budget manifest, got {error}; {_ADVICE}") from error


@dataclass(frozen=True, kw_only=True, eq=False)
class _Units:
    """Blocks, tiles or cells that hold labelled pixels."""

    places: tuple[Place, ...]
    """Of the units (U)."""
    counts: NDArray[np.int64]
    """Labelled pixels of each class (U, K)."""
    moments: NDArray[np.float64] | None
    """As from `square_moments`, for a diverse order."""

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

    def summed(self, groups: NDArray[np.int64]) -> _Units:
        """Units that are made of several of these, by the number of their group (U,)."""
        num = int(groups.max()) + 1

        def total(values: NDArray[Any]) -> NDArray[Any]:
            sums = np.zeros((num, values.shape[1]), dtype=values.dtype)
            np.add.at(sums, groups, values)
            return sums

        return _Units(
            places=(),
            counts=total(self.counts),
            moments=None if self.moments is None else total(self.moments),
        )


def _take(
    tiles: TileSet, unit: Unit, held: _Units, seed: int, fractions: tuple[float, float]
) -> tuple[tuple[Place, ...], int, PixelSet]:
    """Places, number and pixels of the units taken, at the fraction asked and the smallest."""
    counts, sides_px = held.counts, unit.sides_px(tiles)
    asked_px, smallest_px = (_most_px(fraction, int(counts.sum())) for fraction in fractions)
    limits = {"asked_px": asked_px, "smallest_px": smallest_px}
    if unit.kind == "area":
        cells, regions = _grown(unit, held, seed, limits)
        taken = [held.places[cell] for cell in cells]
        return (), int(regions[-1]) + 1, pixels_in_squares(tiles, sides_px, taken)
    if unit.kind != "point":
        indices = take_units(held.order(unit, seed), held.labelled, **limits)
        places = tuple(held.places[index] for index in indices)
        return places, len(places), pixels_in_squares(tiles, sides_px, places)
    if labels_given(unit, fractions[0], int(counts.sum())) == _REFERENCE:
        every = tuple((name, 0, 0) for name in tiles.names)
        return (), int(counts.sum()), pixels_in_squares(tiles, sides_px, every)
    points = take_discs(tiles, unit, counts.sum(axis=0), seed=seed, **limits)
    return (), len(points), clicked_pixels(tiles, points, counts.shape[1])


def _grown(
    unit: Unit, held: _Units, seed: int, limits: dict[str, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells taken in their order, and the region of each; as from `areas.grow`."""
    number: dict[str, int] = {}
    of_cell = np.array([number.setdefault(name, len(number)) for name, _, _ in held.places])
    cells = np.array([place[1:] for place in held.places])
    windows = windows_of(of_cell, cells)
    ranks = np.argsort(held.summed(windows).order(unit, seed))
    return grow(of_cell, cells, held.labelled, ranks[windows], seed=seed, **limits)


def _checked(fraction: float, smallest: float | None) -> float:
    smallest = fraction if smallest is None else smallest
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], got {fraction!r}")
    if not 0 < smallest <= fraction:
        raise ValueError(f"smallest must be in (0, fraction = {fraction!r}], got {smallest!r}")
    return smallest


def _order_seed(seed: int, split: Split) -> int:
    """The seed of the order of units: the trial's own, for validation one drawn from it."""
    return seed if split == "train" else int(numpy_generator(seed, "val_budget").integers(2**63))


def _verify_tiles(tiles: TileSet, budget: Budget) -> None:
    if tiles.checksum != budget.data_checksum:
        raise DataError(
            f"{_TILES[budget.split]} must have the checksum {budget.data_checksum[:12]}… of the "
            f"budget, got {tiles.checksum[:12]}…; the data changed after the budget was drawn"
        )
    if budget.joined != has_joined_blocks(tiles, budget.unit):
        raise DrawingChangedError(
            "blocks of a budget must hold what is less than half a block beyond them at the edges "
            "of tiles, got blocks as earlier versions cut them; choose another --name"
        )


def _most_px(fraction: float, labelled_px: int) -> float:
    return fraction * labelled_px + _ROUNDING_PX
