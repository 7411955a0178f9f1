"""How long an orthomosaic and polygons take until a study could begin, and how much memory.

`python benchmarks/orthomosaic.py [--side 12000] [--polygons 5000]` writes an image of 8-bit RGB and
a GeoPackage into a temporary folder, cuts it into tiles of 1,024 pixels in three splits, burns the
polygons and decodes everything. Prints seconds, and the memory beside that of the tiles.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window

from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset

_SIZE_M = 0.1
_YAML = """\
name: orthomosaic
bands: [red, green, blue]
images: "{tile}.tif"
cut: {tile_px: 1024}
labels: {file: buildings.gpkg, background: ground}
classes: [{name: ground}, {name: building}]
splits: {train: 0.6, val: 0.1, test: 0.3}
"""


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=12_000, help="pixels")
    parser.add_argument("--polygons", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, options.side, options.polygons)
        before_mib = _peak_mib()
        start = time.perf_counter()
        spec = load_dataset(folder)
        split_s = time.perf_counter() - start
        data = read_dataset(spec)
        total_s = time.perf_counter() - start
    tiles_mib = sum(
        array.nbytes
        for tiles in data.tiles.values()
        for array in (tiles.images, tiles.masks, tiles.eroded_masks, tiles.shown)
        if array is not None
    ) / 2**20  # fmt: skip
    num_tiles = sum(len(tiles) for tiles in data.tiles.values())
    print(
        f"{options.side} x {options.side} px, {options.polygons} polygons: {num_tiles} tiles cut "
        f"and split in {split_s:.1f} s, read and burnt in {total_s - split_s:.1f} s, "
        f"{tiles_mib:.0f} MiB of tiles, at most {_peak_mib() - before_mib - tiles_mib:.0f} MiB "
        "beside them"
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write(folder: Path, side: int, num_polygons: int) -> None:
    """An image as programs export it, tiled and compressed, and buildings all over it."""
    generator = np.random.default_rng(0)
    place = Affine.translation(500_000, 5_300_000) @ Affine.scale(_SIZE_M, -_SIZE_M)
    with rasterio.open(
        folder / "ortho.tif", "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8",
        crs="EPSG:32632", transform=place, tiled=True, compress="deflate", zlevel=1,
    ) as target:  # fmt: skip
        for top in range(0, side, 512):
            rows = min(512, side - top)
            pixels = generator.integers(0, 64, (3, rows, side), dtype=np.uint8)
            target.write(pixels, window=Window(0, top, side, rows))
    corners = generator.uniform(0, side * _SIZE_M, (num_polygons, 2))
    boxes = [
        shapely.affinity.rotate(
            shapely.box(500_000 + x, 5_300_000 - y - 9, 500_000 + x + 12, 5_300_000 - y), turn
        )
        for (x, y), turn in zip(corners, generator.uniform(0, 90, num_polygons), strict=True)
    ]
    frame = geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32632").to_crs(4326)
    frame.to_file(folder / "buildings.gpkg")
    (folder / "dataset.yaml").write_text(_YAML)


if __name__ == "__main__":
    main()
