"""Where tiles lie on the ground, how large they are, and how they are written."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from trainables.data.scenes.canvas.layout import GSD_M


def tile_shape(area: int, size_px: int) -> tuple[int, int]:
    """(rows, columns) of a tile: size_px plus or minus up to 1/16, by area number."""
    step = size_px // 32
    return size_px + (area * 7 % 5 - 2) * step, size_px + (area * 11 % 5 - 2) * step


def tile_transform(area: int, size_px: int) -> Affine:
    """Tiles lie side by side on a grid of six columns, near Vaihingen an der Enz."""
    pitch = np.ceil(size_px * 17 / 16 * GSD_M) + 20.0
    east = 496_900.0 + (area % 6) * pitch
    north = 5_420_200.0 - (area // 6) * pitch
    return Affine(GSD_M, 0.0, east, 0.0, -GSD_M, north)


def write_geotiff(path: Path, bands: NDArray[np.uint8], transform: Affine) -> None:
    """Writes bands (C, H, W) as a compressed GeoTIFF.

    Raises:
        OSError: If the folder cannot be written or the disk is full.
    """
    count, height, width = bands.shape
    try:
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype="uint8",
            crs="EPSG:32632",
            transform=transform,
            compress="deflate",
            zlevel=1,
            photometric="RGB",
        ) as file:
            file.write(bands)
    except RasterioError as error:
        # That the disk is full GDAL says on the terminal alone.
        if shutil.disk_usage(path.parent).free < bands.nbytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        raise OSError(f"cannot write {path}: {error}") from None
