"""Checks the headers of all tiles of a data set before any of them is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from rasterio.crs import CRS

from trainables.data.access.remote_files import is_remote
from trainables.data.decoding.raster import ImageReader, open_file, ungeoreferenced
from trainables.data.decoding.vector_labels import LabelLayer, read_label_layer
from trainables.data.layouts.spec import DatasetSpec, TileFiles
from trainables.data.places.cuts import TileWindow
from trainables.data.places.footprints import Footprint, find_overlaps, offset_px
from trainables.data.places.vector_files import VectorFileError
from trainables.errors import DataError

_MAX_OFFSET_PX: Final = 0.51
"""Largest offset of a mask from its image, along rows or columns: some tools give the corner of a
pixel, others its middle."""
_REMOTE_THREADS: Final = 16
"""Headers of files elsewhere that are asked for at a time: a server may take seconds for each."""
_MAX_CRS_LENGTH: Final = 60
"""Most characters that a message shows of the text of a reference system."""


@dataclass(frozen=True, kw_only=True)
class TileHeader:
    """What the header of a tile's image says."""

    files: TileFiles
    height_px: int
    """Height of the image as it is shown, before any reduction; likewise `width_px`."""
    width_px: int
    dtype: str
    """Type in which the image is kept, one of `trainables.data.tilesets.tileset.DTYPES`."""
    may_hide: bool
    """Whether pixels of the image could be hidden."""
    place: Footprint | None = None
    """Where the image lies; None where nothing says it."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What the headers of a data set say."""

    headers: Mapping[str, Mapping[str, TileHeader]]
    """Headers by split and tile name, in their order, of the tiles whose headers are sound."""
    problems: tuple[str, ...]
    """One line each, with the names of the files."""
    notes: tuple[str, ...] = ()
    """What a person should know although nothing is wrong, one line each."""
    labels: LabelLayer | None = None
    """What labelled tiles without masks have their classes from."""


def inspect_dataset(spec: DatasetSpec, *, downsample: int = 1, num_threads: int = 2) -> Inspection:
    """Looks at the headers of every tile of every split.

    Args:
        spec: The data set.
        downsample: Block size d in pixels that tiles will be reduced by, 1 or more.
        num_threads: Threads that open files, 1 or more.

    Returns:
        The headers, and every problem: files that are missing or unreadable; masks that do not
        lie on the pixels of their image; bands and types that cannot be used or differ between
        tiles; tiles below the size of a block; tiles of different splits that are the same
        file or show the same ground.
    """
    tiles = [(split, files) for split, of_split in spec.splits.items() for files in of_split]

    def look(tile: tuple[str, TileFiles]) -> _Tile:
        return _inspect_tile(*tile, spec, downsample)

    if any(is_remote(file) for _, files in tiles for file in files.files):
        num_threads = max(num_threads, _REMOTE_THREADS)
    with ungeoreferenced(), ThreadPoolExecutor(num_threads) as pool:
        found = list(pool.map(look, tiles))
    common, type_problems = _common_dtype(found)
    type_problems += _nodata_problems(spec, common)
    headers: dict[str, dict[str, TileHeader]] = {split: {} for split in spec.splits}
    for tile in found:
        image = tile.image
        if image is None or image.dtype is None:
            continue
        if not tile.problems and image.dtype == common:
            headers[tile.split][tile.files.name] = TileHeader(
                files=tile.files,
                height_px=image.height_px,
                width_px=image.width_px,
                dtype=image.dtype,
                may_hide=image.may_hide,
                place=image.footprint,
            )
    labels, label_problems = _read_labels(spec, headers)
    problems = [problem for tile in found for problem in tile.problems]
    return Inspection(
        headers=headers,
        problems=(*problems, *label_problems, *type_problems, *_shared_ground_problems(found)),
        notes=(*spec.notes, *_turned_notes(found), *(labels.notes if labels else ())),
        labels=labels,
    )


def _read_labels(
    spec: DatasetSpec, headers: Mapping[str, Mapping[str, TileHeader]]
) -> tuple[LabelLayer | None, list[str]]:
    """The polygons of a data set, and what keeps them from being its labels."""
    try:
        labels = read_label_layer(spec)
        placed = [
            header.place
            for of_split in headers.values()
            for header in of_split.values()
            if header.place is not None and header.files.is_labelled
        ]
        if labels is None or not placed:
            return labels, []
        if not any(labels.on(place).num_features for place in placed):
            return labels, [
                f"labels must lie on the tiles, got none of {labels.num_features} features on "
                f"{len(placed)} tiles; check the reference systems of both"
            ]
    except VectorFileError as error:
        return None, [*error.problems]
    except DataError as error:
        return None, [str(error)]
    return labels, []


