"""Finds the tiles that the file patterns and splits of a dataset.yaml stand for."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from trainables.data.access.remote_files import is_bucket, is_remote, is_url, name_of
from trainables.data.layouts.dataset_yaml.fields import YamlFields
from trainables.data.layouts.dataset_yaml.found_files import composed, find_files, path_of
from trainables.data.layouts.dataset_yaml.splits import read_rule
from trainables.data.layouts.file_names import is_tellable
from trainables.data.layouts.spec import TileFiles, VectorLabels
from trainables.data.places.cuts import TileWindow, cut_windows
from trainables.data.places.footprints import Footprint, place_of, size_of
from trainables.data.places.vector_files import VectorFileError, read_label_files
from trainables.errors import DataError, problems_text

_TILE: Final = "{tile}"
_GLOBS: Final = "*?["


def find_tiles(
    fields: YamlFields, labels: VectorLabels | None = None
) -> tuple[dict[str, tuple[TileFiles, ...]], tuple[str, ...]]:
    """The tiles of each split, sorted by name, and what a person should know of the splits.

    A tile of which only the image or only the mask was found is among them, with the path at
    which its partner was looked for.

    Images of `unlabelled` join the training tiles, behind them; those that are in a split already
    are no more unlabelled.

    Args:
        fields: With `images`, `splits` and perhaps `masks`, `eroded_masks` and `unlabelled`;
            patterns are relative to the file.
        labels: Polygons that the tiles have in place of masks; where the splits cannot be told
            since files cannot be read, those of the polygons are named with them.

    Raises:
        DataError: If a pattern finds nothing at all, a field is malformed, or the splits cannot be
            told; with all files that are to blame, one a line.
    """
    named = _named_images(fields)
    patterns: dict[str, str] = {}
    for key in ("images", "masks", "eroded_masks"):
        if key in fields.values and not (key == "images" and named):
            patterns[key] = fields.pattern(key)
    rule = read_rule(fields)
    base, wanted = fields.file.parent, rule.wanted
    cut = _cut(fields)
    found = _find_all(fields, patterns, wanted, named)
    images = _without_labels(found, wanted)
    if not images:
        raise _no_images(fields, patterns["images"])
    files = {key: _paths(pattern, base, found[key], images) for key, pattern in patterns.items()}
    tiles = {*images, *([] if named else _without_image(found, files, images, wanted))}
    parts, unread = _parts({tile: images.get(tile) for tile in sorted(tiles)}, cut)

    @cache
    def place_of_image(tile: str) -> Footprint | None:
        return place_of(images[tile]) if tile in images and tile not in unread else None

    def place_of_part(part: str) -> Footprint | None:
        tile, window = parts[part]
        place = place_of_image(tile)
        return None if place is None else place.of_window(window)

    try:
        found_splits = rule.splits(fields, [*parts], place_of_part)
    except DataError as error:
        raise _with_causes(error, unread, labels) from None
    splits = found_splits.names
    used = [*dict.fromkeys(parts[part][0] for names in splits.values() for part in names)]
    files = {key: _paths(pattern, base, found[key], used) for key, pattern in patterns.items()}
    files.setdefault("images", images)
    for key in patterns.keys() - {"images"}:
        _check_any(fields, key, [files[key][tile] for tile in sorted({*used} & {*images})])
    masks, eroded_masks = files.get("masks", {}), files.get("eroded_masks", {})
    labelled = {
        split: tuple(
            TileFiles(
                name=part,
                image=files["images"][tile],
                mask=masks.get(tile),
                eroded_mask=eroded_masks.get(tile),
                window=window,
            )
            for part, (tile, window) in ((part, parts[part]) for part in names)
        )
        for split, names in splits.items()
    }
    train = (*labelled["train"], *_unlabelled(fields, labelled, cut))
    return labelled | {"train": train}, found_splits.notes


def _named_images(fields: YamlFields) -> dict[str, Path]:
    """Images that are named one by one, by the names of their tiles; none for a pattern."""
    given = fields.values["images"]
    if isinstance(given, list):
        keys = {f"images[{index}]": one for index, one in enumerate(given)}
        inner = YamlFields(file=fields.file, values=keys)
        return _named_files(fields, "images", [inner.path(key) for key in keys])
    if "cut" in fields.values and _is_one_file(fields.text("images")):
        return _named_files(fields, "images", [fields.path("images")])
    return {}


def _is_one_file(written: str) -> bool:
    """Whether a file is named, rather than a pattern, a folder or a glob."""
    if is_url(written):
        return _TILE not in written
    return not any(sign in written for sign in (_TILE, *_GLOBS)) and Path(written).suffix != ""


def _named_files(fields: YamlFields, key: str, files: Sequence[Path]) -> dict[str, Path]:
    """Files by the names of their tiles, which are theirs without the ending."""
    found: dict[str, Path] = {}
    for file in files:
        tile = composed(Path(name_of(file)).stem)
        if not tile or not is_tellable(tile) or _TILE in tile or tile in found:
            rule = "be files of different names" if tile in found else "be files that have a name"
            raise fields.error(
                f"{key} must {rule}, or one pattern with {_TILE}, got {file}",
                f"name one by one: {key}: [https://host/a.tif, https://host/b.tif]",
            )
        found[tile] = file
    if not found:
        raise fields.error(f"{key} must not be an empty list", "name files")
    return found


def _find_all(
    fields: YamlFields,
    patterns: Mapping[str, str],
    wanted: Sequence[str],
    named: Mapping[str, Path],
) -> dict[str, dict[str, Path]]:
    """Every file by pattern and tile; behind a URL, those of the tiles that there are."""
    base, images = fields.file.parent, patterns.get("images", "")
    globs = [one for one in wanted if any(sign in one for sign in _GLOBS)]
    if is_url(images) and "cut" in fields.values:
        raise fields.error(
            "images that are cut must be named one by one at a URL, which cannot be listed, got "
            f"{images!r}",
            "e.g. images: https://host/ortho.tif, or a list of such files, or give s3://",
        )
    if is_url(images) and (globs or not wanted):
        raise fields.error(
            "splits must name every tile of images at a URL, which cannot be listed, got "
            + (repr(globs[0]) if globs else "no names"),
            "name the tiles, also in a table, or give a folder or s3://",
        )
    found = {"images": dict(named) or find_files(images, base, wanted)}
    others = {key: pattern for key, pattern in patterns.items() if key != "images"}
    return found | {key: find_files(one, base, [*found["images"]]) for key, one in others.items()}


def _cut(fields: YamlFields) -> int | None:
    """The side of the windows that images are cut into; None where they are tiles themselves."""
    given = fields.values.get("cut")
    if given is None:
        return None
    if not isinstance(given, dict) or {*given} != {"tile_px"}:
        raise fields.error(
            f"cut must be {{tile_px: n}}, got {given!r}", "e.g. cut: {tile_px: 1024}"
        )
    tile_px = fields.integer("cut.tile_px", given["tile_px"])
    if tile_px < 1:
        raise fields.error(f"cut.tile_px must be 1 or more, got {tile_px}", "e.g. 1024")
    return tile_px


def _parts(
    images: Mapping[str, Path | None], cut: int | None
) -> tuple[dict[str, tuple[str, TileWindow | None]], dict[str, str]]:
    """The tiles that images are cut into: the image and the window of each, by its name.

    Returns:
        The tiles, and by image why it cannot be opened: it stays whole.
    """
    parts: dict[str, tuple[str, TileWindow | None]] = {}
    unread: dict[str, str] = {}
    for tile, image in images.items():
        parts[tile] = tile, None
        if cut is None or image is None:
            continue
        try:
            size = size_of(image)
        except DataError as error:
            unread[tile] = str(error)
            continue
        del parts[tile]
        for place, window in cut_windows(*size, tile_px=cut):
            parts[f"{tile}-{place}"] = tile, window
    return parts, unread


def _with_causes(
    error: DataError, unread: Mapping[str, str], labels: VectorLabels | None
) -> DataError:
    """Why splits cannot be told: files that cannot be read, where there are any."""
    of_splits = error.problems if isinstance(error, VectorFileError) else ()
    problems = [*unread.values(), *of_splits]
    if not problems:
        return error
    if labels is not None:
        try:
            read_label_files(labels.source, labels.class_field, labels.area)
        except VectorFileError as other:
            problems += other.problems
    return DataError(problems_text(problems))


def _unlabelled(
    fields: YamlFields, labelled: Mapping[str, Sequence[TileFiles]], cut: int | None
) -> Iterator[TileFiles]:
    """The images that nobody annotated, sorted by name, without those of a split."""
    given = fields.values.get("unlabelled", [])
    taken = {
        os.path.normpath(file)
        for tiles in labelled.values()
        for tile in tiles
        for file in tile.files
    }
    found: dict[str, Path] = {}
    for index, pattern in enumerate(given if isinstance(given, list) else [given]):
        key = f"unlabelled[{index}]" if isinstance(given, list) else "unlabelled"
        inner = YamlFields(file=fields.file, values={key: pattern})
        written = inner.address(key)
        if _is_one_file(written):
            files = _named_files(fields, key, [inner.path(key)])
        elif is_url(written):
            raise fields.error(
                f"{key} must be files that can be listed, got a pattern at a URL, {written!r}",
                "name them one by one, [https://host/a.tif, https://host/b.tif], or give a folder "
                "or s3://",
            )
        else:
            files = find_files(inner.pattern(key), fields.file.parent)
        free = {tile: one for tile, one in files.items() if os.path.normpath(one) not in taken}
        if not free:
            raise fields.error(
                f"{key} must match an image that is in no split, got none for {written!r}",
                "change the pattern, or leave it out",
            )
        if repeated := sorted({*free} & {*found}):
            raise fields.error(
                f"{key} must match other tiles than the pattern before, got {repeated[0]!r} again",
                "tiles need names of their own: begin {tile} at the folder",
            )
        found |= free
    parts, _ = _parts(dict(sorted(found.items())), cut)
    for part, (tile, window) in parts.items():
        yield TileFiles(name=part, image=found[tile], mask=None, is_labelled=False, window=window)


def _paths(
    pattern: str,
    base: Path,
    found: Mapping[str, Path],
    tiles: Sequence[str] | Mapping[str, Path],
) -> dict[str, Path]:
    """The file of each tile; where there is none, the path at which it was looked for."""
    return {tile: found.get(tile) or path_of(pattern, base, tile) for tile in tiles}


def _by_path(files: Mapping[str, Path]) -> dict[str, str]:
    """Tile names by path, whatever way the pattern is written."""
    return {os.path.normpath(file): tile for tile, file in files.items()}


def _is_wanted(tile: str, wanted: Sequence[str]) -> bool:
    return any(tile == pattern or fnmatch.fnmatchcase(tile, pattern) for pattern in wanted)


def _without_labels(
    found: Mapping[str, Mapping[str, Path]], wanted: Sequence[str]
) -> dict[str, Path]:
    """The images; where `{tile}.tif` are images and `{tile}_mask.tif` masks, not the masks.

    A file of both patterns belongs to the one that leaves the shorter tile name, if that tile has
    an image, or else if the file has no mask of its own and the splits ask for that tile.
    """
    images = dict(found["images"])
    for key in found.keys() - {"images"}:
        owner_of = _by_path(found[key])
        for tile, file in found["images"].items():
            owner = owner_of.get(os.path.normpath(file))
            if owner is None or len(owner) >= len(tile):
                continue
            has_mask = tile in found.get("masks", {})
            if owner in found["images"] or (not has_mask and _is_wanted(owner, wanted)):
                images.pop(tile, None)
    return images


def _without_image(
    found: Mapping[str, Mapping[str, Path]],
    files: Mapping[str, Mapping[str, Path]],
    images: Mapping[str, Path],
    wanted: Sequence[str],
) -> list[str]:
    """Tiles of masks that have no image and are in a split.

    Args:
        found: Every file by pattern and tile.
        files: The files that the images have or should have, by pattern and tile.
        images: The images.
        wanted: Patterns of all splits.
    """
    taken = {os.path.normpath(file) for of_key in files.values() for file in of_key.values()}
    eroded = _by_path(found.get("eroded_masks", {}))
    tiles = []
    for tile, file in found.get("masks", {}).items():
        path = os.path.normpath(file)
        # The more specific of two patterns leaves the shorter tile name.
        is_eroded = len(eroded.get(path, tile)) < len(tile)
        if not (tile in images or path in taken or is_eroded) and _is_wanted(tile, wanted):
            tiles.append(tile)
    return tiles


def _no_images(fields: YamlFields, pattern: str) -> Exception:
    if is_bucket(pattern):
        return fields.error(
            f"images must match at least one file, got none for {pattern!r}",
            "no file of that bucket has such a name; put the images there or change the pattern",
        )
    folder = (fields.file.parent / f"{pattern.split('{tile}')[0]}*").parent
    state = "which has no such file" if folder.is_dir() else "a folder that does not exist"
    return fields.error(
        f"images must match at least one file, got none for {pattern!r}",
        f"looked in {folder}, {state}; put the images there or change the pattern",
    )


def _check_any(fields: YamlFields, key: str, files: Sequence[Path]) -> None:
    """Refuse a pattern without any file: the pattern is wrong then, and no file is missing."""
    if files and not any(is_remote(file) or file.is_file() for file in files):
        raise fields.error(
            f"{key} must exist for every tile, got none for {fields.values[key]!r}",
            f"looked for {files[0]} and {len(files) - 1} more; put the masks there or "
            "change the pattern",
        )
