"""What a data set is: its files, classes, colours and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
    mask: Path
    eroded_mask: Path | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set as found on disk; nothing of it has been decoded yet."""

    name: str
    bands: tuple[str, ...]
    classes: tuple[ClassSpec, ...]
    ignore_colors: tuple[tuple[int, int, int], ...] = ()
    ignore_values: tuple[int, ...] = ()
    exclude_from_mean: tuple[str, ...] = ()
    gsd_m: float | None = None
    splits: Mapping[str, tuple[TileFiles, ...]]