@dataclass(frozen=True, kw_only=True)
class _FileHeader:
    """The header of one file."""

    height_px: int
    width_px: int
    dtype: str | None
    """Type in which an image of these bands is kept; None if it cannot be used."""
    type_text: str
    """The types of its bands in the file."""
    may_hide: bool
    is_turned: bool
    """Whether an EXIF orientation makes it be shown otherwise than it is stored."""
    footprint: Footprint | None
    band_problems: tuple[str, ...]

    @property
    def size(self) -> str:
        turned = " (as its EXIF orientation shows it)" if self.is_turned else ""
        return f"{self.width_px} x {self.height_px} px{turned}"


@dataclass(kw_only=True)
class _Tile:
    """A tile, as far as its files could be opened."""

    split: str
    files: TileFiles
    image: _FileHeader | None = None
    problems: list[str] = field(default_factory=list)
    turned: list[Path] = field(default_factory=list)
    """Files that are shown otherwise than they are stored."""


def _inspect_tile(split: str, files: TileFiles, spec: DatasetSpec, downsample: int) -> _Tile:
    tile = _Tile(split=split, files=files)
    image = tile.image = _header(tile, "image", files.image, spec)
    if image is not None:
        tile.problems += [f"{problem} in {files.image}" for problem in image.band_problems]
        if min(image.height_px, image.width_px) < downsample:
            tile.problems.append(
                f"downsample must be at most the size of a tile, got {downsample} for "
                f"{image.size} in {files.image}; lower it, or leave the tile out of the splits"
            )
        if spec.labels is not None and files.is_labelled:
            tile.problems += _unplaced(files.image, image.footprint)
    for name, file in (("mask", files.mask), ("eroded mask", files.eroded_mask)):
        if file is None:
            continue
        mask = _header(tile, name, file, spec)
        if image is not None and mask is not None:
            tile.problems += _mismatches(name, file, mask, files.image, image)
    return tile


def _unplaced(image: Path, place: Footprint | None) -> Iterator[str]:
    """Why polygons cannot be laid on an image."""
    if place is None or place.crs is None:
        missing = "place on the ground" if place is None else "reference system"
        yield (
            f"image must say where it lies, since its labels are polygons, got no {missing} in "
            f"{image}; georeference it, or give masks"
        )


def _header(tile: _Tile, name: str, file: Path, spec: DatasetSpec) -> _FileHeader | None:
    """The header of a file; None, and a problem of the tile, where there is none."""
    if not is_remote(file) and not file.is_file():
        partner = tile.files.mask if name == "image" else tile.files.image
        beside = "" if partner is None else f", beside {partner}"
        tile.problems.append(
            f"{name} must exist for every tile, got none for {tile.files.name!r} ({tile.split}) "
            f"in {file}{beside}; add it, or leave the tile out of the splits"
        )
        return None
    try:
        with open_file(file, tile.files.window) as raster:
            reader = ImageReader(raster, spec.bands, spec.nodata)
            if raster.orientation.turns:
                tile.turned.append(file)
            return _FileHeader(
                height_px=raster.height_px,
                width_px=raster.width_px,
                dtype=reader.dtype,
                type_text=reader.type_text,
                may_hide=reader.may_hide,
                is_turned=raster.orientation.turns,
                footprint=raster.footprint,
                band_problems=tuple(reader.problems()),
            )
    except DataError as error:
        tile.problems.append(str(error))
        return None


