"""Finds the tiles that the file patterns and splits of a dataset.yaml stand for."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trainables.data.access.remote_files import is_bucket, is_remote, is_url
from trainables.data.layouts.dataset_yaml.fields import YamlFields
from trainables.data.layouts.dataset_yaml.found_files import find_files, path_of
from trainables.data.layouts.dataset_yaml.splits import read_rule
from trainables.data.layouts.spec import TileFiles
from trainables.data.places.cuts import TileWindow, cut_windows
from trainables.data.places.footprints import Footprint, place_of, size_of


def find_tiles(fields: YamlFields) -> tuple[dict[str, tuple[TileFiles, ...]], tuple[str, ...]]:
    """The tiles of each split, sorted by name, and what a person should know of the splits.

    A tile of which only the image or only the mask was found is among them, with the path at
    which its partner was looked for.

    Images of `unlabelled` join the training tiles, behind them; those that are in a split already
    are no more unlabelled.

    Args:
        fields: With `images`, `splits` and perhaps `masks`, `eroded_masks` and `unlabelled`;
            patterns are relative to the file.

    Raises:
        DataError: If a pattern finds nothing at all, or a field is malformed.
    """
    patterns: dict[str, str] = {
        key: fields.pattern(key)
        for key in ("images", "masks", "eroded_masks")
        if key in fields.values
    }
    rule = read_rule(fields)
    base, wanted = fields.file.parent, rule.wanted
    found = _find_all(fields, patterns, wanted)
    images = _without_labels(found, wanted)
    if not images:
        raise _no_images(fields, patterns["images"])
    files = {key: _paths(pattern, base, found[key], images) for key, pattern in patterns.items()}
    tiles = {*images, *_without_image(found, files, images, wanted)}
    cut = _cut(fields)
    parts = _parts({tile: images.get(tile) for tile in sorted(tiles)}, cut)

    def place_of_part(part: str) -> Footprint | None:
        tile, window = parts[part]
        return place_of(images[tile], window) if tile in images else None

    found_splits = rule.splits(fields, [*parts], place_of_part)
    splits = found_splits.names
    used = [*dict.fromkeys(parts[part][0] for names in splits.values() for part in names)]
    files = {key: _paths(pattern, base, found[key], used) for key, pattern in patterns.items()}
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


def _find_all(
    fields: YamlFields, patterns: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, dict[str, Path]]:
    """Every file by pattern and tile; behind a URL, those of the tiles that there are."""
    base, images = fields.file.parent, patterns["images"]
    globs = [one for one in wanted if any(sign in one for sign in "*?[")]
    if is_url(images) and (globs or not wanted):
        raise fields.error(
            "splits must name every tile of images at a URL, which cannot be listed, got "
            + (repr(globs[0]) if globs else "no names"),
            "name the tiles, also in a table, or give a folder or s3://",
        )
    if is_url(images) and "cut" in fields.values:
        raise fields.error(
            f"cut must be of images that can be listed, got a URL, {images!r}",
            "download it, or give s3://",
        )
    found = {"images": find_files(images, base, wanted)}
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
) -> dict[str, tuple[str, TileWindow | None]]:
    """The tiles that images are cut into: the image and the window of each, by its name.

    An image that cannot be opened stays whole, for its inspection to say why.
    """
    parts: dict[str, tuple[str, TileWindow | None]] = {}
    for tile, image in images.items():
        size = None if cut is None or image is None else size_of(image)
        if cut is None or size is None:
            parts[tile] = tile, None
            continue
        for place, window in cut_windows(*size, tile_px=cut):
            parts[f"{tile}-{place}"] = tile, window
    return parts


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
        of_pattern = YamlFields(file=fields.file, values={key: pattern}).pattern(key)
        if is_url(of_pattern):
            raise fields.error(
                f"{key} must be files that can be listed, got a URL, {of_pattern!r}",
                "give a folder or s3://",
            )
        files = find_files(of_pattern, fields.file.parent)
        free = {tile: one for tile, one in files.items() if os.path.normpath(one) not in taken}
        if not free:
            raise fields.error(
                f"{key} must match an image that is in no split, got none for {of_pattern!r}",
                "change the pattern, or leave it out",
            )
        if repeated := sorted({*free} & {*found}):
            raise fields.error(
                f"{key} must match other tiles than the pattern before, got {repeated[0]!r} again",
                "tiles need names of their own: begin {tile} at the folder",
            )
        found |= free
    for part, (tile, window) in _parts(dict(sorted(found.items())), cut).items():
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
