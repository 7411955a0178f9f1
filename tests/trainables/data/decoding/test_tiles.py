"""Tiles decoded from tiny files of every supported kind, and from the Dubai imagery."""

import os
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from trainables.data.decoding import tile_decoder, tiles
from trainables.data.decoding.erosion import erode_borders
from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import IGNORE_INDEX, ClassSpec, DatasetSpec, TileFiles
from trainables.data.tilesets.tileset import Tile, tiles_checksum
from trainables.errors import DataError

LAND, WATER = (132, 41, 246), (226, 169, 41)
COLORS = np.array([LAND, WATER, (0, 0, 0)], dtype=np.uint8)
INDICES = np.array([[0, 1, 2], [1, 1, 0]])
EXPECTED = np.array([[0, 1, IGNORE_INDEX], [1, 1, 0]], dtype=np.uint8)
COLOR_CLASSES = (ClassSpec(name="land", color=LAND), ClassSpec(name="water", color=WATER))
INDEX_CLASSES = (
    ClassSpec(name="land", color=LAND, value=4),
    ClassSpec(name="water", color=WATER, value=300),
)


def write_raster(file: Path, bands: np.ndarray, **options) -> Path:
    """A GeoTIFF without georeference, bands (bands, H, W)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "w", driver="GTiff", **profile, **options) as target:
            target.write(bands)
    return file


def image_of(height: int = 2, width: int = 3, num_bands: int = 3) -> np.ndarray:
    return np.arange(num_bands * height * width, dtype=np.uint8).reshape(num_bands, height, width)


def color_bands(indices: np.ndarray = INDICES) -> np.ndarray:
    return np.moveaxis(COLORS[indices], -1, 0)


def spec_of(
    tiles: list[TileFiles], classes=COLOR_CLASSES, ignore_values=(), tolerance=0
) -> DatasetSpec:
    """A data set with the tiles for training; validation and test are sound and large."""
    is_index = classes[0].value is not None
    values = [one.value for one in classes] if is_index else [0, 1]
    others = {}
    for split in ("val", "test"):
        folder = tiles[0].mask.parent / split
        indices = np.arange(20 * 20).reshape(20, 20) // 7 % 2
        mask = np.array(values, np.uint16)[indices][None] if is_index else color_bands(indices)
        with rasterio.Env(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                with rasterio.open(tiles[0].image) as source:
                    dtype = source.dtypes[0]
            except rasterio.errors.RasterioIOError:
                dtype = "uint8"
        others[split] = TileFiles(
            name=split,
            image=write_raster(folder / "image.tif", image_of(20, 20).astype(dtype)),
            mask=write_raster(folder / "mask.tif", mask),
        )
    return DatasetSpec(
        name="tiny",
        bands=("red", "green", "blue"),
        classes=classes,
        ignore_colors=() if is_index else ((0, 0, 0),),
        ignore_values=ignore_values,
        mask_color_tolerance=tolerance,
        splits={
            "train": tuple(tiles),
            "val": (others["val"],),
            "test": (others["test"],),
        },
    )


def tile_of(folder: Path, mask: Path, image: np.ndarray | None = None, name="t") -> TileFiles:
    file = write_raster(folder / f"{name}_image.tif", image_of() if image is None else image)
    return TileFiles(name=name, image=file, mask=mask)


def read_one(spec: DatasetSpec, **options) -> Tile:
    (tile,) = read_dataset(spec, **options).tiles["train"]
    return tile


def error_of(spec: DatasetSpec, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_dataset(spec, **options)
    first, *others = str(caught.value).split("\n")
    assert all(one.startswith("  ") for one in others), "one a line, below their number"
    assert not others or first.endswith(" problems:")
    return str(caught.value)


def test_rgb_mask_image_and_flags(tmp_path):
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", color_bands()))
    tile = read_one(spec_of([files]))
    assert tile.name == "t"
    np.testing.assert_array_equal(tile.image, image_of())
    np.testing.assert_array_equal(tile.mask, EXPECTED)
    assert tile.eroded_mask is None
    for array in (tile.image, tile.mask):
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def test_rgba_mask_ignores_alpha(tmp_path):
    alpha = np.full((1, 2, 3), 7, dtype=np.uint8)
    mask = write_raster(tmp_path / "m.tif", np.concatenate([color_bands(), alpha]))
    np.testing.assert_array_equal(read_one(spec_of([tile_of(tmp_path, mask)])).mask, EXPECTED)


def test_palette_mask_is_expanded(tmp_path):
    # Palette indices differ from class indices on purpose: 0 is water.
    picture = Image.fromarray(np.array([1, 0, 5], dtype=np.uint8)[INDICES], mode="P")
    picture.putpalette([*WATER, *LAND, *([9] * 9), 0, 0, 0])
    picture.save(tmp_path / "m.png")
    files = tile_of(tmp_path, tmp_path / "m.png")
    np.testing.assert_array_equal(read_one(spec_of([files])).mask, EXPECTED)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_index_mask(tmp_path, dtype):
    values = np.array([4, 300, 9], dtype=dtype)[INDICES]
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", values[None]))
    tile = read_one(spec_of([files], INDEX_CLASSES, ignore_values=(9,)))
    np.testing.assert_array_equal(tile.mask, EXPECTED)


def test_index_mask_with_a_display_palette_is_read_by_value(tmp_path):
    picture = Image.fromarray(np.array([0, 1, 2], dtype=np.uint8)[INDICES], mode="P")
    picture.putpalette([*WATER, *LAND, 0, 0, 0])
    picture.save(tmp_path / "m.png")
    classes = tuple(
        ClassSpec(name=c.name, color=c.color, value=i) for i, c in enumerate(INDEX_CLASSES)
    )
    spec = spec_of([tile_of(tmp_path, tmp_path / "m.png")], classes, ignore_values=(2,))
    np.testing.assert_array_equal(read_one(spec).mask, EXPECTED)


def with_test_tile(spec: DatasetSpec, files: TileFiles) -> DatasetSpec:
    return replace(spec, splits={**spec.splits, "test": (files,)})


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_eroded_mask_and_alpha_of_the_image(tmp_path):
    alpha = np.full((1, 2, 3), 255, dtype=np.uint8)
    alpha[0, 1, 0] = 0
    image = write_raster(
        tmp_path / "i.tif", np.concatenate([image_of(), alpha]), photometric="RGB", alpha="YES"
    )
    with rasterio.open(image) as source:
        assert source.colorinterp[3] == ColorInterp.alpha
    mask = write_raster(tmp_path / "m.tif", color_bands())
    eroded = write_raster(tmp_path / "e.tif", color_bands(np.where(INDICES == 1, 2, INDICES)))
    files = TileFiles(name="x", image=image, mask=mask, eroded_mask=eroded)
    decoded = read_dataset(with_test_tile(spec_of([tile_of(tmp_path, mask)]), files))
    assert decoded.eroded_from == "files"
    (tile,) = decoded.tiles["test"]
    shown = alpha[0] != 0
    np.testing.assert_array_equal(tile.image, image_of() * shown)
    np.testing.assert_array_equal(tile.shown, shown)
    np.testing.assert_array_equal(tile.mask, [[0, 1, 255], [255, 1, 0]])
    np.testing.assert_array_equal(tile.eroded_mask, [[0, 255, 255], [255, 255, 0]])
    assert decoded.tiles["train"].eroded_masks is None


def test_an_eroded_reference_is_derived_strip_by_strip(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    indices = np.kron(rng.integers(0, 3, (9, 6)), np.ones((9, 9), dtype=int))
    mask = write_raster(tmp_path / "m.tif", color_bands(indices))
    files = tile_of(tmp_path, mask, image_of(81, 54), "x")
    small = tile_of(tmp_path, write_raster(tmp_path / "s.tif", color_bands()))
    expected = erode_borders(np.where(indices == 2, 255, indices).astype(np.uint8))
    assert (expected == 255).sum() > (indices == 2).sum()
    for strip_px in (54 * 4, 2**20):
        monkeypatch.setattr(tile_decoder, "STRIP_PX", strip_px)
        decoded = read_dataset(with_test_tile(spec_of([small]), files))
        assert decoded.eroded_from == "full reference"
        (tile,) = decoded.tiles["test"]
        np.testing.assert_array_equal(tile.eroded_mask, expected)


def test_strips_count_an_unknown_colour_once_and_where_it_is(tmp_path, monkeypatch):
    bands = color_bands(np.arange(30 * 8).reshape(30, 8) // 7 % 2)
    bands[:, 13, 5] = bands[:, 14, 0] = (1, 2, 3)
    mask = write_raster(tmp_path / "m.tif", bands)
    small = tile_of(tmp_path, write_raster(tmp_path / "s.tif", color_bands()))
    monkeypatch.setattr(tile_decoder, "STRIP_PX", 8 * 2)
    files = tile_of(tmp_path, mask, image_of(30, 8), "x")
    message = error_of(with_test_tile(spec_of([small]), files))
    assert "got #010203 (2 px, first at row 13, column 5) in" in message


def test_more_than_the_memory_granted_is_mapped_and_the_same(tmp_path):
    mask = write_raster(tmp_path / "m.tif", color_bands())
    spec = spec_of([tile_of(tmp_path, mask)])
    inside = read_dataset(spec, folder=tmp_path / "unused").tiles
    mapped = read_dataset(spec, memory_mib=1e-4, folder=tmp_path / "tiles").tiles
    assert not (tmp_path / "unused").exists()
    for split in ("train", "val", "test"):
        assert mapped[split].folder == tmp_path / "tiles" / split
        assert mapped[split].checksum == inside[split].checksum


def test_more_than_the_disk_holds_was_said_after_hours_of_decoding(tmp_path, monkeypatch):
    """Each split was compared with what was free by itself, when its turn had come."""
    mask = write_raster(tmp_path / "m.tif", color_bands())
    spec = spec_of([tile_of(tmp_path, mask)])
    needed = 6 * 4 + 400 * 4 + 400 * 5  # three bands, mask and, of the test tile, eroded mask
    usage = shutil.disk_usage(tmp_path)
    folder = tmp_path / "out" / "tiles"
    monkeypatch.setattr(tiles, "TileDecoder", None)  # nothing is decoded
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=needed - 1))
    with pytest.raises(DataError) as caught:
        read_dataset(spec, memory_mib=1e-4, folder=folder)
    message = str(caught.value)
    assert "tiles of all splits must fit on the disk, got 1 MiB for 0 MiB free" in message
    assert f"free in {tmp_path}; free space, choose another --output" in message
    assert not folder.parent.exists()
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=needed))
    read_dataset(spec, memory_mib=1e-4, folder=folder)


def test_nodata_is_hidden_ignored_and_left_out_of_block_means(tmp_path):
    values = np.full((3, 4, 4), 10.0, dtype=np.float32)
    values[:, 0, 0] = -9999.0
    values[1, 1, 1] = np.nan  # the middle of the first block
    values[:, 2:, 2:] = -9999.0
    image = write_raster(tmp_path / "f.tif", values, nodata=-9999.0)
    mask = write_raster(tmp_path / "m.tif", color_bands(np.arange(16).reshape(4, 4) // 2 % 2))
    files = TileFiles(name="t", image=image, mask=mask)
    (tile,) = read_dataset(spec_of([files])).tiles["train"]
    assert not tile.shown[0, 0]
    assert not tile.shown[1, 1]
    assert tile.mask[1, 1] == tile.mask[3, 3] == IGNORE_INDEX
    assert tile.image[:, 1, 1].tolist() == [0, 0, 0]
    (reduced,) = read_dataset(spec_of([files]), downsample=2).tiles["train"]
    np.testing.assert_array_equal(reduced.shown, [[True, True], [True, False]])
    np.testing.assert_array_equal(reduced.image[0], [[10, 10], [10, 0]])
    np.testing.assert_array_equal(reduced.mask, [[255, 1], [0, 255]])


def test_a_class_in_no_training_tile_is_refused(tmp_path):
    mask = write_raster(tmp_path / "m.tif", color_bands(np.zeros((2, 3), dtype=int)))
    message = error_of(spec_of([tile_of(tmp_path, mask)]))
    assert "classes must occur in the training tiles, got none of water in 1 tiles" in message


def test_downsample_by_hand(tmp_path):
    # 5 x 5 px, d = 2: two blocks each way, the last row and column drop.
    band = np.zeros((5, 5), dtype=np.uint8)
    band[0:2, 0:2] = [[1, 2], [3, 4]]  # 2.5 -> 3
    band[0:2, 2:4] = [[1, 1], [1, 2]]  # 1.25 -> 1
    band[2:4, 0:2] = 255
    band[2:4, 2:4] = [[0, 0], [0, 3]]  # 0.75 -> 1
    indices = np.zeros((5, 5), dtype=int)
    indices[1, 1], indices[1, 3], indices[3, 1] = 1, 2, 1
    mask = write_raster(tmp_path / "m.tif", color_bands(indices))
    files = tile_of(tmp_path, mask, np.stack([band, band, 2 * (band // 2)]))
    tile = read_one(spec_of([files]), downsample=2)
    np.testing.assert_array_equal(tile.image[0], [[3, 1], [255, 1]])
    np.testing.assert_array_equal(tile.image[2], [[2, 1], [254, 1]])
    np.testing.assert_array_equal(tile.mask, [[1, 255], [1, 0]])
    assert tile.mask.flags.c_contiguous
    assert not tile.image.flags.writeable


@pytest.mark.parametrize("size_px", [1, 3, 4])
def test_downsample_against_plain_loops(tmp_path, size_px):
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (3, 13, 10), dtype=np.uint8)
    indices = rng.integers(0, 3, (13, 10))
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", color_bands(indices)), image)
    tile = read_one(spec_of([files]), downsample=size_px)
    rows, columns = 13 // size_px, 10 // size_px
    assert tile.image.shape == (3, rows, columns)
    for r in range(rows):
        for c in range(columns):
            top, left = r * size_px, c * size_px
            block = image[:, top : top + size_px, left : left + size_px].astype(float)
            expected = np.floor(block.mean(axis=(1, 2)) + 0.5)
            np.testing.assert_array_equal(tile.image[:, r, c], expected)
            index = indices[top + size_px // 2, left + size_px // 2]
            assert tile.mask[r, c] == (IGNORE_INDEX if index == 2 else index)


def test_unknown_colour_is_named_counted_and_located(tmp_path):
    bands = color_bands()
    bands[:, 0, 2] = bands[:, 1, 1] = (1, 2, 255)
    mask = write_raster(tmp_path / "m.tif", bands)
    message = error_of(spec_of([tile_of(tmp_path, mask)]))
    assert "got #0102FF (2 px, first at row 0, column 2) in" in message
    assert str(mask) in message
    assert "add to classes or ignore_colors" in message


def test_many_unknown_values_are_shortened(tmp_path):
    values = np.array([[4, 300, 10], [12, 11, 11]], dtype=np.uint16)
    message = error_of(
        spec_of([tile_of(tmp_path, write_raster(tmp_path / "m.tif", values[None]))], INDEX_CLASSES)
    )
    assert "got 11 (2 px, first at row 1, column 1), 10 (1 px, first at row 0" in message
    values[0] = [5, 6, 7]
    message = error_of(
        spec_of([tile_of(tmp_path, write_raster(tmp_path / "m.tif", values[None]))], INDEX_CLASSES)
    )
    assert " and 2 more in " in message


def test_impure_colours_within_the_tolerance(tmp_path):
    bands = color_bands()
    bands[:, 0, 0] = np.array(LAND) - (30, -30, 5)
    bands[:, 1, 0] = np.array(WATER) - (0, 3, 0)
    bands[:, 0, 2] = (9, 30, 2)
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", bands))
    np.testing.assert_array_equal(read_one(spec_of([files], tolerance=30)).mask, EXPECTED)
    message = error_of(spec_of([files], tolerance=29))
    assert "#091E02 (1 px, first at row 0, column 2)" in message
    assert "and" not in message.split("got")[1].split(" in ")[0]


def test_potsdam_references_with_impure_colours_are_not_refused_or_lost(tmp_path):
    # As distributed: 6_7 has cars in (252, 255, 0), 4_12 was compressed with loss.
    impure = np.array(
        [
            [(252, 255, 0), (9, 222, 221), (225, 227, 227), (0, 0, 0)],
            [(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 0, 0)],
        ],
        dtype=np.uint8,
    )
    for name in ("6_7", "2_12", "2_13"):
        write_raster(tmp_path / f"top_potsdam_{name}_RGB.tif", image_of(2, 4))
        mask = np.moveaxis(impure, -1, 0)
        write_raster(tmp_path / f"top_potsdam_{name}_label.tif", mask)
    spec = load_dataset(tmp_path)
    np.testing.assert_array_equal(
        read_one(spec).mask, [[4, 2, 0, IGNORE_INDEX], [1, 3, 5, IGNORE_INDEX]]
    )
    mask[:, 0, 1] = (120, 255, 255)
    write_raster(tmp_path / "top_potsdam_6_7_label.tif", mask)
    assert "got #78FFFF (1 px, first at row 0, column 1)" in error_of(spec)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (
            image_of().astype(np.complex64),
            "image must hold whole or real numbers, got complex64 in",
        ),
        (image_of(num_bands=1), "image must have the 3 bands red, green, blue, got 1 in"),
        (image_of(num_bands=5), "got 5 in"),
        (image_of(width=4), "mask must have the size of its image, got 3 x 2 px for 4 x 2 px in"),
    ],
)
def test_image_mistakes(tmp_path, image, expected):
    mask = write_raster(tmp_path / "m.tif", color_bands())
    assert expected in error_of(spec_of([tile_of(tmp_path, mask, image)]))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_fourth_band_that_is_not_alpha_is_refused(tmp_path):
    image = write_raster(tmp_path / "i.tif", image_of(num_bands=4), photometric="MINISBLACK")
    with rasterio.open(image, "r+") as target:
        target.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * 3
    mask = write_raster(tmp_path / "m.tif", color_bands())
    assert "got 4 in" in error_of(spec_of([TileFiles(name="t", image=image, mask=mask)]))


def test_mask_of_the_other_kind_is_refused(tmp_path):
    values = write_raster(tmp_path / "v.tif", INDICES[None].astype(np.uint8))
    colors = write_raster(tmp_path / "c.tif", color_bands())
    message = error_of(spec_of([tile_of(tmp_path, values)]))
    assert "mask colours must be of a class or of ignore_colors, got #010101" in message
    assert "for index masks give classes a value" in message
    message = error_of(spec_of([tile_of(tmp_path, colors)], INDEX_CLASSES))
    assert "must be 1 band of whole numbers, or several equal ones, got 132, 41, 246 at" in message
    assert "for colour masks give each a color only" in message


def test_problems_of_all_tiles_and_files_come_together(tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no raster")
    masks = [write_raster(tmp_path / f"m{i}.tif", color_bands() + np.uint8(1)) for i in range(12)]
    files = [TileFiles(name=f"t{i}", image=broken, mask=mask) for i, mask in enumerate(masks)]
    message = error_of(spec_of(files))
    assert message.count("file must be a readable raster") == 12
    assert message.count("mask colours must be") == 8
    first, *lines, last = message.split("\n")
    assert (first, last) == ("24 problems:", "  and 4 more")
    assert len(lines) == 20, "one a line: twenty in one line were read by nobody"
    assert all(line.startswith(("  file must", "  mask colours")) for line in lines)


def test_tile_smaller_than_a_block(tmp_path):
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", color_bands()))
    assert "at most the size of a tile, got 3 for 3 x 2 px in" in error_of(
        spec_of([files]), downsample=3
    )


@pytest.mark.parametrize("options", [{"downsample": 0}, {"num_threads": 0}])
def test_arguments_out_of_range(tmp_path, options):
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", color_bands()))
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        read_dataset(spec_of([files]), **options)


def test_no_warning_about_georeference(tmp_path):
    files = tile_of(tmp_path, write_raster(tmp_path / "m.tif", color_bands()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_dataset(spec_of([files]))


def test_order_and_number_of_threads_change_nothing(tmp_path):
    mask = write_raster(tmp_path / "m.tif", color_bands())
    spec = spec_of([tile_of(tmp_path, mask, image_of() + np.uint8(i), f"t{i}") for i in range(5)])
    tiles = read_dataset(spec, num_threads=3).tiles["train"]
    assert [tile.name for tile in tiles] == [f"t{i}" for i in range(5)]
    checksum = tiles_checksum(read_dataset(spec, num_threads=1).tiles["train"])
    assert tiles_checksum(tiles) == checksum
    assert tiles_checksum(reversed(list(tiles))) == checksum
    assert tiles_checksum(pickle.loads(pickle.dumps(tiles))) == checksum  # noqa: S301


def test_checksum_depends_on_content():
    def checksum(name="a", image=0, mask=0, shape=(2, 3), eroded=None):
        return tiles_checksum(
            [
                Tile(
                    name=name,
                    image=np.full((3, *shape), image, dtype=np.uint8),
                    mask=np.full(shape, mask, dtype=np.uint8),
                    eroded_mask=None if eroded is None else np.full(shape, eroded, dtype=np.uint8),
                )
            ]
        )

    checksums = {
        checksum(),
        checksum(name="b"),
        checksum(image=1),
        checksum(mask=1),
        checksum(shape=(3, 2)),
        checksum(eroded=0),
        checksum(eroded=1),
        tiles_checksum([]),
    }
    assert len(checksums) == 8
    assert all(len(c) == 64 for c in checksums)
    assert checksum() == checksum()


@pytest.fixture(scope="module")
def dubai() -> Path:
    repository = Path(__file__).parents[4]
    default = repository.parent / "shared/data/dubai"
    folder = Path(os.environ.get("UREC_STUDY_DATA", default))
    if not (folder / "dataset.yaml").is_file():
        pytest.skip(f"no Dubai imagery in {folder}; set UREC_STUDY_DATA to its folder")
    return folder


@pytest.mark.parametrize("name", ["dataset.yaml", "dataset-within-area.yaml"])
def test_dubai_splits(dubai, name):
    spec = load_dataset(dubai / name)
    sizes = {split: len(tiles) for split, tiles in spec.splits.items()}
    assert sizes in ({"train": 45, "val": 18, "test": 9}, {"train": 40, "val": 8, "test": 24})


def test_dubai_palette_mask_counts_equal_pillow(dubai):
    spec = load_dataset(dubai)
    files = next(t for t in spec.splits["train"] if t.name == "tile2_part001")
    few = tuple(t for t in spec.splits["train"] if t.name.endswith("part001"))
    splits = {split: (tiles[0],) for split, tiles in spec.splits.items()} | {"train": few}
    train = read_dataset(replace(spec, splits=splits)).tiles["train"]
    tile = train.tile(train.names.index(files.name))
    with Image.open(files.mask) as picture:
        assert picture.mode == "P"
        counts = {color: count for count, color in picture.convert("RGB").getcolors()}
    assert sum(counts.values()) == tile.mask.size
    for index, of_class in enumerate(spec.classes):
        assert np.count_nonzero(tile.mask == index) == counts.get(of_class.color, 0)
    assert np.count_nonzero(tile.mask == IGNORE_INDEX) == counts.get((0, 0, 0), 0)


def test_dubai_reads_quarter_size(dubai):
    spec = load_dataset(dubai)
    one = {split: files[:1] for split, files in spec.splits.items()}
    spec = replace(spec, splits=one | {"val": spec.splits["val"]})
    tiles = read_dataset(spec, downsample=4).tiles["val"]
    assert len(tiles) == 18
    assert {tile.image.shape[1:] == tile.mask.shape for tile in tiles} == {True}
    assert all(set(np.unique(tile.mask)) <= {0, 1, 2, 3, 4, 5, IGNORE_INDEX} for tile in tiles)


def test_sixteen_bands_of_uint16(tmp_path):
    bands = np.arange(16 * 6, dtype=np.uint16).reshape(16, 2, 3) * 600
    mask = write_raster(tmp_path / "m.tif", color_bands())
    tile_files = [
        TileFiles(name=name, image=write_raster(tmp_path / f"{name}.tif", bands), mask=mask)
        for name in ("a", "b", "c")
    ]
    spec = DatasetSpec(
        name="many",
        bands=tuple(f"b{i}" for i in range(16)),
        classes=COLOR_CLASSES,
        ignore_colors=((0, 0, 0),),
        splits={
            split: (files,)
            for split, files in zip(("train", "val", "test"), tile_files, strict=True)
        },
    )
    (tile,) = read_dataset(spec).tiles["train"]
    np.testing.assert_array_equal(tile.image, bands)
    assert tile.image.dtype == np.uint16


def test_placeholders_that_no_file_calls_nodata_are_told_of(tmp_path):
    """They would be learnt as values, and squeeze all others when bands are scaled."""
    image = image_of(20, 20).astype(np.float32)
    image[1, :5] = -9999
    image[2, 0, :3] = np.float32(-3.4028235e38)
    mask = write_raster(tmp_path / "m.tif", color_bands(np.arange(400).reshape(20, 20) % 2))
    files = tile_of(tmp_path, mask, image)
    spec = spec_of([files])
    low, high = read_dataset(spec).notes
    assert low.startswith(f"band green holds -9999 in 100 pixels, first in {files.image}, and")
    assert low.endswith("add nodata: -9999 to dataset.yaml")
    assert high.startswith("band blue holds -3.402823466e+38 in 3 pixels")
    decoded = read_dataset(replace(spec, nodata=(None, -9999.0, -3.402823466e38)))
    assert decoded.notes == ()
    tile = decoded.tiles["train"].tile(0)
    assert np.array_equal(~tile.shown, (image == -9999).any(axis=0) | (image < -1e38).any(axis=0))
    assert (tile.mask[~tile.shown] == IGNORE_INDEX).all()


@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (0, np.uint8), (65535, np.uint16)])
def test_the_white_or_black_edge_of_a_flight_that_no_file_calls_nodata_is_told_of(
    tmp_path, value, dtype
):
    """It would be learnt as imagery: a reconstruction of white paper is easy."""
    image = np.full((3, 20, 20), 7, dtype)
    image[:, :6] = value
    image[:2, 6:] = value  # not in all bands, so a colour
    mask = write_raster(tmp_path / "m.tif", color_bands(np.arange(400).reshape(20, 20) % 2))
    files = tile_of(tmp_path, mask, image)
    few = image_of(20, 20).astype(dtype) % 200 + 1
    few[:, 0, :20] = value  # 5 % of a tile may be a roof in the sun
    other = tile_of(tmp_path, mask, few, "few")
    spec = spec_of([files, other])
    for downsample in (1, 3):
        (note,) = read_dataset(spec, downsample=downsample).notes
        assert note.startswith(f"{value} in all bands fills more than 5% of 1 of 4 images (most")
        assert f"in {files.image}: 30%)" in note
    decoded = read_dataset(replace(spec, nodata=(float(value),) * 3))
    assert decoded.notes == ()
    assert not decoded.tiles["train"].tile(0).shown[:6].any()


def test_a_class_that_masks_call_nodata_is_told_of_once(tmp_path):
    values = np.arange(400, dtype=np.uint8).reshape(20, 20) % 2
    masks = [write_raster(tmp_path / f"m{i}.tif", values[None], nodata=0) for i in range(2)]
    classes = tuple(
        ClassSpec(name=one.name, color=one.color, value=i) for i, one in enumerate(INDEX_CLASSES)
    )
    files = [tile_of(tmp_path, mask, image_of(20, 20), f"t{i}") for i, mask in enumerate(masks)]
    decoded = read_dataset(spec_of(files, classes))
    (note,) = decoded.notes
    assert note.startswith(
        f"masks of 2 tiles call nodata what dataset.yaml calls land, first {masks[0]}: those"
    )
    assert np.array_equal(decoded.tiles["train"].tile(0).mask, values)


def test_a_mask_of_its_own_hides_before_the_reference_is_eroded(tmp_path):
    """Nothing is eroded along what is unknown."""
    values = np.zeros((20, 20), np.uint8)
    values[:, 10:] = 1
    file = write_raster(tmp_path / "m.tif", values[None])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "r+") as target:
            target.write_mask(np.arange(20)[None, :].repeat(20, 0) < 10)
    classes = tuple(
        ClassSpec(name=one.name, color=one.color, value=i) for i, one in enumerate(INDEX_CLASSES)
    )
    train = tile_of(tmp_path, write_raster(tmp_path / "n.tif", values[None]), image_of(20, 20))
    test = TileFiles(name="u", image=train.image, mask=file)
    spec = with_test_tile(spec_of([train], classes), test)
    spec = replace(spec, splits={**spec.splits, "test": (replace(test, image=tmp_path / "v.tif"),)})
    write_raster(tmp_path / "v.tif", image_of(20, 20))
    tile = read_dataset(spec).tiles["test"].tile(0)
    expected = np.where(np.arange(20) < 10, values, IGNORE_INDEX)
    assert np.array_equal(tile.mask, expected)
    assert np.array_equal(tile.eroded_mask, expected)