def _mismatches(
    name: str, file: Path, mask: _FileHeader, image_file: Path, image: _FileHeader
) -> Iterator[str]:
    """How a mask does not lie on the pixels of its image."""
    where = f"in {file}, image {image_file}"
    is_same_size = (mask.width_px, mask.height_px) == (image.width_px, image.height_px)
    if not is_same_size:
        yield (
            f"{name} must have the size of its image, got {mask.size} for {image.size} {where}; "
            "export it on the pixels of the image"
        )
    if mask.footprint is None or image.footprint is None:
        return
    allowed_px = _MAX_OFFSET_PX + image.footprint.error_px + mask.footprint.error_px
    offset = offset_px(image.footprint, mask.footprint)
    if not is_same_size:  # then corners differ anyhow, and only another place is worth a word
        allowed_px += max(image.width_px, image.height_px)
    if offset <= allowed_px:
        return
    systems = (mask.footprint.crs, image.footprint.crs)
    if None not in systems and systems[0] != systems[1]:
        yield (
            f"{name} must have the CRS of its image, got {_crs_text(systems[0])} for "
            f"{_crs_text(systems[1])} {where}; reproject it on the pixels of the image"
        )
    else:
        yield (
            f"{name} must lie on the pixels of its image, got them up to {offset:.3g} px apart "
            f"{where}; export it with the transform of the image"
        )


def _crs_text(crs: CRS | None) -> str:
    """A reference system in a few words."""
    text = "none" if crs is None else crs.to_string()
    return text if len(text) <= _MAX_CRS_LENGTH else f"{text[:_MAX_CRS_LENGTH]}…"


def _turned_notes(tiles: Sequence[_Tile]) -> Iterator[str]:
    """That files are turned: whoever drew masks in a program that turns nothing must know."""
    turned = [file for tile in tiles for file in tile.turned]
    if turned:
        yield (
            f"{len(turned)} files are turned upright as their EXIF orientation says, first "
            f"{turned[0]}: masks must lie on the images as a viewer shows them"
        )


def _common_dtype(tiles: Sequence[_Tile]) -> tuple[str | None, list[str]]:
    """The type in which most images are kept (the first of equally frequent ones), and a problem.

    Returns:
        The type, None without any usable image; and what is wrong where others are kept otherwise.
    """
    kept = [(tile.image, tile.files.image) for tile in tiles if tile.image and tile.image.dtype]
    counts = Counter(image.dtype for image, _ in kept)
    if len(counts) < 2:
        return next(iter(counts), None), []
    files_of: dict[str, list[Path]] = {}
    for image, file in kept:
        files_of.setdefault(image.type_text, []).append(file)
    found = ", ".join(
        f"{text} in {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
        for text, files in files_of.items()
    )
    common, _ = counts.most_common(1)[0]
    return common, [
        "images must all have the same type (all but uint8 and uint16 are read as float32), got "
        f"{found}; export them alike"
    ]


def _nodata_problems(spec: DatasetSpec, dtype: str | None) -> list[str]:
    """A nodata value that no pixel can have is a typing error, or meant for other images."""
    if dtype in (None, "float32"):
        return []
    limits = np.iinfo(str(dtype))
    beyond = [
        f"{value:g}"
        for value in dict.fromkeys(spec.nodata)
        if value is not None and not (limits.min <= value <= limits.max and value == int(value))
    ]
    if not beyond:
        return []
    return [
        f"nodata must be values that {dtype} images can hold, got {', '.join(beyond)}; take it out "
        "of dataset.yaml, or give that of these images"
    ]


def _shared_ground_problems(tiles: Sequence[_Tile]) -> Iterator[str]:
    """Tiles of different splits that are the same file, or show the same ground."""
    readable = [tile for tile in tiles if tile.image is not None]
    tiles_of: dict[tuple[Path, TileWindow | None], list[_Tile]] = {}
    for tile in readable:
        tiles_of.setdefault(_part_of(tile), []).append(tile)
    for (file, _), same in tiles_of.items():
        if len({tile.split for tile in same}) > 1:
            names = " and ".join(f"{tile.files.name!r} ({tile.split})" for tile in same)
            yield (
                f"splits must hold each image once, got {names} in {file}; leave it out of all "
                "splits but one"
            )
    placed = [(t, t.image.footprint) for t in readable if t.image and t.image.footprint]
    for overlap in find_overlaps([place for _, place in placed], [t.split for t, _ in placed]):
        first, second = placed[overlap.first][0], placed[overlap.second][0]
        if _part_of(first) != _part_of(second):
            yield (
                "splits must not share ground, got an overlap of "
                f"{max(1, round(overlap.pixels))} px ({overlap.share:.2%} of the first) in "
                f"{first.files.image} ({first.split}) and {second.files.image} ({second.split}); "
                "put both into one split, or cut one of them"
            )


def _part_of(tile: _Tile) -> tuple[Path, TileWindow | None]:
    """The file of a tile's image and the part of it, whatever way its path is written."""
    return tile.files.image.resolve(), tile.files.window
