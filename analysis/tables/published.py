"""The figures that the paper publishes for ISPRS Vaihingen, and when they may stand beside ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.reading.schema import StudyInfo
from analysis.tables.confusion.confusion_tables import PerClass
from analysis.wording import counted
from contract.methods import METHODS

SOURCE = (
    "Papadomanolaki, Karantzas and Vakalopoulou, IGARSS 2019, doi:10.1109/igarss.2019.8898133, "
    "section 3, tables 1 and 2"
)

CLASSES = ("imp_surf", "building", "low_veg", "tree", "car", "clutter")
"""As the paper spells them, in the order of its tables."""

AREAS: dict[str, tuple[int, ...]] = {
    "train": (1, 3, 5, 7, 11, 13, 21, 23, 26, 28, 30, 32, 34, 37),
    "val": (15, 17),
    "test": (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
}
"""The paper's split of the 33 areas; it names the first two parts and calls the test "the rest"."""

_SCENE_AREAS: dict[str, tuple[int, ...]] = {
    "train": (1, 3, 5, 7, 11, 13, 21, 23, 26, 28, 30, 32),
    "val": (15, 17),
    "test": (2, 4, 6, 8, 10, 12),
}
"""The areas of the built-in scenes, whose files lie as Vaihingen's do and are not Vaihingen."""

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "imp_surf": ("imp_surf", "imp_surfaces", "impervious_surface", "impervious_surfaces"),
    "building": ("building", "buildings"),
    "low_veg": ("low_veg", "low_vegetation"),
    "tree": ("tree", "trees"),
    "car": ("car", "cars"),
    "clutter": ("clutter", "clutter_background"),
}
_OPTIONAL_WORDS = {"isprs", "2d", "benchmark", "irrg"}


@dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """What the paper gives for one network, all in [0, 1] and rounded as printed."""

    oa: float
    """From the text of section 3, where it stands in percent."""
    normalised: tuple[tuple[float, ...], ...]
    """Rows reference, columns prediction, classes in the order of CLASSES."""
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]


PUBLISHED: dict[int, PublishedResult] = {
    1: PublishedResult(
        oa=0.8860,
        normalised=(
            (0.924, 0.035, 0.027, 0.010, 0.004, 0.000),
            (0.038, 0.941, 0.015, 0.005, 0.001, 0.000),
            (0.049, 0.017, 0.773, 0.161, 0.000, 0.000),
            (0.011, 0.002, 0.075, 0.911, 0.000, 0.000),
            (0.146, 0.073, 0.006, 0.002, 0.772, 0.001),
            (0.281, 0.441, 0.005, 0.003, 0.088, 0.181),
        ),
        precision=(0.905, 0.933, 0.851, 0.843, 0.782, 0.939),
        recall=(0.924, 0.941, 0.773, 0.911, 0.772, 0.181),
        f1=(0.915, 0.937, 0.810, 0.876, 0.777, 0.303),
    ),
    2: PublishedResult(
        oa=0.8902,
        normalised=(
            (0.927, 0.027, 0.033, 0.011, 0.002, 0.000),
            (0.042, 0.936, 0.015, 0.006, 0.000, 0.000),
            (0.043, 0.014, 0.773, 0.169, 0.000, 0.000),
            (0.008, 0.002, 0.058, 0.932, 0.000, 0.000),
            (0.204, 0.062, 0.007, 0.005, 0.716, 0.006),
            (0.369, 0.315, 0.014, 0.010, 0.035, 0.257),
        ),
        precision=(0.904, 0.946, 0.861, 0.838, 0.893, 0.889),
        recall=(0.927, 0.936, 0.773, 0.932, 0.716, 0.257),
        f1=(0.915, 0.941, 0.815, 0.882, 0.795, 0.399),
    ),
}
"""By the number of the table; all at full annotation."""


def published_result(method: str) -> PublishedResult | None:
    """What the paper gives for a method; None for one that it does not have."""
    table = METHODS[method].published_table if method in METHODS else None
    return None if table is None else PUBLISHED[table]


def published_oa(method: str) -> float:
    """Overall accuracy of a method in the paper; NaN for one that it does not have."""
    result = published_result(method)
    return math.nan if result is None else result.oa


