"""Reads dataset.yaml: how a person describes tiles of their own."""

from __future__ import annotations

import colorsys
import fnmatch
import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from trainables.data.spec import SPLITS, ClassSpec, DatasetSpec, TileFiles, parse_color
from trainables.errors import DataError

_REQUIRED: Final = ("name", "bands", "images", "masks", "classes", "splits")
_OPTIONAL: Final = ("ignore_colors", "ignore_values", "exclude_from_mean", "eroded_masks", "gsd_m")
_CLASS_KEYS: Final = ("name", "color", "value")


def load_yaml(file: Path) -> DatasetSpec:
    """The data set a dataset.yaml describes; its patterns are relative to the file.

    Args:
        file: The YAML file.

    Returns:
        The data set, every file of its splits found on disk, tiles of a split sorted by name.

    Raises:
        DataError: If a field is missing, unknown or malformed, or if files are missing.
    """
    fields = _Fields(file=file, values=_read_document(file))
    images = _find_images(fields)
    splits = _match_splits(fields, images)
    tiles = sorted({tile for names in splits.values() for tile in names})
    masks = _find_masks(fields, "masks", tiles)
    eroded_masks = _find_masks(fields, "eroded_masks", tiles)
    bands, classes = fields.texts("bands"), _classes(fields)
    ignore_colors = tuple(fields.color("ignore_colors", c) for c in fields.items("ignore_colors"))
    ignore_values = tuple(fields.integer("ignore_values", v) for v in fields.items("ignore_values"))
    exclude_from_mean, gsd_m = fields.texts("exclude_from_mean"), fields.number("gsd_m")
    name = fields.text("name")
    try:
        return DatasetSpec(
            name=name,
            bands=bands,
            classes=classes,
            ignore_colors=ignore_colors,
            ignore_values=ignore_values,
            exclude_from_mean=exclude_from_mean,
            gsd_m=gsd_m,
            splits={
                split: tuple(
                    TileFiles(
                        name=t, image=images[t], mask=masks[t], eroded_mask=eroded_masks.get(t)
                    )
                    for t in names
                )
                for split, names in splits.items()
            },
        )
    except DataError as error:
        raise DataError(f"{error} ({file})") from None


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """The fields of one dataset.yaml, checked as they are asked for."""

    file: Path
    values: dict[str, Any]

    def error(self, problem: str, advice: str) -> DataError:
        return DataError(f"{problem} in {self.file}; {advice}")

    def text(self, key: str) -> str:
        return self._as_text(key, self.values[key])

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._as_text(key, item) for item in self.items(key))

    def items(self, key: str) -> Sequence[Any]:
        """The list under a key; empty where an optional key is absent."""
        items = self.values.get(key, [])
        if not isinstance(items, list):
            raise self.error(f"{key} must be a list, got {items!r}", "write it as [a, b]")
        return items

    def integer(self, name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{name} must be a whole number, got {value!r}", "mend it")
        return value

    def number(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{key} must be a number, got {value!r}", "give it without a unit")
        return float(value)

    def color(self, name: str, value: object) -> tuple[int, int, int]:
        try:
            return parse_color(value)
        except ValueError as error:
            raise self.error(f"{name}: {error}", "mend it") from None

    def pattern(self, key: str) -> str:
        pattern = self.text(key)
        if "{tile}" not in pattern:
            raise self.error(
                f"{key} must contain {{tile}}, got {pattern!r}", "e.g. 'images/{tile}.tif'"
            )
        return pattern

    def _as_text(self, name: str, value: object) -> str:
        if not isinstance(value, str) or not value:
            raise self.error(f"{name} must be text, got {value!r}", f'put it in quotes: "{value}"')
        return value


def _read_document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"dataset must be valid YAML, got: {reason} in {file}; put text with {{ }}, # or : "
            "in quotes"
        ) from None
    if not isinstance(document, dict):
        raise DataError(
            f"dataset must be YAML fields, got {type(document).__name__} in {file}; "
            f"it needs {', '.join(_REQUIRED)}"
        )
    valid = (*_REQUIRED, *_OPTIONAL)
    if unknown := [key for key in document if key not in valid]:
        raise DataError(
            f"keys must be known, got {', '.join(map(repr, unknown))} in {file}; "
            f"valid: {', '.join(valid)}"
        )
    if missing := [key for key in _REQUIRED if key not in document]:
        raise DataError(f"{', '.join(missing)} must be given, got nothing in {file}; add it")
    return document


def _find_images(fields: _Fields) -> dict[str, Path]:
    """Every file of the `images` pattern, by tile name."""
    pattern, base = fields.pattern("images"), fields.file.parent
    literals = pattern.split("{tile}")
    tile_regex = re.escape(literals[0]) + "(?P<tile>[^/]+)" + re.escape(literals[1])
    tile_regex += "".join("(?P=tile)" + re.escape(literal) for literal in literals[2:])
    # Not Path.glob: it refuses absolute patterns.
    found = glob.glob("*".join(map(glob.escape, literals)), root_dir=base)  # noqa: PTH207
    matches = [match for name in sorted(found) if (match := re.fullmatch(tile_regex, name))]
    if not matches:
        folder = (base / f"{literals[0]}*").parent
        state = "which has no such file" if folder.is_dir() else "a folder that does not exist"
        raise fields.error(
            f"images must match at least one file, got none for {pattern!r}",
            f"looked in {folder}, {state}; put the images there or change the pattern",
        )
    return {match["tile"]: base / match[0] for match in matches}


def _match_splits(fields: _Fields, images: dict[str, Path]) -> dict[str, list[str]]:
    """The tile names of each split, sorted."""
    patterns_of = fields.values["splits"]
    if not isinstance(patterns_of, dict) or set(patterns_of) != set(SPLITS):
        got = ", ".join(map(str, patterns_of)) if isinstance(patterns_of, dict) else patterns_of
        raise fields.error(f"splits must be {', '.join(SPLITS)}, got {got!r}", "name all three")
    splits, unmatched = {}, []
    for split, patterns in patterns_of.items():
        of_split = _Fields(file=fields.file, values={f"splits.{split}": patterns})
        names: set[str] = set()
        for pattern in of_split.texts(f"splits.{split}"):
            exact = [pattern] if pattern in images else []
            matches = exact or [tile for tile in images if fnmatch.fnmatchcase(tile, pattern)]
            names.update(matches)
            if not matches:
                unmatched.append(f"{pattern!r} ({split})")
        splits[split] = sorted(names)
    if unmatched:
        tiles = sorted(images)
        raise fields.error(
            f"splits must match tiles, got no tile for {', '.join(unmatched)}",
            f"looked among the {len(tiles)} tiles of {fields.values['images']!r}: "
            f"{_first(tiles, 5)}",
        )
    return splits


def _find_masks(fields: _Fields, key: str, tiles: list[str]) -> dict[str, Path]:
    """The mask file of every tile; empty where the optional key is absent."""
    if key not in fields.values:
        return {}
    pattern = fields.pattern(key)
    files = {tile: fields.file.parent / pattern.replace("{tile}", tile) for tile in tiles}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if not missing:
        return files
    if len(missing) == len(files):
        raise fields.error(
            f"{key} must exist for every tile, got none for {pattern!r}",
            f"looked for {missing[0]} and {len(missing) - 1} more; put the masks there or "
            "change the pattern",
        )
    raise fields.error(
        f"{key} must exist for every tile, got {len(missing)} of {len(files)} missing: "
        f"{_first(missing, 10)}",
        "add them, or leave these tiles out of the splits",
    )


def _first(names: list[str], count: int) -> str:
    """The first names, and how many follow."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _classes(fields: _Fields) -> tuple[ClassSpec, ...]:
    classes = []
    for index, entry in enumerate(fields.items("classes")):
        where = f"classes[{index}]"
        if not isinstance(entry, dict) or "name" not in entry or not {*entry} <= {*_CLASS_KEYS}:
            raise fields.error(
                f"{where} must have a name and color or value, got {entry!r}",
                f"valid keys: {', '.join(_CLASS_KEYS)}",
            )
        if "color" not in entry and "value" not in entry:
            raise fields.error(
                f"{where} must have a color or a value, got {entry!r}",
                'give color: "#RRGGBB" for colour masks, value: n for index masks',
            )
        color, value = entry.get("color"), entry.get("value")
        classes.append(
            ClassSpec(
                name=_Fields(file=fields.file, values={f"{where}.name": entry["name"]}).text(
                    f"{where}.name"
                ),
                color=_drawing_color(index)
                if color is None
                else fields.color(f"{where}.color", color),
                value=None if value is None else fields.integer(f"{where}.value", value),
            )
        )
    return tuple(classes)


def _drawing_color(index: int) -> tuple[int, int, int]:
    """RGB of class `index` of index masks without colours: hues a golden angle apart."""
    lightness = (0.55, 0.40, 0.70)[index % 3]
    red, green, blue = colorsys.hls_to_rgb((0.58 + index * 0.381966) % 1.0, lightness, 0.6)
    return round(red * 255), round(green * 255), round(blue * 255)
