"""Tiles on one grid, and the mosaics that they are parts of."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from trainables.data.places.footprints import Footprint
from trainables.data.places.mosaics import find_mosaics

UTM = CRS.from_epsg(32632)
GRID = Affine.translation(500_000, 5_300_000) @ Affine.scale(0.5, -0.5)


def tile(top, left, height=32, width=32, grid=GRID, crs=UTM):
    """A tile whose first pixel is of this row and column of a grid."""
    place = grid @ Affine.translation(left, top)
    return Footprint(crs=crs, transform=place, height_px=height, width_px=width)


def members(places, groups=None):
    return [one.members for one in find_mosaics(places, groups or ["a"] * len(places))]


def test_tiles_that_touch_along_an_edge_are_one_and_a_corner_is_no_edge():
    places = [tile(0, 32), tile(0, 0), tile(32, 16, width=40), tile(64, 56), tile(200, 0)]
    first, corner, apart = find_mosaics(places, ["a"] * 5)
    assert (first.members, first.corners) == ((0, 1, 2), ((0, 32), (0, 0), (32, 16)))
    assert (first.height_px, first.width_px, first.is_full) == (64, 64, False)
    assert (corner.members, apart.members) == ((3,), (4,))
    assert apart.is_full
    assert (apart.height_px, apart.corners) == (32, ((0, 0),))


@pytest.mark.parametrize(
    ("other", "is_joined"),
    [
        (tile(0, 32.05), True),  # rounded
        (tile(0, 32.4), False),  # beside the grid
        (tile(0, 33), False),  # a gap of a pixel
        (tile(0, 30), True),  # an overlap on the grid
        (tile(0, 16, grid=GRID @ Affine.scale(2.0)), False),  # larger pixels
        (replace(tile(0, 32), error_px=0.5), False),  # control points that do not fit
        (tile(0, 32, crs=CRS.from_epsg(32633)), False),
        (tile(0, 32, crs=CRS.from_wkt(UTM.to_wkt(version="WKT2_2019"))), True),
        (tile(0, 32, crs=None), True),  # taken to be in the system of the others
        (tile(0, 32, grid=GRID @ Affine.rotation(1.0)), False),
    ],
)
def test_neighbours_lie_on_one_grid(other, is_joined):
    assert members([tile(0, 0), other]) == ([(0, 1)] if is_joined else [(0,), (1,)])


def test_tiles_of_two_groups_are_never_one():
    assert members([tile(0, 0), tile(0, 32), tile(0, 64)], ["a", "b", "a"]) == [(0,), (1,), (2,)]


def test_a_grid_that_bends_until_two_ways_round_disagree_joins_nothing():
    """Each neighbour lies 0.09 px above the last, so that the last row is a pixel too high."""
    tops = [-0.09 * index for index in range(12)]
    places = [tile(top, 32 * index) for index, top in enumerate(tops)]
    places += [tile(32 + tops[-1], 32 * index) for index in range(11, -1, -1)]
    assert members(places[:12]) == [tuple(range(12))]
    assert members(places) == [(index,) for index in range(24)]


@pytest.mark.parametrize("degrees", [0.0, 33.0])
def test_rotated_grids_are_grids(degrees):
    grid = GRID @ Affine.rotation(degrees)
    places = [tile(32 * row, 48 * column, 32, 48, grid) for row in range(3) for column in range(3)]
    (found,) = find_mosaics(places, ["a"] * 9)
    assert (found.height_px, found.width_px, found.is_full) == (96, 144, True)
    assert found.corners[4] == (32, 48)


CELLS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(cells=CELLS, seed=st.integers(0, 99))
def test_any_chips_of_a_grid_are_the_connected_parts_of_it(cells, seed):
    """Compared with the labels of connected cells that scipy finds."""
    from scipy.ndimage import label

    order = np.random.default_rng(seed).permutation(len(cells))
    chips = [sorted(cells)[index] for index in order]
    plane = np.zeros((6, 6), int)
    plane[tuple(np.array(chips).T)] = 1
    labels, num = label(plane)
    found = find_mosaics([tile(8 * r, 8 * c, 8, 8) for r, c in chips], ["a"] * len(chips))
    assert len(found) == num
    for one in found:
        parts = {labels[chips[member]] for member in one.members}
        assert len(parts) == 1
        rows, columns = np.nonzero(labels == parts.pop())
        for member, (top, left) in zip(one.members, one.corners, strict=True):
            assert (top, left) == (
                8 * (chips[member][0] - rows.min()),
                8 * (chips[member][1] - columns.min()),
            )
        assert one.is_full == (one.height_px * one.width_px == 64 * len(one.members))
