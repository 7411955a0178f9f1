"""Decodes the tiles of a split into arrays: uint8 images and class-index masks."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from trainables.data.masks import Colormap, decode_mask
from trainables.data.spec import IGNORE_INDEX, DatasetSpec, TileFiles
from trainables.errors import DataError

_MAX_PROBLEMS_SHOWN: Final = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """One decoded tile; its arrays are C-contiguous and read-only."""

    name: str
    image: NDArray[np.uint8]
    """(C, H, W), bands in the order of `DatasetSpec.bands`."""
    mask: NDArray[np.uint8]
    """(H, W), class index or IGNORE_INDEX."""
    eroded_mask: NDArray[np.uint8] | None = None
    """(H, W) as `mask`, with class boundaries IGNORE_INDEX; None where there is none."""


def read_tiles(
    spec: DatasetSpec, split: str, *, downsample: int = 1, num_threads: int = 2
) -> tuple[Tile, ...]:
    """Reads, checks and decodes every tile of a split.

    Args:
        spec: The data set.
        split: "train", "val" or "test".
        downsample: Block size d in pixels. Images become block means (rounded half up), masks
            the pixel (d // 2, d // 2) of each block; rows and columns that fill no block drop.
        num_threads: Threads that decode.

    Returns:
        The tiles in the order of the split.

    Raises:
        DataError: If any file cannot be used; one line with the problems of all tiles.
        ValueError: If split, downsample or num_threads is out of its range.
    """
    if split not in spec.splits:
        raise ValueError(f"split must be one of {', '.join(spec.splits)}, got {split!r}")
    if downsample < 1:
        raise ValueError(f"downsample must be 1 or more, got {downsample!r}")
    if num_threads < 1:
        raise ValueError(f"num_threads must be 1 or more, got {num_threads!r}")

    # Filters belong to the process, so they are set here and not in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(num_threads) as pool:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        outcomes = list(
            pool.map(lambda files: _read_tile(spec, files, downsample), spec.splits[split])
        )
    problems = [problem for outcome in outcomes if isinstance(outcome, list) for problem in outcome]
    if problems:
        more = len(problems) - _MAX_PROBLEMS_SHOWN
        shown = "; ".join(problems[:_MAX_PROBLEMS_SHOWN])
        raise DataError(f"{shown}; and {more} more" if more > 0 else shown)
    return tuple(outcome for outcome in outcomes if isinstance(outcome, Tile))


def tiles_checksum(tiles: Iterable[Tile]) -> str:
    """SHA-256 (hex) of the names, shapes and pixels of tiles, whatever their order."""
    checksum = hashlib.sha256()
    for tile in sorted(tiles, key=lambda tile: tile.name):
        arrays = [tile.image, tile.mask]
        if tile.eroded_mask is not None:
            arrays.append(tile.eroded_mask)
        checksum.update(json.dumps([tile.name, *(array.shape for array in arrays)]).encode())
        for array in arrays:
            checksum.update(array.data)
    return checksum.hexdigest()


def _read_tile(spec: DatasetSpec, files: TileFiles, downsample: int) -> Tile | list[str]:
    """One tile, or the problems of its files."""
    problems: list[str] = []
    image, hidden, mask, eroded_mask = None, None, None, None
    with _collected(problems):
        image, hidden = _read_image(spec, files.image)
        if min(image.shape[1:]) < downsample:
            raise DataError(
                f"downsample must be at most the size of a tile, got {downsample} for "
                f"{_size_text(image)} in {files.image}; choose a smaller one"
            )
    with _collected(problems):
        mask = _read_mask(spec, files.mask, image)
    if files.eroded_mask is not None:
        with _collected(problems):
            eroded_mask = _read_mask(spec, files.eroded_mask, image)
    if problems or image is None or mask is None:
        return problems
    return Tile(
        name=files.name,
        image=_frozen(block_means(image, downsample)),
        mask=_frozen(_block_centers(_hide(mask, hidden), downsample)),
        eroded_mask=None
        if eroded_mask is None
        else _frozen(_block_centers(_hide(eroded_mask, hidden), downsample)),
    )


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Adds a DataError of the block to problems, so that the other files are checked too."""
    try:
        yield
    except DataError as error:
        problems.append(str(error))


def _read_image(
    spec: DatasetSpec, file: Path
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Image (C, H, W), and where an alpha band hides it (H, W); None without alpha band."""
    bands, color_interp, _ = _read_bands(file)
    if bands.dtype != np.uint8:
        raise DataError(
            f"image must be uint8, got {bands.dtype} in {file}; uint8 is what is read today, "
            "scale the image to 0-255 first"
        )
    num_bands = len(spec.bands)
    if len(bands) == num_bands:
        return bands, None
    if len(bands) == num_bands + 1 and color_interp[-1] == ColorInterp.alpha:
        return bands[:num_bands], bands[num_bands] == 0
    raise DataError(
        f"image must have the {num_bands} bands {', '.join(spec.bands)}, got {len(bands)} in "
        f"{file}; change bands or the image"
    )


def _read_mask(spec: DatasetSpec, file: Path, image: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Class indices (H, W) of a mask file, checked against the size of its image."""
    bands, _, colormap = _read_bands(file)
    if image is not None and bands.shape[1:] != image.shape[1:]:
        raise DataError(
            f"mask must have the size of its image, got {_size_text(bands)} for "
            f"{_size_text(image)} in {file}; check that it belongs to the image"
        )
    return decode_mask(spec, bands, colormap, file)


def _read_bands(
    file: Path,
) -> tuple[NDArray[Any], tuple[ColorInterp, ...], Colormap | None]:
    """All bands (bands, H, W), their colour interpretations, and the palette if there is one."""
    try:
        with rasterio.open(file) as source:
            is_palette = source.colorinterp[0] == ColorInterp.palette
            colormap = source.colormap(1) if is_palette else None
            return source.read(), source.colorinterp, colormap
    except RasterioError as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"file must be a readable raster, got: {reason} in {file}; copy or export it again"
        ) from None


def _size_text(array: NDArray[Any]) -> str:
    return f"{array.shape[-1]} x {array.shape[-2]} px"


def _hide(mask: NDArray[np.uint8], hidden: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The mask (H, W) with IGNORE_INDEX where its image shows nothing."""
    return mask if hidden is None else np.where(hidden, np.uint8(IGNORE_INDEX), mask)


def block_means(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Mean of each full block of an image (C, H, W), rounded half up."""
    if size_px == 1:
        return image
    height, width = (length // size_px * size_px for length in image.shape[1:])
    sums = np.zeros((len(image), height // size_px, width // size_px), dtype=np.uint32)
    for row in range(size_px):
        for column in range(size_px):
            sums += image[:, row:height:size_px, column:width:size_px]
    area = size_px * size_px
    means: NDArray[np.uint32] = (2 * sums + area) // (2 * area)
    return means.astype(np.uint8)


def _block_centers(mask: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Pixel (d // 2, d // 2) of each full block of a mask (H, W): no class is invented."""
    height, width = (length // size_px * size_px for length in mask.shape)
    return mask[size_px // 2 : height : size_px, size_px // 2 : width : size_px]


def _frozen(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The array, C-contiguous and read-only."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
