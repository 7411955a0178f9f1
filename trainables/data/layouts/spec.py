"""What a data set is: its files, classes, colours and splits."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trainables.data.places.cuts import TileWindow
from trainables.data.places.vector_files import VectorFile
from trainables.errors import DataError

IGNORE_INDEX: Final = 255
"""Mask value of a pixel whose class is unknown; it counts in no loss and in no measure."""

SPLITS: Final = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class ClassSpec:
    """One class: its position in `DatasetSpec.classes` is its index in masks."""

    name: str
    color: tuple[int, int, int]
    """RGB, 0-255: how it is drawn and, where `value` is None, how it is found in colour masks."""
    value: int | None = None
    """Its value in index masks; None for colour masks."""


@dataclass(frozen=True, kw_only=True)
class TileFiles:
    """The files of one tile."""

    name: str
    image: Path
    mask: Path | None
    """None where nobody annotated it, and where its classes come from `DatasetSpec.labels`."""
    eroded_mask: Path | None = None
    is_labelled: bool = True
    """Whether anything says of its pixels which class they are."""
    window: TileWindow | None = None
    """The part of the files that is this tile; None for all of them."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the tile."""
        beside = (self.mask, self.eroded_mask)
        return (self.image, *(one for one in beside if one is not None))


@dataclass(frozen=True, kw_only=True)
class VectorLabels:
    """Polygons, lines and points that say which class lies where."""

    source: VectorFile
    class_field: str | None
    """Field that says which class a feature is; None where all are of one class."""
    class_values: tuple[tuple[str, ...], ...]
    """Values of that field for each class (K), as text; a class without any is drawn nowhere."""
    ignored_values: tuple[str, ...] = ()
    """Values of that field where the class is unknown."""
    background: int | None = None
    """Class of what nothing covers; None: it is unknown."""
    area: VectorFile | None = None
    """Polygons outside of which everything is unknown; None: all of each tile is annotated."""
    order: tuple[int, ...] = ()
    """Classes from the lowest to the highest, where features of several cover a pixel (K)."""
    buffer_m: float | None = None
    """Distance in metres by which lines and points become areas."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set as found on disk; nothing of it has been decoded yet.

    Raises:
        DataError: If the fields contradict each other; one line with every contradiction.
    """

    name: str
    bands: tuple[str, ...]
    classes: tuple[ClassSpec, ...]
    ignore_colors: tuple[tuple[int, int, int], ...] = ()
    ignore_values: tuple[int, ...] = ()
    ignore_others: bool = False
    """Whether values and colours of masks that no class has are unknown, instead of an error."""
    exclude_from_mean: tuple[str, ...] = ()
    gsd_m: float | None = None
    nodata: tuple[float | None, ...] = ()
    """Value of each band of the images (C) that means no data besides what the files say; None for
    a band without one, and no value at all for none."""
    mask_color_tolerance: int = 0
    """Largest difference per channel between a mask colour and the class colour it stands for."""
    splits: Mapping[str, tuple[TileFiles, ...]]
    labels: VectorLabels | None = None
    """What the classes of labelled tiles are burnt from; None where tiles have masks."""
    join: bool = False
    """Whether tiles of one split that touch on the ground are read as one."""
    notes: tuple[str, ...] = ()
    """What a person should know of how it was found although nothing is wrong, one line each."""

    def __post_init__(self) -> None:
        problems = [*_class_problems(self), *_split_problems(self)]
        if not self.bands or len(set(self.bands)) < len(self.bands):
            problems.append(f"bands must be distinct names, one or more, got {self.bands!r}")
        if self.nodata and len(self.nodata) != len(self.bands):
            problems.append(
                f"nodata must be one value, or one of each band, got {len(self.nodata)} for "
                f"{len(self.bands)} bands"
            )
        if self.gsd_m is not None and not (math.isfinite(self.gsd_m) and self.gsd_m > 0):
            problems.append(f"gsd_m must be metres per pixel above 0, got {self.gsd_m!r}")
        if problems:
            raise DataError(f"{'; '.join(problems)} in data set {self.name!r}")

    @property
    def unlabelled(self) -> frozenset[str]:
        """Names of the training tiles that nobody annotated."""
        return frozenset(tile.name for tile in self.splits["train"] if not tile.is_labelled)

    @property
    def has_index_masks(self) -> bool:
        """Whether masks hold class values (True) or class colours (False)."""
        return self.classes[0].value is not None


def _class_problems(spec: DatasetSpec) -> Iterator[str]:
    names = [c.name for c in spec.classes]
    if not 2 <= len(names) < IGNORE_INDEX:
        yield f"classes must be 2 to {IGNORE_INDEX - 1}, got {len(names)}"
        return
    if repeated := _repeated(names):
        yield f"classes must have distinct names, got {repeated!r} more than once"
    if unknown := [n for n in spec.exclude_from_mean if n not in names]:
        yield f"exclude_from_mean must name classes, got {unknown!r}; valid: {', '.join(names)}"
    valued = sum(c.value is not None for c in spec.classes)
    if 0 < valued < len(names):
        yield f"classes must have a value each or none at all, got {valued} of {len(names)}"
    elif valued:
        if repeated := _repeated([*(c.value for c in spec.classes), *spec.ignore_values]):
            yield f"class values and ignore_values must be distinct, got {repeated!r} twice"
        if spec.ignore_colors:
            yield "ignore_colors must be empty for index masks; use ignore_values"
    else:
        colors = [color_text(c) for c in [*(c.color for c in spec.classes), *spec.ignore_colors]]
        if repeated := _repeated(colors):
            yield f"class colours and ignore_colors must be distinct, got {repeated!r} twice"
        if spec.ignore_values:
            yield "ignore_values must be empty for colour masks; use ignore_colors"


def _split_problems(spec: DatasetSpec) -> Iterator[str]:
    if set(spec.splits) != set(SPLITS):
        yield f"splits must be {', '.join(SPLITS)}, got {', '.join(map(str, spec.splits)) or None}"
    for split, tiles in spec.splits.items():
        if not any(tile.is_labelled for tile in tiles):
            yield f"splits.{split} must hold at least one tile, got none"
    tile_names = [tile.name for tiles in spec.splits.values() for tile in tiles]
    for tile in _repeated(tile_names):
        found = [s for s, tiles in spec.splits.items() for t in tiles if t.name == tile]
        yield f"splits must hold each tile once, got {tile!r} in {' and '.join(found)}"


def _repeated(items: list[Any]) -> list[Any]:
    return [item for item, count in Counter(items).items() if count > 1]


def parse_color(text: object) -> tuple[int, int, int]:
    """RGB, 0-255 each, of a colour written "#RRGGBB".

    Raises:
        DataError: If text is anything else.
    """
    if not isinstance(text, str) or not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise DataError(f'color must be "#RRGGBB" in quotes, got {text!r}')
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def color_text(color: tuple[int, int, int]) -> str:
    """A colour, RGB 0-255, written "#RRGGBB"."""
    return "#{:02X}{:02X}{:02X}".format(*color)
