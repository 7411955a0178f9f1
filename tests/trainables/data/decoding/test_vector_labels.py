"""Burnt labels against a brute-force test of the middles of pixels."""

import math
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from trainables.data.decoding.vector_labels import LabelLayer
from trainables.data.layouts.spec import IGNORE_INDEX, VectorLabels
from trainables.data.places.footprints import Footprint
from trainables.data.places.vector_files import VectorFile
from trainables.errors import DataError

HEIGHT, WIDTH = 24, 31
UTM, WEB, LONLAT = 32632, 3857, 4326
EAST, NORTH = 500_400.0, 5_300_300.0
SIZE_M = 0.5
KINDS = ("upright", "south-up", "rotated", "degrees")


def place(kind: str) -> Footprint:
    """An image of 24 x 31 pixels of half a metre."""
    scale = Affine.scale(SIZE_M, SIZE_M if kind == "south-up" else -SIZE_M)
    transform = Affine.translation(EAST, NORTH) @ scale
    crs = UTM
    if kind == "rotated":
        transform = Affine.translation(EAST, NORTH) @ Affine.rotation(33.0) @ scale
    if kind == "degrees":
        crs, metre = LONLAT, 1.0 / 111_320.0
        lon, lat = pyproj.Transformer.from_crs(UTM, LONLAT, always_xy=True).transform(EAST, NORTH)
        metre_x = metre / math.cos(math.radians(lat))
        transform = Affine(SIZE_M * metre_x, 0, lon, 0, -SIZE_M * metre, lat)
    return Footprint(crs=CRS.from_epsg(crs), transform=transform, height_px=HEIGHT, width_px=WIDTH)


