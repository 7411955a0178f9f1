"""Writes a result as a cloud-optimised GeoTIFF that lies exactly over its input."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import shutil as raster_files
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from trainables.data.decoding.raster import Raster, ungeoreferenced
from trainables.errors import DataError


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """What an output file holds, apart from its pixels."""

    dtype: str
    band_names: tuple[str, ...]
    nodata: float | None
    """Value of pixels that the input does not show."""
    overviews: str
    """How GDAL reduces it for display: "mode" for classes, "average" for quantities."""
    colors: Mapping[int, tuple[int, int, int]] | None = None
    """RGB by value, 0-255 each."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Texts that describe the file, by name."""
    band_tags: Mapping[str, str] = field(default_factory=dict)
    """Texts that describe its first band, by name."""


class RowWriter:
    """Takes the rows of an output file in any order, each row of a band once."""

    def __init__(self, target: DatasetWriter, path: Path) -> None:
        self._target = target
        self._path = path

    def write(self, band: int, first: int, rows: NDArray[np.generic]) -> None:
        """Write whole rows.

        Args:
            band: Number of the band, from 1.
            first: The first row of the file.
            rows: (number of rows, W).

        Raises:
            DataError: If the disk is full.
        """
        window = Window(0, first, self._target.width, len(rows))
        with writing(self._path):
            self._target.write(rows, band, window=window)


@contextmanager
def cloud_optimised(path: Path, like: Raster, content: OutputFile) -> Iterator[RowWriter]:
    """A file with size, reference system and transform of its input; it appears when complete.

    Rows are collected in a plain GeoTIFF in a folder of their own beside the file, whose strips
    are single rows and so are compressed once each; at the end it is copied into tiles with
    overviews, which takes the place of an older file.

    Args:
        path: The file to write.
        like: The input.
        content: What the file holds.

    Yields:
        What takes the rows.

    Raises:
        DataError: If the folder cannot be written or the disk is full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
            rows, complete = Path(folder) / "rows.tif", Path(folder) / "complete.tif"
            with ungeoreferenced():
                with rasterio.open(rows, "w", **_profile(like, content)) as target:
                    _describe(target, content)
                    yield RowWriter(target, path)
                raster_files.copy(
                    rows,
                    complete,
                    driver="COG",
                    COMPRESS="DEFLATE",
                    PREDICTOR="NO" if content.colors else "YES",
                    OVERVIEW_RESAMPLING=content.overviews.upper(),
                    BIGTIFF="IF_SAFER",
                )
                _read_whole(complete)
            complete.replace(path)


def _read_whole(path: Path) -> None:
    """Reads every pixel of a file, and of its overviews, that was just written.

    When GDAL closes a file that a full disk cut off, it says so on the terminal alone.

    Raises:
        RasterioError: If a part of the file is missing.
    """
    with rasterio.open(path) as file:
        num_overviews = len(file.overviews(1))
    for level in range(-1, num_overviews):  # -1: the file itself
        with rasterio.open(path, overview_level=level) as file:
            for _, window in file.block_windows(1):
                file.read(window=window)


def _profile(like: Raster, content: OutputFile) -> dict[str, Any]:
    """Creation options of the file that collects the rows."""
    source = like.source
    gcps, gcps_crs = source.gcps
    profile = {
        "driver": "GTiff",
        "width": like.width_px,
        "height": like.height_px,
        "count": len(content.band_names),
        "dtype": content.dtype,
        "nodata": content.nodata,
        "interleave": "band",
        "tiled": False,
        "blockysize": 1,
        "compress": "deflate",
        "zlevel": 1,
        "bigtiff": "if_safer",
    }
    if gcps:
        return profile | {"gcps": gcps, "crs": gcps_crs}
    if source.transform.is_identity:
        return profile | {"crs": source.crs}
    return profile | {"crs": source.crs, "transform": source.transform}


def _describe(target: DatasetWriter, content: OutputFile) -> None:
    for band, name in enumerate(content.band_names, start=1):
        target.set_band_description(band, name)
    target.update_tags(**content.tags)
    target.update_tags(1, **content.band_tags)
    if content.colors is not None:
        target.write_colormap(1, dict(content.colors))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns errors of the disk or of GDAL into a DataError that names the file."""
    try:
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(
            f"output must be writable, got: {reason} in {path}; free the disk or change --out"
        ) from None
