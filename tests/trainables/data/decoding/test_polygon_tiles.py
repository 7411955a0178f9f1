"""Data sets whose labels are polygons, and imagery that nobody annotated."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.decoding.erosion import erode_borders
from trainables.data.decoding.tiles import class_counts, read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.positions import RandomPositions
from trainables.errors import DataError

SIDE, SIZE_M = 32, 0.5
YAML = """\
name: town
bands: [grey]
images: tiles/{tile}.tif
unlabelled: more/{tile}.tif
labels: {file: houses.gpkg, background: ground}
classes: [{name: ground}, {name: house}]
splits: {train: [a*], val: [b1], test: [c1]}
"""
EASTS = {"tiles/a1": 0, "tiles/a2": 1, "tiles/b1": 2, "tiles/c1": 3, "more/d1": 9}


@pytest.fixture
def town(tmp_path):
    """Four tiles beside each other, a house across each border between them, and one tile apart."""
    noise = np.random.default_rng(0)
    for name, column in EASTS.items():
        write_tile(tmp_path / f"{name}.tif", column, noise.integers(0, 255, (1, SIDE, SIDE)))
    houses = [house(16.0 * column + 12.0) for column in range(4)]
    geopandas.GeoDataFrame(geometry=houses, crs=32632).to_file(tmp_path / "houses.gpkg")
    (tmp_path / "dataset.yaml").write_text(YAML)
    return tmp_path


def house(left: float) -> shapely.Polygon:
    return shapely.box(500_000 + left, 5_299_990, 500_008 + left, 5_299_996)


def write_tile(file: Path, column: int, bands: np.ndarray, epsg: int | None = 32632) -> None:
    file.parent.mkdir(exist_ok=True)
    place = Affine.translation(500_000 + column * SIDE * SIZE_M, 5_300_000)
    with rasterio.open(
        file, "w", driver="GTiff", width=SIDE, height=SIDE, count=1, dtype="uint8",
        crs=None if epsg is None else f"EPSG:{epsg}",
        transform=place @ Affine.scale(SIZE_M, -SIZE_M),
    ) as target:  # fmt: skip
        target.write(bands.astype(np.uint8))


def expected(column: int) -> np.ndarray:
    """A house of 16 x 12 pixels begins 24 pixels right of the corner of each tile."""
    whole = np.zeros((SIDE, 4 * SIDE + 16), dtype=np.uint8)
    for left in range(24, 4 * SIDE, SIDE):
        whole[8:20, left : left + 16] = 1
    return whole[:, column * SIDE : (column + 1) * SIDE]


def test_houses_across_the_borders_of_tiles_are_on_both(town):
    found = read_dataset(load_dataset(town)).tiles
    for split, index, column in (("train", 0, 0), ("train", 1, 1), ("val", 0, 2), ("test", 0, 3)):
        np.testing.assert_array_equal(found[split].tile(index).mask, expected(column))
    derived = found["test"].tile(0).eroded_mask
    np.testing.assert_array_equal(derived, erode_borders(expected(3)))


def test_reduced_tiles_take_the_class_at_the_middle_of_a_block(town):
    found = read_dataset(load_dataset(town), downsample=4).tiles["val"].tile(0).mask
    np.testing.assert_array_equal(found, expected(2)[2::4, 2::4])


def test_what_nobody_annotated_is_learnt_from_without_classes_and_told(town):
    data = read_dataset(load_dataset(town))
    assert data.tiles["train"].names == ("a1", "a2", "d1")
    unlabelled = data.tiles["train"].tile(2)
    assert (unlabelled.mask == IGNORE_INDEX).all()
    assert unlabelled.image.max() > 200
    assert data.notes == (
        "1 of 3 training tiles have no annotations: methods that use such imagery learn from "
        "them, and nothing is scored on them",
    )
    labelled = class_counts(data.tiles["train"].masks, 2).sum()
    assert labelled == 2 * SIDE * SIDE


def test_patches_from_anywhere_reach_what_nobody_annotated_and_annotated_ones_never_do(town):
    tiles = read_dataset(load_dataset(town)).tiles["train"]
    unit = Unit(kind="block", size_px=8)
    _, pixels = draw_budget(tiles, fraction=1.0, seed=1, unit=unit, num_classes=2)
    positions = RandomPositions(tiles, pixels, patch_px=8, seed=1)
    assert set(positions.annotated(0, 200)[:, 0].tolist()) == {0, 1}
    assert set(positions.anywhere(0, 200)[:, 0].tolist()) == {0, 1, 2}


def test_unlabelled_imagery_of_the_test_ground_is_refused(town):
    write_tile(town / "more" / "d1.tif", 3, np.zeros((1, SIDE, SIDE)))
    with pytest.raises(DataError, match=r"splits must not share ground.*c1.tif"):
        read_dataset(load_dataset(town))


def test_whatever_keeps_polygons_from_being_labels_is_said_at_once(town):
    write_tile(town / "tiles" / "a2.tif", 1, np.zeros((1, SIDE, SIDE)), epsg=None)
    (town / "houses.gpkg").unlink()
    with pytest.raises(DataError) as raised:
        read_dataset(load_dataset(town))
    said = str(raised.value)
    assert len(said.splitlines()) == 1 + int(said.split()[0]), "one a line below their number"
    assert "got no reference system in" in said
    assert "labels must be an existing file" in said


def test_polygons_of_another_place_are_refused(town):
    far = geopandas.GeoDataFrame(geometry=[house(90_000.0)], crs=32632)
    far.to_file(town / "houses.gpkg")
    with pytest.raises(
        DataError, match="labels must lie on the tiles, got none of 1 features on 4"
    ):
        read_dataset(load_dataset(town))
