"""What a study leaves in MLflow: the words, the shapes, and the checks on reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]

PHASES = ("search", "confirm")
STATUSES = ("running", "finished", "failed")


class StudyDataError(ValueError):
    """A record in MLflow is not as `run_study.py` writes it."""


@dataclass(frozen=True, kw_only=True)
class ModelStyle:
    """How a model is named and drawn, everywhere."""

    label: str
    """The name a reader sees."""
    color: str
    """Colour on white, '#RRGGBB'; told apart with any colour vision (Okabe and Ito, 2008)."""
    color_dark: str
    """The same hue, light enough for a dark page."""
    marker: str
    """matplotlib marker, so that the models differ without colour too."""


MODELS: dict[str, ModelStyle] = {
    "unet": ModelStyle(label="U-Net", color="#0072B2", color_dark="#56B4E9", marker="o"),
    "urec": ModelStyle(label="U-REC", color="#D55E00", color_dark="#F0883E", marker="D"),
}
"""Every model that analysis knows, in the order of rows and legends."""


@dataclass(frozen=True, kw_only=True)
class ClassInfo:
    """One class of the dataset."""

    name: str
    color: str | None = None
    """'#RRGGBB', None where the dataset gives none."""


@dataclass(frozen=True, kw_only=True)
class BudgetInfo:
    """One annotation budget, as `study.yaml` records it."""

    seed: int
    label_frac: float
    """Annotated / labelled pixels asked for."""
    reached_frac: float
    """Annotated / labelled pixels of the budget."""
    empty_classes: tuple[str, ...]
    """Classes without one annotated pixel."""
    exceeds: bool
    """Whether the smallest unit alone exceeds what was asked for."""


@dataclass(frozen=True, kw_only=True)
class StudyInfo:
    """What is known of a study apart from its trials."""

    name: str
    status: str
    """One of STATUSES."""
    classes: tuple[ClassInfo, ...] = ()
    exclude_from_mean: tuple[str, ...] = ()
    budgets: tuple[BudgetInfo, ...] = ()
    """In the order of seeds and fractions; empty where they are not recorded."""
    num_seeds_asked: int | None = None
    """Confirmation repeats per arm in the configuration; None where it is not recorded."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """study.yaml as written: config, dataset, provenance; empty where there is none."""


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


def parse_study(document: Mapping[str, Any], *, name: str, status: str) -> StudyInfo:
    """Types the parts of `study.yaml` that the analysis needs; the rest stays as it is.

    Args:
        document: {config, dataset, provenance}, or {} where the study wrote none.
        name: The study's name.
        status: Its status tag.

    Raises:
        StudyDataError: If status is unknown or a class has no name.
    """
    if status not in STATUSES:
        raise StudyDataError(
            f"status must be one of {list(STATUSES)}, got {status!r} in study {name}"
        )
    dataset = document.get("dataset") or {}
    config = document.get("config") or {}
    classes = []
    for entry in dataset.get("classes") or ():
        if not isinstance(entry, Mapping) or "name" not in entry:
            raise StudyDataError(
                f"classes must have a name each, got {entry!r} in study.yaml of study {name}"
            )
        color = entry.get("color")
        classes.append(ClassInfo(name=str(entry["name"]), color=_checked_color(color, name)))
    seeds = config.get("seeds")
    return StudyInfo(
        name=name,
        status=status,
        classes=tuple(classes),
        exclude_from_mean=tuple(str(c) for c in dataset.get("exclude_from_mean") or ()),
        budgets=tuple(_parse_budget(entry, name) for entry in document.get("budgets") or ()),
        num_seeds_asked=seeds if isinstance(seeds, int) else None,
        document=dict(document),
    )


def _parse_budget(entry: Mapping[str, Any], study: str) -> BudgetInfo:
    try:
        return BudgetInfo(
            seed=int(entry["seed"]),
            label_frac=float(entry["fraction_asked"]),
            reached_frac=float(entry["fraction_reached"]),
            empty_classes=tuple(map(str, entry.get("classes_without_annotation") or ())),
            exceeds=bool(entry.get("exceeds_asked", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StudyDataError(
            f"budgets must have a seed and fractions, got {entry!r} in study.yaml of study {study}"
        ) from error


def _checked_color(color: object, study: str) -> str | None:
    if color is None:
        return None
    text = str(color)
    digits = text.removeprefix("#")
    if len(text) != 7 or len(digits) != 6 or set(digits) - set("0123456789abcdefABCDEF"):
        raise StudyDataError(
            f"color must be '#RRGGBB', got {color!r} in study.yaml of study {study}"
        )
    return text.upper()
