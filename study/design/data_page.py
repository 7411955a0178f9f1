"""One page that shows a data set before anything is trained, for `--inspect`."""

from __future__ import annotations

import base64
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from study.design.budgets.drawing import draw_budgets
from study.design.budgets.study_budgets import Budgets
from study.design.preflight import StudyData, find_dataset, read_data
from study.design.preparation import budget_warnings
from study.settings.config import StudyConfig
from trainables.data.budgets.picture import budget_picture
from trainables.data.decoding.tiles import class_counts
from trainables.data.layouts.spec import IGNORE_INDEX, SPLITS, color_text
from trainables.data.places.footprints import place_of
from trainables.data.places.split_map import split_map
from trainables.data.tilesets.label_picture import label_picture
from trainables.storage.atomic_files import write_atomically

_TEMPLATE: Final = Path(__file__).with_suffix(".html")
_GROUPS: Final = {
    "train": ("training", "#0072B2"),
    "val": ("validation", "#E69F00"),
    "test": ("test", "#009E73"),
    "unlabelled": ("without annotations", "#9AA0A6"),
}
"""Words and colours, which most people can tell apart, of splits and of unlabelled tiles."""
_TILES_SHOWN: Final = 8
"""Tiles of a split that are shown."""
_SIDE_PX: Final = 260


def inspect_data(config: StudyConfig) -> Path:
    """Read the data as a study would, and write their page; nothing is trained.

    Raises:
        ConfigError: As of `write_data_page`.
        DataError: If the data cannot be used; nothing is written then.
        OSError: If the page cannot be written.
    """
    if config.data is not None:
        print("reading tiles", file=sys.stderr)
    spec = find_dataset(config)
    with tempfile.TemporaryDirectory(prefix="inspect-") as scratch:  # where large tiles lie
        data = read_data(replace(config, output=scratch), spec)
        return write_data_page(config, data)