def is_vaihingen(info: StudyInfo) -> bool:
    """Whether the study's data are ISPRS Vaihingen, so that published figures may stand beside.

    All of this must hold: the data set is called Vaihingen (`vaihingen`, as it is named when
    found as downloaded, or "ISPRS Vaihingen"); its classes are the six of the benchmark, in any
    order and in a usual spelling; its tiles, where recorded, are areas of the benchmark. The
    built-in scenes are refused under any name: by their own name, by a configuration without
    data, and by their areas.
    """
    dataset = info.document.get("dataset")
    if not isinstance(dataset, Mapping):
        return False
    config = info.document.get("config") or {}
    if "data" in config and config["data"] is None:
        return False
    words = re.findall(r"[a-z0-9]+", str(dataset.get("name", "")).lower())
    if [word for word in words if word not in _OPTIONAL_WORDS] != ["vaihingen"]:
        return False
    if sorted(map(_spelled, (c.name for c in info.classes))) != sorted(CLASSES):
        return False
    areas = _areas(dataset.get("splits"))
    known = {area for part in AREAS.values() for area in part}
    if areas is None or any(set(part) - known for part in areas.values()):
        return False
    return areas != {split: set(part) for split, part in _SCENE_AREAS.items()}


def published_scores(info: StudyInfo, method: str, classes: Sequence[str]) -> dict[str, PerClass]:
    """Published precision, recall and F1 of a method, one per class.

    Args:
        info: The study.
        method: Its name; all variants of a published method stand beside the paper's.
        classes: The study's classes, K of them.

    Returns:
        Arrays (K,) in the order of classes; none where the data are not
        Vaihingen or the paper does not have the method.
    """
    result = published_result(method)
    if result is None or not is_vaihingen(info):
        return {}
    order = [CLASSES.index(_spelled(name)) for name in classes]
    rows = {"precision": result.precision, "recall": result.recall, "f1": result.f1}
    return {name: np.array(values)[order] for name, values in rows.items()}


def published_notes(info: StudyInfo) -> tuple[str, ...]:
    """What the published figures rest on, what the paper leaves open, how this study differs.

    Empty where the data are not Vaihingen.
    """
    if not is_vaihingen(info):
        return ()
    return (
        f"Published: {SOURCE}. 14 areas to train, areas 15 and 17 to validate, the other 17 to "
        "test; all labels of the training tiles used.",
        "The paper does not say whether it scored against the complete or the eroded reference, "
        "how many runs its figures come from or how much they vary, or when training stopped. It "
        "gives OA, precision, recall and F1, and neither IoU nor kappa.",
        _difference_of_data(info),
    )


def _difference_of_data(info: StudyInfo) -> str:
    """How this study's tiles and resolution differ from the paper's."""
    dataset: Mapping[str, Any] = info.document["dataset"]
    config = info.document.get("config") or {}
    areas = _areas(dataset.get("splits")) or {}
    differing = [split for split, part in AREAS.items() if areas.get(split) != set(part)]
    parts = []
    if not areas:
        parts.append("does not record its tiles, which may differ from the paper's")
    elif differing:
        counts = [
            f"{counted(len(areas.get(split, ())), 'area')} to {verb} instead of {len(AREAS[split])}"
            if len(areas.get(split, ())) != len(AREAS[split])
            else f"other areas to {verb}"
            for split, verb in (("train", "train"), ("val", "validate"), ("test", "test"))
            if split in differing
        ]
        parts.append(f"has {', '.join(counts)}")
    else:
        parts.append("has the same areas in each part")
    reduced = int(config.get("downsample") or 1)
    if reduced > 1:
        parts.append(f"reduces the images {reduced} times")
    alike = not differing and reduced == 1
    ending = "" if alike else ": its scores and the published ones are of different data"
    return (
        f"This study {' and '.join(parts)}{ending}. What it measured is against the full reference."
    )


def _spelled(name: str) -> str:
    """A class name as the paper spells it; unchanged where it is none of the six."""
    plain = re.sub(r"[^a-z]+", "_", name.lower()).strip("_")
    return next((paper for paper, usual in _SPELLINGS.items() if plain in usual), name)


def _areas(splits: object) -> dict[str, set[int]] | None:
    """Area numbers of each part; {} where no tiles are recorded, None where a tile is no area."""
    if not isinstance(splits, Mapping):
        return {}
    areas: dict[str, set[int]] = {}
    for split, tiles in splits.items():
        found = [re.search(r"area_?(\d+)$", str(tile)) for tile in tiles or ()]
        if not all(found):
            return None
        areas[str(split)] = {int(match[1]) for match in found if match}
    return areas
