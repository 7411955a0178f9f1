"""Checks the headers of all tiles of a data set before any of them is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rasterio.errors import NotGeoreferencedWarning

from trainables.data.footprints import Footprint, corner_offset_px, find_overlaps, footprint_of
from trainables.data.raster import ImageReader, open_file
from trainables.data.spec import DatasetSpec, TileFiles
from trainables.data.tileset import DTYPES
from trainables.errors import DataError

_MAX_OFFSET_PX: Final = 0.51
"""Between corners of an image and its mask: some tools give the corner, others the middle of it."""


@dataclass(frozen=True, kw_only=True)
class TileHeader:
    """What the header of a tile's image says."""

    files: TileFiles
    height_px: int
    """Of the file, before any reduction."""
    width_px: int
    dtype: str
    """Type of the image, one of `trainables.data.tileset.DTYPES`."""
    may_hide: bool
    """Whether pixels of the image could be hidden."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What the headers of a data set say."""

    headers: Mapping[str, Mapping[str, TileHeader]]
    """By split and tile name, in their order; only tiles whose own headers are sound."""
    problems: tuple[str, ...]
    """One line each, with the names of the files."""


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
        return _inspect_tile(*tile, spec.bands, downsample)

    # Filters belong to the process, so they are set here and not in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(num_threads) as pool:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        found = list(pool.map(look, tiles))
    common, type_problems = _common_dtype(found)
    headers: dict[str, dict[str, TileHeader]] = {split: {} for split in spec.splits}
    for tile in found:
        image = tile.image
        if image is not None and not tile.problems and image.dtype == common:
            headers[tile.split][tile.files.name] = TileHeader(
                files=tile.files,
                height_px=image.height_px,
                width_px=image.width_px,
                dtype=image.dtype,
                may_hide=image.may_hide,
            )
    problems = [problem for tile in found for problem in tile.problems]
    return Inspection(
        headers=headers, problems=(*problems, *type_problems, *_shared_ground_problems(found))
    )


@dataclass(frozen=True, kw_only=True)
class _FileHeader:
    """The header of one file."""

    height_px: int
    width_px: int
    dtype: str
    may_hide: bool
    footprint: Footprint | None
    band_problems: tuple[str, ...]

    @property
    def size(self) -> str:
        return f"{self.width_px} x {self.height_px} px"


@dataclass(kw_only=True)
class _Tile:
    """A tile, as far as its files could be opened."""

    split: str
    files: TileFiles
    image: _FileHeader | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> str | None:
        """Type of an image whose type could be used at all."""
        return self.image.dtype if self.image and self.image.dtype in DTYPES else None


def _inspect_tile(split: str, files: TileFiles, bands: Sequence[str], downsample: int) -> _Tile:
    tile = _Tile(split=split, files=files)
    image = tile.image = _header(tile, "image", files.image, bands)
    if image is not None:
        tile.problems += [f"{problem} in {files.image}" for problem in image.band_problems]
        if min(image.height_px, image.width_px) < downsample:
            tile.problems.append(
                f"downsample must be at most the size of a tile, got {downsample} for "
                f"{image.size} in {files.image}; lower it, or leave the tile out of the splits"
            )
    for name, file in (("mask", files.mask), ("eroded mask", files.eroded_mask)):
        if file is None:
            continue
        mask = _header(tile, name, file, bands)
        if image is not None and mask is not None:
            tile.problems += _mismatches(name, file, mask, files.image, image)
    return tile


def _header(tile: _Tile, name: str, file: Path, bands: Sequence[str]) -> _FileHeader | None:
    """The header of a file; None, and a problem of the tile, where there is none."""
    if not file.is_file():
        partner = tile.files.mask if name == "image" else tile.files.image
        tile.problems.append(
            f"{name} must exist for every tile, got none for {tile.files.name!r} ({tile.split}) "
            f"in {file}, beside {partner}; add it, or leave the tile out of the splits"
        )
        return None
    try:
        with open_file(file) as source:
            reader = ImageReader(source, bands)
            return _FileHeader(
                height_px=source.height,
                width_px=source.width,
                dtype=reader.dtype,
                may_hide=reader.may_hide,
                footprint=footprint_of(source),
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
    is_same_size = mask.size == image.size
    if not is_same_size:
        yield (
            f"{name} must have the size of its image, got {mask.size} for {image.size} {where}; "
            "export it on the pixels of the image"
        )
    if mask.footprint is None or image.footprint is None:
        return
    if mask.footprint.crs != image.footprint.crs:
        yield (
            f"{name} must have the CRS of its image, got {mask.footprint.crs} for "
            f"{image.footprint.crs} {where}; reproject it on the pixels of the image"
        )
    elif is_same_size:
        offset = corner_offset_px(image.footprint, mask.footprint)
        if not offset <= _MAX_OFFSET_PX:
            yield (
                f"{name} must lie on the pixels of its image, got corners up to {offset:.3g} px "
                f"apart {where}; export it with the transform of the image"
            )


def _common_dtype(tiles: Sequence[_Tile]) -> tuple[str | None, list[str]]:
    """The type of most images, of the first ones among equals, and the types beside it."""
    files_of: dict[str, list[Path]] = {}
    for tile in tiles:
        if tile.dtype is not None:
            files_of.setdefault(tile.dtype, []).append(tile.files.image)
    if len(files_of) < 2:
        return next(iter(files_of), None), []
    common = max(files_of, key=lambda dtype: len(files_of[dtype]))
    found = ", ".join(
        f"{dtype} in {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
        for dtype, files in files_of.items()
    )
    return common, [f"images must all have the same type, got {found}; export them alike"]


def _shared_ground_problems(tiles: Sequence[_Tile]) -> Iterator[str]:
    """Tiles of different splits that are the same file, or show the same ground."""
    readable = [tile for tile in tiles if tile.image is not None]
    tiles_of: dict[Path, list[_Tile]] = {}
    for tile in readable:
        tiles_of.setdefault(tile.files.image.resolve(), []).append(tile)
    for file, same in tiles_of.items():
        if len({tile.split for tile in same}) > 1:
            names = " and ".join(f"{tile.files.name!r} ({tile.split})" for tile in same)
            yield (
                f"splits must hold each image once, got {names} in {file}; leave it out of all "
                "splits but one"
            )
    placed = [(t, t.image.footprint) for t in readable if t.image and t.image.footprint]
    for overlap in find_overlaps([place for _, place in placed], [t.split for t, _ in placed]):
        first, second = placed[overlap.first][0], placed[overlap.second][0]
        if first.files.image.resolve() != second.files.image.resolve():
            yield (
                "splits must not share ground, got an overlap of "
                f"{max(1, round(overlap.pixels))} px ({overlap.share:.2%} of the first) in "
                f"{first.files.image} ({first.split}) and {second.files.image} ({second.split}); "
                "put both into one split, or cut one of them"
            )
