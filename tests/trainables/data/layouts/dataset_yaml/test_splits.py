"""Splits by shares, by a table and by polygons; names and globs are tested with the layouts."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from trainables.data.layouts.dataset import load_dataset
from trainables.errors import DataError

YAML = """\
name: tiny
bands: [red]
images: images/{tile}.tif
masks: masks/{tile}.png
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: SPLITS
"""


def write(folder, splits, table=None):
    for kind, suffix in (("images", "tif"), ("masks", "png")):
        (folder / kind).mkdir(exist_ok=True)
        for number in range(10):
            (folder / kind / f"t{number}.{suffix}").touch()
    (folder / "dataset.yaml").write_text(YAML.replace("SPLITS", splits))
    if table is not None:
        (folder / "splits.csv").write_text(table)
    return folder


def names_of(spec):
    return {split: [tile.name for tile in tiles] for split, tiles in spec.splits.items()}


def test_shares_use_every_tile_once_and_a_seed_of_their_own(tmp_path):
    drawn = set()
    for seed in ("", ", seed: 1", ", seed: 2", ", seed: 3"):
        shares = f"{{train: 0.6, val: 0.1, test: 0.3{seed}}}"
        found = names_of(load_dataset(write(tmp_path, shares)))
        assert {split: len(of) for split, of in found.items()} == {"train": 6, "val": 1, "test": 3}
        every = [tile for of_split in found.values() for tile in of_split]
        assert sorted(every) == [f"t{number}" for number in range(10)]
        drawn.add(str(found))
    assert len(drawn) > 1


def test_a_table_says_which_tile_is_where(tmp_path):
    table = "tile,split,who\nt3,test,me\nt1,train,me\nt0,train,you\nt9,val,me\n"
    found = names_of(load_dataset(write(tmp_path, "{file: splits.csv}", table)))
    assert found == {"train": ["t0", "t1"], "val": ["t9"], "test": ["t3"]}


@pytest.mark.parametrize(
    ("splits", "table", "said"),
    [
        ("{train: 0.6, val: 0.1, test: 0.4}", None, "shares of splits must sum to 1, got 1.1"),
        ("{train: 1, val: 0, test: 0}", None, r"splits.train must be a share in \(0, 1\), got 1"),
        ("{train: 0.6, val: 0.4}", None, "splits must be train, val, test, got 'train, val'"),
        ("{train: 0.6, val: 0.1, test: 0.3, seed: x}", None, "seed must be a whole number"),
        ("{train: 0.6, val: 0.1, test: 0.3, seed: -1}", None, "seed must be 0 or more"),
        ("{train: 0.6, val: [t1], test: 0.3}", None, "splits.train must be a list"),
        ("{file: splits.csv, seed: 1}", "tile,split\n", "must have a file alone, got seed"),
        ("{file: splits.csv}", None, "splits.file must be a CSV file in UTF-8, got: .*No such"),
        ("{file: splits.csv}", "name,split\nt1,val\n", "columns .* got name, split"),
        ("{file: splits.csv}", "tile,split\nt1,dev\n", "split of 't1' must be one of .* got 'dev'"),
        ("{file: splits.csv}", "tile,split\nt1,val\nt1,test\n", "must be in one split, got 't1'"),
        ("{file: splits.csv}", "tile,split\nx1,val\n", "got no tile for 'x1'"),
        ("{file: splits.csv}", "tile,split\nt1,val\n", "splits.train must hold at least one tile"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_split_is_one_line(tmp_path, splits, table, said):
    with pytest.raises(DataError, match=said) as raised:
        load_dataset(write(tmp_path, splits, table))
    assert "\n" not in str(raised.value)


AREAS = "{file: areas.gpkg, layer: parts, field: split}"


def write_areas(folder, areas, crs=32632):
    """A row of ten tiles of 16 m, and areas from so many metres to so many along it."""
    write(folder, AREAS)
    for number in range(10):
        place = Affine.translation(500_000 + 16 * number, 5_300_000) @ Affine.scale(0.5, -0.5)
        with rasterio.open(
            folder / "images" / f"t{number}.tif", "w", driver="GTiff", width=32, height=32,
            count=1, dtype="uint8", crs="EPSG:32632", transform=place,
        ) as target:  # fmt: skip
            target.write(np.full((1, 32, 32), number + 1, np.uint8))
    shapes = [shapely.box(5e5 + a, 5_299_984, 5e5 + b, 5_300_000) for _, a, b in areas]
    frame = geopandas.GeoDataFrame(
        {"split": [one for one, _, _ in areas]}, geometry=shapes, crs=32632
    )
    frame.to_crs(crs).to_file(folder / "areas.gpkg", layer="parts")
    frame.to_file(folder / "areas.gpkg", layer="other")
    return folder


@pytest.mark.parametrize("crs", [32632, 4326, 3857])
def test_polygons_hold_the_tiles_of_each_split_and_say_which_are_in_none(tmp_path, crs):
    areas = [("train", -1, 33), ("train", 31, 65), ("val", 60, 97), ("test", 112, 150)]
    spec = load_dataset(write_areas(tmp_path, areas, crs))
    assert names_of(spec) == {"train": ["t0", "t1", "t2"], "val": ["t5"], "test": ["t7", "t8"]}
    shared, outside = spec.notes
    file = tmp_path / "areas.gpkg"
    assert shared == (
        f"2 of 10 tiles are in no split, since they lie in the polygons of two splits of {file}: "
        "t3, t4"
    )
    assert outside == (
        "2 of 10 tiles are in no split, since they lie in no polygon, or only in part in one, of "
        f"{file}: t6, t9"
    )


def test_windows_of_a_cut_image_go_where_their_own_ground_lies(tmp_path):
    areas = [("train", 0, 88), ("val", 88, 104), ("test", 104, 160)]
    folder = write_areas(tmp_path, areas)
    text = (folder / "dataset.yaml").read_text() + "cut: {tile_px: 16}\n"
    (folder / "dataset.yaml").write_text(text)
    found = names_of(load_dataset(folder))
    assert {split: len(of) for split, of in found.items()} == {"train": 22, "val": 4, "test": 14}
    assert found["val"] == ["t5-r00-c01", "t5-r01-c01", "t6-r00-c00", "t6-r01-c00"]


@pytest.mark.parametrize(
    ("splits", "areas", "said"),
    [
        (AREAS, [("train", 0, 80), ("val", 70, 100)],
         "got none for test; 1 of 10 tiles .* of two splits of .*: t4; 4 of 10 tiles"),
        (AREAS, [("train", 0, 80), ("dev", 80, 160), (None, 0, 1)], "got 'dev', 'nothing' in"),
        (AREAS.replace("parts", "none"), [("train", 0, 80)], "layer of splits must be one of"),
        (AREAS.replace("split}", "part}"), [("train", 0, 80)], "splits.field must be one of split"),
        (AREAS.replace("areas", "areas2"), [("train", 0, 80)], "splits must be an existing file"),
        (AREAS.replace("layer: parts, ", ""), [("train", 0, 80)], "layer of splits must be one"),
        ("{file: areas.gpkg, field: split, seed: 1}", [("train", 0, 1)], "got seed besides"),
        ("{file: areas.gpkg}", [("train", 0, 80)], "splits.file must be a CSV .* field: split"),
    ],
)  # fmt: skip
def test_polygons_that_cannot_be_splits_are_one_line(tmp_path, splits, areas, said):
    folder = write_areas(tmp_path, areas)
    text = (folder / "dataset.yaml").read_text().replace(AREAS, splits)
    (folder / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=said) as raised:
        load_dataset(folder)
    assert "\n" not in str(raised.value)


def test_tiles_without_a_place_cannot_be_in_polygons_and_are_named(tmp_path):
    folder = write_areas(tmp_path, [("train", 0, 80), ("val", 80, 100), ("test", 100, 160)])
    for number in (2, 7):
        (folder / "images" / f"t{number}.tif").write_bytes(b"")
    with pytest.raises(DataError, match="got no place on the ground of t2, t7 in"):
        load_dataset(folder)
