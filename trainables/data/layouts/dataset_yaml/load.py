"""Reads dataset.yaml: how a person describes tiles of their own."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Final

from trainables.data.layouts.dataset_yaml.document import is_nothing
from trainables.data.layouts.dataset_yaml.fields import YamlFields, read_fields
from trainables.data.layouts.dataset_yaml.labels import read_labels, read_values
from trainables.data.layouts.dataset_yaml.tile_patterns import find_tiles
from trainables.data.layouts.spec import ClassSpec, DatasetSpec
from trainables.errors import DataError

_REQUIRED: Final = ("name", "bands", "images", "classes", "splits")
_OPTIONAL: Final = (
    "masks",
    "cut",
    "join",
    "labels",
    "unlabelled",
    "ignore_colors",
    "ignore_values",
    "other",
    "exclude_from_mean",
    "eroded_masks",
    "gsd_m",
    "nodata",
)
_CLASS_KEYS: Final = ("name", "color", "value", "values")


def load_yaml(file: Path) -> DatasetSpec:
    """The data set a dataset.yaml describes; its patterns are relative to the file.

    Args:
        file: The YAML file.

    Returns:
        The data set, tiles of a split sorted by name. A tile of which only the image or only
        the mask is there has the path at which the other one was looked for;
        `trainables.data.decoding.inspection` reports them all.

    Raises:
        DataError: If a field is missing, unknown or malformed, or if a pattern finds no file.
    """
    fields = read_fields(file, _REQUIRED, _OPTIONAL)
    if ("masks" in fields.values) == ("labels" in fields.values):
        raise fields.error(
            "masks or labels must be given, one of them, got "
            + ("both" if "masks" in fields.values else "none"),
            "masks is a pattern of rasters, labels a file of polygons",
        )
    bands, (classes, class_values) = fields.texts("bands"), _classes(fields)
    names = [one.name for one in classes]
    labels = read_labels(fields, names, class_values) if "labels" in fields.values else None
    splits, notes = find_tiles(fields, labels)
    ignore_colors = tuple(fields.color("ignore_colors", c) for c in fields.items("ignore_colors"))
    ignore_values = tuple(fields.integer("ignore_values", v) for v in fields.items("ignore_values"))
    exclude_from_mean, gsd_m = fields.texts("exclude_from_mean"), fields.number("gsd_m")
    join = fields.values.get("join", "false")
    if join not in ("true", "false"):
        raise fields.error(
            f"join must be true or false, got {join!r}", "true reads tiles across their borders"
        )
    name, other = fields.text("name"), fields.values.get("other", "refuse")
    if other not in ("ignore", "refuse"):
        raise fields.error(
            f"other must be ignore or refuse, got {other!r}", "it is about stray values of masks"
        )
    try:
        return DatasetSpec(
            name=name,
            bands=bands,
            classes=classes,
            ignore_colors=ignore_colors,
            ignore_values=ignore_values,
            ignore_others=other == "ignore",
            exclude_from_mean=exclude_from_mean,
            gsd_m=gsd_m,
            nodata=fields.numbers("nodata", len(bands)),
            splits=splits,
            labels=labels,
            join=join == "true",
            notes=notes,
        )
    except DataError as error:
        raise DataError(f"{error} ({file})") from None


def _classes(fields: YamlFields) -> tuple[tuple[ClassSpec, ...], tuple[tuple[str, ...], ...]]:
    """The classes (K), and the values that polygons of each have (K)."""
    classes, values_of = [], []
    is_drawn = "labels" in fields.values
    for index, entry in enumerate(fields.items("classes")):
        where = f"classes[{index}]"
        if not isinstance(entry, dict) or "name" not in entry or not {*entry} <= {*_CLASS_KEYS}:
            raise fields.error(
                f"{where} must have a name and color or value, got {entry!r}",
                f"valid keys: {', '.join(_CLASS_KEYS)}",
            )
        color, value = entry.get("color"), entry.get("value")
        values = read_values(fields, where, entry)
        if values and not is_drawn:
            raise fields.error(
                f"{where}.values must be of polygons, got them beside masks",
                "a class of masks has one value: n",
            )
        if is_drawn and not is_nothing(value):
            raise fields.error(
                f"{where}.value must be of masks, got it beside labels",
                "polygons of a class have values: [a, b]",
            )
        if is_nothing(color) and is_nothing(value) and not is_drawn:
            raise fields.error(
                f"{where} must have a color or a value, got {entry!r}",
                'give color: "#RRGGBB", in quotes, for colour masks, value: n for index masks',
            )
        classes.append(
            ClassSpec(
                name=YamlFields(file=fields.file, values={f"{where}.name": entry["name"]}).text(
                    f"{where}.name"
                ),
                color=_drawing_color(index)
                if is_nothing(color)
                else fields.color(f"{where}.color", color),
                value=None if is_nothing(value) else fields.integer(f"{where}.value", value),
            )
        )
        values_of.append(values)
    return tuple(classes), tuple(values_of)


def _drawing_color(index: int) -> tuple[int, int, int]:
    """RGB of class `index` of index masks without colours: hues a golden angle apart."""
    lightness = (0.55, 0.40, 0.70)[index % 3]
    red, green, blue = colorsys.hls_to_rgb((0.58 + index * 0.381966) % 1.0, lightness, 0.6)
    return round(red * 255), round(green * 255), round(blue * 255)
