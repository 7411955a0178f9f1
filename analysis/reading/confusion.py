"""The confusion matrices of a trial: their shapes, and the checks on reading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.reading.schema import StudyDataError

Confusion = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TileConfusion:
    """Pixel counts of one test tile, (K, K), int64; rows reference, columns prediction."""

    name: str
    full: Confusion
    """Against the full reference."""
    eroded: Confusion | None = None
    """Against the reference without object boundaries; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class TrialConfusion:
    """The test tiles of one confirmation trial."""

    classes: tuple[str, ...]
    exclude_from_mean: tuple[str, ...]
    tiles: tuple[TileConfusion, ...]

    def pooled(self) -> Confusion:
        """Counts against the full reference, summed over tiles, (K, K), int64."""
        num_classes = len(self.classes)
        total = np.zeros((num_classes, num_classes), dtype=np.int64)
        for tile in self.tiles:
            total += tile.full
        return total

    def pooled_eroded(self) -> Confusion | None:
        """Counts against the eroded reference, summed over tiles, (K, K), int64.

        None unless every tile has one: a sum over some tiles would be another test set.
        """
        eroded = [tile.eroded for tile in self.tiles if tile.eroded is not None]
        if not eroded or len(eroded) < len(self.tiles):
            return None
        total: Confusion = np.stack(eroded).sum(axis=0)
        return total


def parse_confusion(document: Mapping[str, Any], *, where: str) -> TrialConfusion:
    """Checks and types a `confusion.json`.

    Args:
        document: {schema: 1, split: 'test', classes, exclude_from_mean, tiles: [{name, full,
            eroded}]}.
        where: The trial it belongs to, for messages.

    Raises:
        StudyDataError: If a field is missing or does not have its shape.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("tiles", ()), Sequence):
        raise StudyDataError(f"confusion.json must hold an object with tiles in {where}")
    if document.get("schema") != 1:
        raise StudyDataError(
            f"schema of confusion.json must be 1, got {document.get('schema')!r} in {where}; "
            "this analysis is older or newer than the study"
        )
    if document.get("split") != "test":
        raise StudyDataError(
            f"split of confusion.json must be 'test', got {document.get('split')!r} in {where}"
        )
    classes = tuple(str(name) for name in document.get("classes", ()))
    excluded = tuple(str(name) for name in document.get("exclude_from_mean", ()))
    unknown = sorted(set(excluded) - set(classes))
    if unknown:
        raise StudyDataError(
            f"exclude_from_mean must name classes of {list(classes)}, got {unknown!r} in {where}"
        )
    tiles = tuple(_parse_tile(tile, len(classes), where) for tile in document.get("tiles", ()))
    if not tiles:
        raise StudyDataError(f"tiles of confusion.json must not be empty in {where}")
    return TrialConfusion(classes=classes, exclude_from_mean=excluded, tiles=tiles)


def _parse_tile(tile: Mapping[str, Any], num_classes: int, where: str) -> TileConfusion:
    if not isinstance(tile, Mapping):
        raise StudyDataError(f"tiles of confusion.json must be objects, got {tile!r} in {where}")
    name = str(tile.get("name"))
    eroded = tile.get("eroded")
    return TileConfusion(
        name=name,
        full=_parse_counts(tile.get("full"), num_classes, f"tile {name} (full) of {where}"),
        eroded=None
        if eroded is None
        else _parse_counts(eroded, num_classes, f"tile {name} (eroded) of {where}"),
    )


def _parse_counts(counts: object, num_classes: int, where: str) -> Confusion:
    try:
        matrix = np.array(counts)
    except ValueError as error:
        raise StudyDataError(f"confusion must be a rectangle of counts in {where}") from error
    if matrix.shape != (num_classes, num_classes):
        raise StudyDataError(
            f"confusion must have shape {(num_classes, num_classes)}, got {matrix.shape} in {where}"
        )
    if not np.issubdtype(matrix.dtype, np.integer) or (matrix < 0).any():
        raise StudyDataError(f"confusion must hold whole pixel counts >= 0 in {where}")
    return matrix.astype(np.int64)
