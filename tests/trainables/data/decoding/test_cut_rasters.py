"""One large raster, with a mask or polygons, as tiles that are windows of it."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.errors import DataError

HEIGHT, WIDTH, SIDE = 80, 120, 20
PLACE = Affine.translation(500_000, 5_300_000) @ Affine.scale(0.5, -0.5)
YAML = """\
name: flight
bands: [grey]
images: "{tile}.tif"
masks: masks/{tile}.png
cut: {tile_px: 20}
classes: [{name: ground, value: 0}, {name: house, value: 1}]
splits: {train: 0.5, val: 0.25, test: 0.25}
"""
POLYGONS = YAML.replace(
    "masks: masks/{tile}.png", "labels: {file: houses.gpkg, background: ground}"
).replace("{name: ground, value: 0}, {name: house, value: 1}", "{name: ground}, {name: house}")


@pytest.fixture
def flight(tmp_path):
    """An image of 80 x 120 pixels, its mask, and the same as polygons."""
    noise = np.random.default_rng(0)
    pixels = noise.integers(1, 255, (HEIGHT, WIDTH)).astype(np.uint8)
    pixels[:3, :3] = 0
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5::10, :] = 1
    profile = {"width": WIDTH, "height": HEIGHT, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "ortho.tif", "w", driver="GTiff", crs="EPSG:32632", transform=PLACE,
        nodata=0, **profile,
    ) as target:  # fmt: skip
        target.write(pixels, 1)
    (tmp_path / "masks").mkdir()
    with rasterio.open(tmp_path / "masks" / "ortho.png", "w", driver="PNG", **profile) as target:
        target.write(mask, 1)
    lines = [
        shapely.box(500_000, 5_300_000 - (row + 1) / 2, 500_000 + WIDTH / 2, 5_300_000 - row / 2)
        for row in range(5, HEIGHT, 10)
    ]
    geopandas.GeoDataFrame(geometry=lines, crs=32632).to_file(tmp_path / "houses.gpkg")
    (tmp_path / "dataset.yaml").write_text(YAML)
    return tmp_path, pixels, mask


def whole(data):
    """Image and mask put together from the tiles of all splits, and which pixels are shown."""
    image, mask, shown = (np.zeros((HEIGHT, WIDTH), int) for _ in range(3))
    for tiles in data.tiles.values():
        for index, name in enumerate(tiles.names):
            tile = tiles.tile(index)
            row, column = (int(part[1:]) for part in name.split("-")[1:])
            place = np.s_[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            image[place], mask[place] = tile.image[0], tile.mask
            shown[place] = 1 if tile.shown is None else tile.shown
    return image, mask, shown


@pytest.mark.parametrize("text", [YAML, POLYGONS])
def test_the_tiles_put_together_are_the_raster(flight, text):
    folder, pixels, mask = flight
    (folder / "dataset.yaml").write_text(text)
    spec = load_dataset(folder)
    assert {split: len(tiles) for split, tiles in spec.splits.items()} == {
        "train": 12, "val": 6, "test": 6,
    }  # fmt: skip
    data = read_dataset(spec)
    image, labels, shown = whole(data)
    np.testing.assert_array_equal(image, pixels)
    assert (shown[:3, :3] == 0).all()
    assert shown.sum() == HEIGHT * WIDTH - 9
    np.testing.assert_array_equal(labels[shown == 1], mask[shown == 1])


def test_windows_are_named_in_splits_as_tiles_are(flight):
    folder, _, _ = flight
    named = "{train: ['ortho-r0[01]-*'], val: [ortho-r02-c00], test: [ortho-r03-*]}"
    text = YAML.replace("{train: 0.5, val: 0.25, test: 0.25}", named)
    (folder / "dataset.yaml").write_text(text)
    spec = load_dataset(folder)
    assert [len(tiles) for tiles in spec.splits.values()] == [12, 1, 6]
    assert len(read_dataset(spec).tiles["train"]) == 12


def test_a_mask_of_another_size_is_one_line(flight):
    folder, _, _ = flight
    with rasterio.open(
        folder / "masks" / "ortho.png", "w", driver="PNG", width=60, height=40, count=1,
        dtype="uint8",
    ) as target:  # fmt: skip
        target.write(np.zeros((1, 40, 60), np.uint8))
    with pytest.raises(DataError, match="raster must have the size of its image, which is cut"):
        read_dataset(load_dataset(folder))


@pytest.mark.parametrize(
    ("given", "said"),
    [("1024", "cut must be .tile_px: n., got '1024'"), ("{tile_px: 0}", "must be 1 or more, got 0"),
     ("{tile_px: x}", "tile_px must be a whole number"), ("{px: 3}", "cut must be .tile_px: n.")],
)  # fmt: skip
def test_what_is_no_cut_is_one_line(flight, given, said):
    folder, _, _ = flight
    (folder / "dataset.yaml").write_text(YAML.replace("{tile_px: 20}", given))
    with pytest.raises(DataError, match=said):
        load_dataset(folder)
