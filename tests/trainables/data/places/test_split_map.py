"""The map of splits: north up, in proportion, whatever the reference systems."""

from xml.etree import ElementTree

import pytest
from affine import Affine
from rasterio.crs import CRS

from trainables.data.places.footprints import Footprint
from trainables.data.places.split_map import split_map

COLORS = {"training": "#0072B2", "test": "#009E73"}
NAMESPACE = "{http://www.w3.org/2000/svg}"


def place(transform, epsg=32632):
    return Footprint(crs=CRS.from_epsg(epsg), transform=transform, height_px=10, width_px=10)


def drawn(places, names, groups):
    svg = ElementTree.fromstring(split_map(places, names, groups, COLORS))
    found = {}
    for polygon in svg.iter(f"{NAMESPACE}polygon"):
        corners = [tuple(map(float, one.split(","))) for one in polygon.get("points").split()]
        lefts, tops = zip(*corners, strict=True)
        box = (min(lefts), min(tops), max(lefts), max(tops))
        found[polygon.find(f"{NAMESPACE}title").text] = (polygon.get("fill"), box)
    return found


def test_north_is_up_and_pixels_are_square():
    south = place(Affine(1, 0, 500_000, 0, -1, 5_300_000))
    north = place(Affine(1, 0, 500_010, 0, -1, 5_300_010))
    found = drawn([south, north], ["s", "n"], ["training", "test"])
    (fill, (left, top, right, bottom)) = found["n (test)"]
    assert fill == COLORS["test"]
    assert found["s (training)"][1][0] < left
    assert top < found["s (training)"][1][1]
    assert right - left == pytest.approx(bottom - top, abs=0.2)


def test_degrees_are_drawn_as_long_as_they_are():
    metre = 1 / 111_320
    tile = place(Affine(2 * metre, 0, 9.0, 0, -metre, 60.0), 4326)  # cos 60 degrees is a half
    ((_, (left, top, right, bottom)),) = drawn([tile], ["a"], ["test"]).values()
    assert right - left == pytest.approx(bottom - top, rel=0.01)


def test_a_place_that_cannot_be_reached_is_left_out():
    near = place(Affine(1, 0, 500_000, 0, -1, 5_300_000))
    far = place(Affine(1, 0, 9e30, 0, -1, 9e30), 3035)
    assert {*drawn([near, far], ["a", "b"], ["test", "test"])} == {"a (test)"}