def middles(image: Footprint, epsg: int) -> np.ndarray:
    """Middles of all pixels in a reference system, (H W, 2)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x, y = image.transform @ (columns.ravel(), rows.ravel())
    source = pyproj.CRS.from_user_input(image.crs.to_wkt())
    return np.stack(pyproj.Transformer.from_crs(source, epsg, always_xy=True).transform(x, y), 1)


def write(file: Path, geometries: list, epsg: int | None, **fields: list) -> VectorFile:
    frame = geopandas.GeoDataFrame(fields, geometry=geometries, crs=epsg)
    frame.to_file(file, driver="GPKG")
    return VectorFile(file=file)


def labels(source: VectorFile, **others: object) -> VectorLabels:
    """Land, which nothing draws, then water and wood by the field `kind`."""
    given = {
        "class_field": "kind",
        "class_values": ((), ("water", "pond"), ("1",)),
        "background": 0,
        "order": (0, 1, 2),
    }
    return VectorLabels(source=source, **{**given, **others})


def square(left: float, top: float, side: float = 4.0) -> shapely.Polygon:
    """A square of metres right of and below the corner of the image."""
    return shapely.box(EAST + left, NORTH - top - side, EAST + left + side, NORTH - top)


# Steps of 1/64 m survive the move to coordinates of millions of metres exactly.
coordinate = st.integers(-128, 1088).map(lambda steps: steps / 64)
point = st.tuples(coordinate, coordinate)


@st.composite
def shape(draw):
    """A polygon, one with a hole, several in one, or a line, in metres from the corner."""
    hull = shapely.MultiPoint(draw(st.lists(point, min_size=3, max_size=6))).convex_hull
    kind = draw(st.sampled_from(["polygon", "hole", "several", "line"]))
    if kind == "line" or hull.geom_type != "Polygon":
        return shapely.LineString(draw(st.lists(point, min_size=2, max_size=4)))
    if kind == "hole":
        return hull.difference(hull.centroid.buffer(1.7))
    if kind == "several":
        far = shapely.affinity.translate(hull, 30.0, 30.0)
        return shapely.MultiPolygon([hull, far])
    return hull


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsg", [UTM, WEB, LONLAT])
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes=st.lists(st.tuples(shape(), st.sampled_from(["water", "pond", "1"])), min_size=1))
def test_a_pixel_is_of_the_class_whose_polygon_holds_its_middle(tmp_path, kind, epsg, shapes):
    moved = geopandas.GeoSeries(
        [shapely.affinity.affine_transform(one, [1, 0, 0, -1, EAST, NORTH]) for one, _ in shapes],
        crs=UTM,
    )
    moved = moved[moved.length > 0].to_crs(epsg)
    values = [value for (one, value) in shapes if one.length > 0]
    if not values:
        return
    image = place(kind)
    source = write(tmp_path / "labels.gpkg", list(moved), epsg, kind=values)
    burnt = LabelLayer(labels(source, buffer_m=1.25)).on(image).read(0, HEIGHT)

    near, expected = np.zeros(HEIGHT * WIDTH, bool), np.zeros(HEIGHT * WIDTH, np.uint8)
    metric = moved.to_crs(UTM)
    points = shapely.points(middles(image, UTM))
    for index in (1, 2):
        for one, value in zip(metric, values, strict=True):
            if (value == "1") != (index == 2):
                continue
            wide = one.buffer(1.25) if one.geom_type == "LineString" else one
            expected[shapely.contains(wide, points)] = index
            near |= shapely.distance(wide.boundary, points) < 0.03
    told = ~near.reshape(HEIGHT, WIDTH)
    np.testing.assert_array_equal(burnt[told], expected.reshape(HEIGHT, WIDTH)[told])


def test_rows_read_apart_are_those_read_at_once(tmp_path):
    source = write(tmp_path / "a.gpkg", [square(1, 1), square(3, 3)], UTM, kind=["water", "1"])
    burnt = LabelLayer(labels(source)).on(place("rotated"))
    apart = [burnt.read(first, min(first + 7, HEIGHT)) for first in range(0, HEIGHT, 7)]
    np.testing.assert_array_equal(np.concatenate(apart), burnt.read(0, HEIGHT))


def test_of_several_polygons_the_last_of_the_order_counts_whatever_their_place_in_the_file(
    tmp_path,
):
    shapes, kinds = [square(0, 0, 8), square(0, 0, 8), square(0, 0, 2)], ["1", "water", "void"]
    source = write(tmp_path / "a.gpkg", shapes, UTM, kind=kinds)
    wood = LabelLayer(labels(source, ignored_values=("void",))).on(place("upright")).read(0, 24)
    assert wood[10, 10] == 2
    assert wood[0, 0] == IGNORE_INDEX, "what is said to be unknown lies above all"
    below = labels(source, ignored_values=("void",), order=(0, 2, 1))
    assert LabelLayer(below).on(place("upright")).read(0, 24)[10, 10] == 1


def test_outside_of_the_area_and_without_a_background_the_class_is_unknown(tmp_path):
    source = write(tmp_path / "a.gpkg", [square(0, 0), square(9, 0)], UTM, kind=["1", "1"])
    area = write(tmp_path / "area.gpkg", [square(0, 0, 8)], WEB)
    area_frame = geopandas.GeoSeries([square(0, 0, 8)], crs=UTM).to_crs(WEB)
    area_frame.to_file(area.file, driver="GPKG")
    burnt = LabelLayer(labels(source, area=area)).on(place("upright")).read(0, 24)
    assert burnt[2, 2] == 2
    assert burnt[12, 12] == 0, "background, inside of the area"
    assert burnt[2, 20] == IGNORE_INDEX, "drawn, but outside of the area"
    none = LabelLayer(labels(source, background=None)).on(place("upright")).read(0, 24)
    assert none[12, 12] == IGNORE_INDEX


def test_numbers_are_the_values_that_a_person_writes(tmp_path):
    shapes = [square(0, 0), square(6, 0)]
    for values in ([1, 1], [1.0, math.nan], ["1", None]):
        source = write(tmp_path / "a.gpkg", shapes, UTM, kind=values)
        layer = LabelLayer(labels(source))
        burnt = layer.on(place("upright")).read(0, 24)
        assert burnt[2, 2] == 2
        if values[1] == 1:
            assert layer.notes == ()
        else:
            assert burnt[2, 16] == IGNORE_INDEX, "a polygon without a class"
            assert layer.notes == (
                f"1 features of {source.file} have no kind: the class of what they cover is "
                "unknown",
            )


def test_a_polygon_that_crosses_itself_covers_what_its_edges_enclose(tmp_path):
    tie = shapely.Polygon(
        [(EAST, NORTH), (EAST + 8, NORTH - 8), (EAST + 8, NORTH), (EAST, NORTH - 8)]
    )
    source = write(tmp_path / "a.gpkg", [tie], UTM, kind=["1"])
    burnt = LabelLayer(labels(source)).on(place("upright")).read(0, 24)
    assert burnt[8, 1] == 2
    assert burnt[1, 8] == 0


def test_what_the_files_do_not_hold_is_one_line_with_what_they_hold(tmp_path):
    source = write(tmp_path / "a.gpkg", [square(0, 0)] * 3, UTM, kind=["1", "bog", "bog"])
    line = shapely.LineString([(EAST, NORTH), (EAST + 3, NORTH - 3)])
    lines = write(tmp_path / "b.gpkg", [line], UTM, kind=["1"])
    nowhere = tmp_path / "nowhere.gpkg"
    geopandas.GeoDataFrame({"kind": ["1"]}, geometry=[square(0, 0)]).to_file(nowhere)
    (tmp_path / "text.gpkg").write_text("no polygons")
    empty = write(tmp_path / "empty.gpkg", [shapely.Polygon()], UTM, kind=["1"])
    other_layer = VectorFile(file=source.file, layer="b")
    for wrong, said in (
        (labels(VectorFile(file=tmp_path / "none.gpkg")), "must be an existing file"),
        (labels(other_layer), "layer of labels must be one of a, got 'b'"),
        (labels(source, class_field="class"), "class_field must be one of kind, got 'class'"),
        (labels(source), r"got 'bog' \(2\) in .*a.gpkg; add what is missing"),
        (labels(lines), "must be polygons, got 1 lines and points without a width"),
        (labels(VectorFile(file=nowhere)), "must have a reference system"),
        (labels(VectorFile(file=tmp_path / "text.gpkg")), "must be a file of polygons that GDAL"),
        (labels(empty), "must hold polygons, lines or points, got none"),
        (labels(source, ignored_values=("bog",), area=lines), "labels.area must be polygons"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said) as raised:
            LabelLayer(wrong)
        assert "\n" not in str(raised.value)
