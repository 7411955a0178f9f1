"""A class map as polygons: burnt again they are the map, whatever its place and holes."""

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from rasterio.transform import from_origin

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.errors import DataError
from trainables.predict.polygons import write_polygons

NAMES = ("land", "water", "wood")
UTM = {"crs": "EPSG:25832", "transform": from_origin(500_000, 5_400_000, 0.5, 0.5)}
DEGREES = {"crs": "EPSG:4326", "transform": from_origin(9.0, 48.7, 1e-5, 1e-5)}
TURNED = {
    "crs": "EPSG:25832",
    "transform": Affine.translation(500_000, 5_400_000) @ Affine.rotation(20) @ Affine.scale(0.5),
}
PLACES = {"utm": UTM, "degrees": DEGREES, "turned": TURNED, "nowhere": {}}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def patches(seed=0, height=40, width=50):
    """A map of patches with holes and some pixels without data."""
    coarse = np.random.default_rng(seed).integers(0, 3, (height // 5, width // 5))
    classes = np.kron(coarse, np.ones((5, 5))).astype(np.uint8)
    classes[7:9, 7:9] = 2
    classes[20, 20] = 1
    classes[30:, :4] = IGNORE_INDEX
    return classes


def write(path, values, nodata=None, **place):
    height, width = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "nodata": nodata}
    with rasterio.open(path, "w", dtype=values.dtype, **profile, **place) as target:
        target.write(values, 1)
    return path


def polygons(folder, classes, confidence=None, place=UTM, *, min_area_m2=0.0, simplify_m=0.0):
    if confidence is None:
        confidence = np.full(classes.shape, 0.5, np.float32)
    target = folder / "a_polygons.gpkg"
    write_polygons(
        write(folder / "c.tif", classes, IGNORE_INDEX, **place),
        write(folder / "p.tif", confidence.astype(np.float32), float("nan"), **place),
        target,
        NAMES,
        min_area_m2=min_area_m2,
        simplify_m=simplify_m,
    )
    return geopandas.read_file(target)


def burnt(frame, shape, transform):
    codes = [NAMES.index(name) for name in frame["class"]]
    shapes = zip(frame.geometry, codes, strict=True)
    return rasterio.features.rasterize(
        shapes, shape, fill=IGNORE_INDEX, transform=transform, dtype="uint8"
    )


@pytest.mark.parametrize("where", PLACES)
def test_burnt_again_polygons_are_the_map(tmp_path, where):
    classes, place = patches(), PLACES[where]
    frame = polygons(tmp_path, classes, place=place)
    transform = place.get("transform", Affine.scale(1, -1))
    np.testing.assert_array_equal(burnt(frame, classes.shape, transform), classes)
    assert frame.is_valid.all()
    assert (frame.crs is None) == (where == "nowhere")


def test_fields_are_class_area_and_mean_confidence(tmp_path):
    classes = np.zeros((40, 40), np.uint8)
    classes[:, 20:] = 2
    confidence = np.where(classes == 0, 0.25, np.linspace(0.5, 1.0, 40)[:, None])
    frame = polygons(tmp_path, classes, confidence)
    assert frame["class"].tolist() == ["land", "wood"]
    assert frame["confidence"].tolist() == pytest.approx([0.25, 0.75])
    # On the ellipsoid a square metre of UTM is 1 / 0.9996^2 at its middle meridian.
    assert frame["area_m2"].tolist() == pytest.approx([200.0 / 0.9996**2] * 2, rel=1e-5)


def test_areas_are_square_metres_where_pixels_are_degrees(tmp_path):
    frame = polygons(tmp_path, np.zeros((30, 30), np.uint8), place=DEGREES)
    geodesic = pyproj.Geod(ellps="WGS84")
    outline = shapely.box(9.0, 48.7 - 30e-5, 9.0 + 30e-5, 48.7)
    expected = abs(geodesic.geometry_area_perimeter(outline)[0])
    assert frame["area_m2"].tolist() == pytest.approx([expected], rel=1e-6)


def test_without_a_place_areas_are_pixels_and_metres_are_refused(tmp_path):
    classes = np.zeros((4, 5), np.uint8)
    assert polygons(tmp_path, classes, place={})["area_px"].tolist() == [20]
    with pytest.raises(DataError, match="--min-area and --simplify are in metres"):
        polygons(tmp_path, classes, place={}, min_area_m2=1.0)


def test_small_pieces_join_a_neighbour_and_leave_no_hole(tmp_path):
    classes = np.zeros((40, 40), np.uint8)
    classes[10:12, 10:12], classes[20:30, 20:30] = 1, 2  # 1 and 25 square metres
    classes[0, 0] = IGNORE_INDEX
    frame = polygons(tmp_path, classes, min_area_m2=5.0)
    assert sorted(frame["class"]) == ["land", "wood"]
    expected = np.where(classes == 1, 0, classes)
    np.testing.assert_array_equal(burnt(frame, classes.shape, UTM["transform"]), expected)


def test_simplified_neighbours_have_no_gap_between_them(tmp_path):
    rows, columns = np.mgrid[:60, :60]
    classes = (rows + 0.4 * columns > 40).astype(np.uint8)  # a border in steps
    exact = polygons(tmp_path, classes)
    smooth = polygons(tmp_path, classes, simplify_m=2.0)
    assert smooth.geometry.count_coordinates().sum() < exact.geometry.count_coordinates().sum() / 3
    assert smooth.union_all().area == pytest.approx(exact.union_all().area, rel=1e-9)
    assert smooth.geometry[0].intersection(smooth.geometry[1]).area == pytest.approx(0, abs=1e-9)


def test_a_map_of_nothing_is_a_layer_without_polygons(tmp_path):
    frame = polygons(tmp_path, np.full((5, 5), IGNORE_INDEX, np.uint8))
    assert frame.empty
    assert {"class", "area_m2", "confidence"} <= {*frame.columns}
