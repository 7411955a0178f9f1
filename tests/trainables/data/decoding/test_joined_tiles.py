"""Tiles that touch, read as one: as if somebody had cut nothing."""

import resource
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.decoding import tile_decoder
from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.positions import RandomPositions
from trainables.errors import DataError

SIDE = 16
PLACE = Affine.translation(500_000, 5_300_000) @ Affine.scale(0.5, -0.5)
ROWS, COLUMNS = 4, 6
SPLITS = {"train": (0, 1), "val": (2,), "test": (3,)}
"""Rows of chips of each split."""
YAML = """\
name: chips
bands: [red, green]
images: chips/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: ground, value: 0}, {name: house, value: 1}, {name: road, value: 2}]
ignore_values: [9]
join: true
splits: {train: [r0*, r1*], val: [r2*], test: [r3*]}
"""
POLYGONS = YAML.replace(
    "masks: masks/{tile}.tif",
    "labels: {file: houses.gpkg, class_field: kind, background: ground}",
).replace(
    "[{name: ground, value: 0}, {name: house, value: 1}, {name: road, value: 2}]\n"
    "ignore_values: [9]",
    "[{name: ground}, {name: house, values: [h]}, {name: road, values: [r]}]",
)


def write(file, bands, row=0, column=0, **options):
    file.parent.mkdir(exist_ok=True)
    count, height, width = bands.shape
    place = PLACE @ Affine.translation(column, row)
    with rasterio.open(
        file, "w", driver="GTiff", crs="EPSG:32632", transform=place, dtype=bands.dtype,
        count=count, height=height, width=width, **options,
    ) as target:  # fmt: skip
        target.write(bands)


@pytest.fixture
def scene():
    """Values of an area of 64 x 96 pixels, and their classes with shapes across all borders."""
    noise = np.random.default_rng(0)
    pixels = noise.integers(1, 200, (2, ROWS * SIDE, COLUMNS * SIDE)).astype(np.uint8)
    pixels[:, 20:40, 13:19] = 0  # nodata
    mask = np.zeros(pixels.shape[1:], np.uint8)
    for top in range(5, 64, 11):
        for left in range(3, 96, 13):
            mask[top : top + 7, left : left + 8] = 1
    mask[:, 30:34] = 2
    return pixels, mask


