"""The manifest of an annotation budget: what it holds, its file, and what verifies it.

A budget says which pixels of the training or validation tiles count as annotated; `drawing` chooses
them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from trainables.data.budgets.pixel_set import PixelSet, has_joined_squares
from trainables.data.budgets.units import Place, Unit
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import DataError
from trainables.storage.atomic_files import write_atomically

Split: TypeAlias = Literal["train", "val"]

_ADVICE: Final = "remove it, and it is written again from the same seed"
REFERENCE: Final = "reference"
TILES: Final = {"train": "training tiles", "val": "validation tiles"}
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
        return not self.listed and self.annotated_px > most_px(
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
        if self.labels == REFERENCE:
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
        if unit.kind == "point" and most_px(fraction, labelled_px) < labelled_px
        else "reference"
    )


def has_joined_blocks(tiles: TileSet, unit: Unit) -> bool:
    """Whether blocks of this size hold more than a square at the edges of a tile."""
    return unit.kind == "block" and has_joined_squares(tiles.shapes, unit.sides_px(tiles))


def verify_pixels(tiles: TileSet, budget: Budget, pixels: PixelSet) -> None:
    """Check what a trial was handed; reads one bit per pixel.

    Raises:
        DataError: If the tiles or the pixels are not those of the budget.
    """
    verify_tiles(tiles, budget)
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


def verify_tiles(tiles: TileSet, budget: Budget) -> None:
    """Check that tiles are those of a budget.

    Raises:
        DataError: If they are not.
        DrawingChangedError: If its blocks are cut by rules that no longer hold.
    """
    if tiles.checksum != budget.data_checksum:
        raise DataError(
            f"{TILES[budget.split]} must have the checksum {budget.data_checksum[:12]}… of the "
            f"budget, got {tiles.checksum[:12]}…; the data changed after the budget was drawn"
        )
    if budget.joined != has_joined_blocks(tiles, budget.unit):
        raise DrawingChangedError(
            "blocks of a budget must hold what is less than half a block beyond them at the edges "
            "of tiles, got blocks as earlier versions cut them; choose another --name"
        )


def most_px(fraction: float, labelled_px: int) -> float:
    """Pixels that a fraction of so many may hold."""
    return fraction * labelled_px + _ROUNDING_PX
