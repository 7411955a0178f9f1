"""Where tiles lie on the ground, how large they are, and how they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile
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

    GDAL itself says only on the terminal that a disk is full, and leaves a part of the file.

    Raises:
        OSError: If the folder cannot be written or the disk is full.
    """
    count, height, width = bands.shape
    with MemoryFile() as memory:
        with memory.open(
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
        path.write_bytes(memory.read())