@pytest.fixture
def folder(tmp_path, scene):
    """Chips of it, and beside them the rows of chips of each split as one file."""
    pixels, mask = scene
    for row in range(ROWS):
        for column in range(COLUMNS):
            part = np.s_[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            corner = row * SIDE, column * SIDE
            name = f"r{row}c{column}.tif"
            write(tmp_path / "chips" / name, pixels[:, *part], *corner, nodata=0)
            write(tmp_path / "masks" / name, mask[part][None], *corner)
    for split, rows in SPLITS.items():
        part = np.s_[rows[0] * SIDE : (rows[-1] + 1) * SIDE]
        write(tmp_path / "whole" / f"{split}.tif", pixels[:, part], rows[0] * SIDE, nodata=0)
        write(tmp_path / "whole_masks" / f"{split}.tif", mask[part][None], rows[0] * SIDE)
    boxes, kinds = [], []
    for kind, value in (("h", 1), ("r", 2)):
        for shape, _ in rasterio.features.shapes(mask, mask == value, transform=PLACE):
            boxes.append(shapely.geometry.shape(shape))
            kinds.append(kind)
    frame = geopandas.GeoDataFrame({"kind": kinds}, geometry=boxes, crs=32632)
    frame.to_file(tmp_path / "houses.gpkg")
    (tmp_path / "dataset.yaml").write_text(YAML)
    return tmp_path


def read(folder, text, **options):
    (folder / "dataset.yaml").write_text(text)
    return read_dataset(load_dataset(folder), **options)


def uncut(text):
    return (
        text.replace("chips/", "whole/").replace("masks/", "whole_masks/")
        .replace("join: true\n", "")
        .replace("[r0*, r1*]", "[train]").replace("[r2*]", "[val]").replace("[r3*]", "[test]")
    )  # fmt: skip


@pytest.mark.parametrize("text", [YAML, POLYGONS])
@pytest.mark.parametrize("downsample", [1, 3])
@pytest.mark.parametrize("strip_px", [2**23, 96 * 5])
def test_joined_tiles_are_the_uncut_image(folder, monkeypatch, text, downsample, strip_px):
    """Also where blocks of a reduction and borders of classes lie across those of tiles."""
    expected = read(folder, uncut(text), downsample=downsample)
    monkeypatch.setattr(tile_decoder, "STRIP_PX", strip_px)
    found = read(folder, text, downsample=downsample)
    for split, of_split in expected.tiles.items():
        (one,), (joined,) = of_split, found.tiles[split]
        np.testing.assert_array_equal(joined.image, one.image)
        np.testing.assert_array_equal(joined.mask, one.mask)
        if split == "test":
            np.testing.assert_array_equal(joined.eroded_mask, one.eroded_mask)
        if one.shown is not None:
            np.testing.assert_array_equal(joined.shown, one.shown)
    assert found.tiles["train"].names == ("r0c0-joined-12",)
    assert found.notes[0] == (
        "images that touch are read as one tile (join: true), which counts once wherever tiles are "
        "counted: train 12 as 1, val 6 as 1, test 6 as 1"
    )


def test_windows_of_a_cut_image_without_a_place_are_joined_again(folder, scene):
    pixels, mask = scene
    for name, values in (("chips", pixels), ("masks", mask[None])):
        (folder / name).rename(folder / f"{name}_of_chips")
        (folder / name).mkdir()
        count, height, width = values.shape
        with rasterio.open(
            folder / name / "r.tif", "w", driver="GTiff", dtype="uint8", count=count,
            height=height, width=width, nodata=0 if name == "chips" else None,
        ) as target:  # fmt: skip
            target.write(values)
    text = YAML.replace("r0*, r1*", "r-r00*, r-r01*").replace("[r2*", "[r-r02*")
    text = text.replace("[r3*", "[r-r03*") + "cut: {tile_px: 16}\n"
    tiles = read(folder, text).tiles
    assert {split: of.names for split, of in tiles.items()} == {
        "train": ("r-r00-c00-joined-12",),
        "val": ("r-r02-c00-joined-6",),
        "test": ("r-r03-c00-joined-6",),
    }
    np.testing.assert_array_equal(tiles["train"].tile(0).image, pixels[:, :32])


def test_where_no_part_lies_nothing_is_shown_and_nothing_known(folder, scene):
    text = YAML.replace("[r0*, r1*]", "[r0c0, r0c1, r1c1, r0c4]")
    train = read(folder, text).tiles["train"]
    assert train.names == ("r0c0-joined-3", "r0c4")
    joined, single = train
    void = np.s_[SIDE:, :SIDE]
    assert (joined.mask[void] == IGNORE_INDEX).all()
    assert not joined.shown[void].any()
    assert not joined.image[:, void[0], void[1]].any()
    assert (single.mask != IGNORE_INDEX).all()
    np.testing.assert_array_equal(joined.mask[:SIDE], scene[1][:SIDE, : 2 * SIDE])


def test_patches_larger_than_a_tile_hold_what_lies_beside_it_in_its_split_alone(folder, scene):
    pixels, _ = scene
    tiles = read(folder, YAML).tiles["train"]
    unit = Unit(kind="block", size_px=SIDE)
    budget, annotated = draw_budget(tiles, fraction=0.25, seed=1, unit=unit, num_classes=3)
    assert {(row, column) for _, row, column in budget.units} <= {
        (row, column) for row in range(2) for column in range(COLUMNS)
    }, "blocks of the size of tiles are the tiles"
    positions = RandomPositions(tiles, annotated, patch_px=24, seed=1).annotated(0, 100)
    assert (positions[:, 1:].min(dim=0).values >= 0).all()
    ends = positions[:, 1:].max(dim=0).values + 24
    assert (ends.numpy() <= (2 * SIDE, COLUMNS * SIDE)).all()
    tile, top, left = positions[0].tolist()
    patch = tiles.tile(tile).image[:, top : top + 24, left : left + 24]
    np.testing.assert_array_equal(patch, pixels[:, top : top + 24, left : left + 24])


def test_labelled_and_unlabelled_tiles_are_not_one(folder):
    text = POLYGONS.replace("[r0*, r1*]", "[r0*]") + "unlabelled: chips/{tile}.tif\n"
    data = read(folder, text)
    assert data.tiles["train"].names == ("r0c0-joined-6", "r1c0-joined-6")
    assert data.unlabelled == {"r1c0-joined-6"}
    assert any(
        note.startswith("6 of 12 training images have no annotations") for note in data.notes
    )
    assert (data.tiles["train"].tile(1).mask == IGNORE_INDEX).all()


def test_where_parts_overlap_the_first_that_shows_anything_counts(folder, scene):
    pixels, mask = scene
    wide = np.full((2, SIDE, 2 * SIDE), 77, np.uint8)
    write(folder / "chips" / "r1c2.tif", wide, 0, 0, nodata=0)  # over r0c0 and r0c1
    write(folder / "masks" / "r1c2.tif", np.full((1, SIDE, 2 * SIDE), 9, np.uint8))
    hole = pixels[:, :SIDE, :SIDE].copy()
    hole[:, 3, 4] = 0
    write(folder / "chips" / "r0c0.tif", hole, 0, 0, nodata=0)
    text = YAML.replace("[r0*, r1*]", "[r0c0, r0c1, r1c2, r0c2, r0c3, r0c4, r0c5]")
    (tile,) = read(folder, text).tiles["train"]
    expected = pixels[:, :SIDE].copy()
    expected[:, 3, 4] = 77
    np.testing.assert_array_equal(tile.image, expected)
    classes = mask[:SIDE].copy()
    classes[3, 4] = IGNORE_INDEX  # of what is shown there nothing is known
    np.testing.assert_array_equal(tile.mask, classes)


def test_a_part_that_shows_nothing_gives_no_class_to_what_another_part_shows(folder, scene):
    """Masks often hold a class, not nodata, where the image beside them shows nothing."""
    pixels, mask = scene
    hole = pixels[:, :SIDE, :SIDE].copy()
    hole[:, 2:9, 4:12] = 0
    write(folder / "chips" / "r0c0.tif", hole, 0, 0, nodata=0)
    empty = mask[:SIDE, :SIDE].copy()
    empty[2:9, 4:12] = 2
    write(folder / "masks" / "r0c0.tif", empty[None], 0, 0)
    write(folder / "chips" / "r1c2.tif", pixels[:, :SIDE, : 2 * SIDE], 0, 0, nodata=0)
    write(folder / "masks" / "r1c2.tif", mask[None, :SIDE, : 2 * SIDE], 0, 0)
    text = YAML.replace("[r0*, r1*]", "[r0c0, r0c1, r1c2, r0c2, r0c3, r0c4, r0c5]")
    (tile,) = read(folder, text).tiles["train"]
    np.testing.assert_array_equal(tile.image, pixels[:, :SIDE])
    np.testing.assert_array_equal(tile.mask, mask[:SIDE])


def test_problems_of_all_parts_are_said_at_once_with_their_own_rows(folder, scene):
    mask = scene[1][SIDE : 2 * SIDE, :SIDE].copy()
    mask[7, 3] = 55
    write(folder / "masks" / "r1c0.tif", mask[None], SIDE, 0)
    broken = folder / "chips" / "r3c2.tif"
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(DataError) as raised:
        read(folder, YAML)
    number, *said = str(raised.value).splitlines()
    assert number == "2 problems:"
    of_image, of_mask = sorted(said)
    assert "r1c0.tif" in of_mask
    assert "row 7, column 3" in of_mask
    assert "r3c2.tif" in of_image


def test_no_joined_tile_has_the_name_of_another_tile(folder):
    """Lists, budgets and files of tiles go by their names."""
    for kind in ("chips", "masks"):
        (folder / kind / "r3c5.tif").rename(folder / kind / "r0c0-joined-12.tif")
    text = YAML.replace("[r0*, r1*]", "['r0c?', r1*]")
    (folder / "dataset.yaml").write_text(text.replace("[r3*]", "[r3*, r0c0-joined-12]"))
    tiles = read_dataset(load_dataset(folder)).tiles
    assert tiles["train"].names == ("r0c0-joined-12-2",)
    assert "r0c0-joined-12-2" not in (*tiles["val"].names, *tiles["test"].names)


def test_join_is_true_or_false(folder):
    with pytest.raises(DataError, match="join must be true or false, got 'yes' in"):
        read(folder, YAML.replace("join: true", "join: yes"))
    assert len(read(folder, YAML.replace("join: true", "join: false")).tiles["train"]) == 12


def test_more_parts_than_files_may_be_open(folder, scene, monkeypatch):
    """Thousands of chips of one mosaic would exceed what a process may hold."""
    monkeypatch.setattr(tile_decoder, "STRIP_PX", COLUMNS * SIDE * 5)
    text = YAML.replace("r0*, r1*", "r0*, r1*, 'r2c[0-4]'").replace("[r2*]", "[r2c5]")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    num_open = len([*Path("/proc/self/fd").iterdir()])
    resource.setrlimit(resource.RLIMIT_NOFILE, (num_open + 2 * COLUMNS + 2, limits[1]))
    try:
        tiles = read(folder, text, num_threads=1).tiles
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert tiles["train"].names == ("r0c0-joined-17",)