def write_data_page(config: StudyConfig, data: StudyData) -> Path:
    """Write the page; the study's own folder is not touched.

    Args:
        config: The study, for its budgets.
        data: Its data set.

    Returns:
        The page, `NAME-data.html` in the folder of all studies.

    Raises:
        ConfigError: If the fractions leave nothing to compare.
        DataError: If a validation budget defines no score.
        OSError: If it cannot be written.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    spec = data.spec
    budgets = draw_budgets(config, data)
    page = environment.get_template(_TEMPLATE.name).render(
        name=spec.name,
        facts=_facts(config, data),
        odd=[*data.notes, *budget_warnings(budgets, [one.name for one in spec.classes])],
        map=_map(data),
        groups={
            group: words
            for group, words in _GROUPS.items()
            if group != "unlabelled" or spec.unlabelled
        },
        classes=[(one.name, color_text(one.color)) for one in spec.classes],
        shares=_shares(data),
        budgets=[
            _budget(config, data, budgets, fraction, order)
            for fraction in budgets.fractions
            for order in budgets.orders
        ],
        seed=budgets.confirm_seeds[0],
        num_seeds=len(budgets.confirm_seeds),
        tiles=[*_tiles(data)],
    )
    path = Path(config.output) / f"{config.name}-data.html"
    write_atomically(path, page.encode())
    return path


def _facts(config: StudyConfig, data: StudyData) -> list[str]:
    spec, train = data.spec, data.tiles["train"]
    sizes = {split: len(of_split) for split, of_split in spec.splits.items()}
    labelled = sizes["train"] - len(spec.unlabelled)
    what = "images" if spec.join else "tiles"
    facts = [
        f"{labelled} training, {sizes['val']} validation and {sizes['test']} test {what}",
        f"{len(spec.bands)} bands ({', '.join(spec.bands)}), {train.images.dtype}",
        f"{sum(one.masks.size for one in data.tiles.values()) / 1e6:.3g} megapixels",
    ]
    if spec.unlabelled:
        facts.insert(1, f"{len(spec.unlabelled)} {what} without annotations")
    if spec.gsd_m:
        facts.append(f"{100 * spec.gsd_m:g} cm ground sampling distance")
    if config.training.downsample > 1:
        facts.append(f"reduced {config.training.downsample} times")
    if spec.labels is not None:
        facts.append(f"labels from {spec.labels.source.name}")
    return facts


def _map(data: StudyData) -> str | None:
    """Where the tiles lie; None where not all say it."""
    files = [
        (one, split if one.is_labelled else "unlabelled")
        for split, of_split in data.spec.splits.items()
        for one in of_split
    ]
    place_of_image = cache(place_of)  # tiles may be windows of one image, which may lie elsewhere
    whole = [(place_of_image(one.image), one.window) for one, _ in files]
    places = [None if place is None else place.of_window(window) for place, window in whole]
    known = [place for place in places if place is not None]
    if len(known) < len(places):
        return None
    colors = dict(_GROUPS.values())
    groups = [_GROUPS[group][0] for _, group in files]
    return split_map(known, [one.name for one, _ in files], groups, colors)


def _shares(data: StudyData) -> list[dict[str, Any]]:
    """For each split, labelled pixels of every class and their share, and what is unknown."""
    rows = []
    for split in SPLITS:
        masks = data.tiles[split].masks
        counts = class_counts(masks, len(data.spec.classes))
        labelled = int(counts.sum())
        rows.append(
            {
                "split": _GROUPS[split][0],
                "labelled_px": labelled,
                "shares": [float(count) / labelled for count in counts],
                "unknown": 1.0 - labelled / masks.size,
            }
        )
    return rows


def _budget(
    config: StudyConfig, data: StudyData, budgets: Budgets, fraction: float, order: str
) -> dict[str, Any]:
    """What the seeds reach at one fraction in one order, and the picture of the first."""
    drawn = [budgets.train[seed, fraction, order][0] for seed in budgets.confirm_seeds]
    counts = np.array([one.class_px for one in drawn])
    reached = [one.fraction_reached for one in drawn]
    _, pixels = budgets.train[budgets.confirm_seeds[0], fraction, order]
    colors = [one.color for one in data.spec.classes]
    picture = budget_picture(data.tiles["train"], pixels, colors, data.scaling)
    return {
        "asked": fraction,
        "unit": config.unit.kind,
        "order": order,
        "reached": (min(reached), max(reached)),
        "annotated_px": int(np.median([one.annotated_px for one in drawn])),
        "class_px": np.median(counts, axis=0).astype(int).tolist(),
        "picture": _data_uri(picture, "image/png"),
    }


def _tiles(data: StudyData) -> Iterator[dict[str, Any]]:
    """Some tiles of each split, spread evenly over their names, with their labels."""
    colors = [one.color for one in data.spec.classes]
    unlabelled = data.unlabelled
    for group, (word, color) in _GROUPS.items():
        of_split = data.tiles["train" if group == "unlabelled" else group]
        indices = [
            index
            for index, name in enumerate(of_split.names)
            if (name in unlabelled) == (group == "unlabelled")
        ]
        if not indices:
            continue
        chosen = _spread(indices, _TILES_SHOWN)
        pictures = []
        for index in chosen:
            tile = of_split.tile(index)
            picture = label_picture(tile, colors, data.scaling, _SIDE_PX)
            known = np.count_nonzero(tile.mask != IGNORE_INDEX) / tile.mask.size
            pictures.append(
                {"name": tile.name, "uri": _data_uri(picture, "image/jpeg"), "known": known}
            )
        yield {
            "word": word,
            "color": color,
            "num": len(indices),
            "is_single": group == "unlabelled",  # nothing beside the image, so half as wide
            "pictures": pictures,
        }


def _spread(indices: Sequence[int], most: int) -> list[int]:
    places = np.linspace(0, len(indices) - 1, min(most, len(indices)))
    return [indices[place] for place in np.unique(places.round().astype(int))]


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
