"""Tiles and the polygons that hold them."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from trainables.data.places.footprints import Footprint, find_overlaps, transformed
from trainables.data.places.held_tiles import held_tiles

UTM = CRS.from_epsg(32632)
ALPS = (500_000.0, 5_300_000.0)


def tile(left, top, side_m=16.0, degrees=0.0, side_px=32):
    """A tile whose upper left corner lies so many metres right of and below a place in the Alps."""
    corner = Affine.translation(ALPS[0] + left, ALPS[1] - top) @ Affine.rotation(degrees)
    place = corner @ Affine.scale(side_m / side_px, -side_m / side_px)
    return Footprint(crs=UTM, transform=place, height_px=side_px, width_px=side_px)


def box(left, top, right, bottom):
    return shapely.box(ALPS[0] + left, ALPS[1] - bottom, ALPS[0] + right, ALPS[1] - top)


def test_a_tile_belongs_where_it_lies_wholly_and_nowhere_if_two_claim_it():
    areas = {"train": box(0, 0, 40, 40), "val": box(30, 0, 60, 16), "test": shapely.Polygon()}
    places = [
        tile(0, 0),  # wholly in train
        tile(16, 0),  # in train; val begins within it
        tile(44, 0),  # on the edges of val
        tile(30, 20),  # in train in part
        tile(200, 0),
    ]
    found = held_tiles(places, areas, UTM)
    assert found.held == {"train": [0], "val": [2], "test": []}
    assert (found.shared, found.outside) == ([1], [3, 4])


def test_an_edge_of_half_a_pixel_counts_neither_way():
    areas = {"train": box(0.2, 0.2, 16.2, 15.8), "val": box(15.8, 0.1, 32.1, 16.1)}
    found = held_tiles([tile(0, 0), tile(16, 0)], areas, UTM)
    assert found.held == {"train": [0], "val": [1]}
    short = held_tiles([tile(0, 0)], {"train": box(0.6, 0, 16, 16)}, UTM)
    assert short.outside == [0]


def test_polygons_may_be_measured_in_degrees():
    degrees = CRS.from_epsg(4326)
    corners = np.array(box(-1, -1, 17, 17).exterior.coords)
    area = shapely.Polygon(transformed(UTM, degrees, corners))
    found = held_tiles([tile(0, 0), tile(8, 0), tile(32, 0)], {"train": area}, degrees)
    assert found.held == {"train": [0]}
    assert found.outside == [1, 2]


def test_a_tile_without_a_place_in_the_system_of_the_polygons_is_outside():
    far = Footprint(
        crs=CRS.from_epsg(4326), transform=Affine(1, 0, 300, 0, -1, 500), height_px=4, width_px=4
    )
    assert held_tiles([far], {"train": box(0, 0, 9, 9)}, UTM).outside == [0]


NUMBER = st.floats(0, 60, allow_nan=False)
TILES = st.lists(
    st.builds(
        tile, NUMBER, NUMBER, st.sampled_from([4.0, 8.0, 16.0]), st.sampled_from([0.0, 12.5])
    ),
    min_size=1, max_size=12,
)  # fmt: skip
SHAPES = st.lists(
    st.tuples(NUMBER, NUMBER, st.floats(1, 60), st.floats(1, 60)).map(
        lambda one: box(one[0], one[1], one[0] + one[2], one[1] + one[3])
    ),
    max_size=4,
).map(shapely.union_all)  # fmt: skip


@settings(deadline=None, max_examples=200, derandomize=True)
@given(places=TILES, areas=st.fixed_dictionaries(dict.fromkeys(("train", "val", "test"), SHAPES)))
def test_two_splits_never_have_ground_in_common(places, areas):
    found = held_tiles(places, areas, UTM)
    every = [*found.shared, *found.outside, *(i for of in found.held.values() for i in of)]
    assert sorted(every) == [*range(len(places))], "each tile once"
    held = [(index, split) for split, indices in found.held.items() for index in indices]
    for index, split in held:
        ground = shapely.Polygon(places[index].outline()).buffer(-places[index].transform.a)
        assert shapely.covers(areas[split].buffer(1e-6), ground)
        assert not any(areas[other].intersects(ground) for other in areas if other != split)
    if held:
        overlaps = find_overlaps([places[index] for index, _ in held], [one for _, one in held])
        assert not [*overlaps]


@pytest.mark.parametrize("group", ["train", "val", "test"])
def test_what_one_polygon_holds_alone_is_in_its_split(group):
    areas = {one: box(100, 100, 110, 110) for one in ("train", "val", "test")}
    areas[group] = box(0, 0, 64, 64)
    places = [tile(16 * column, 16 * row) for row in range(4) for column in range(4)]
    assert held_tiles(places, areas, UTM).held[group] == [*range(16)]
