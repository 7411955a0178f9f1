"""Splits by shares: contiguous, whole, and never two on the same ground."""

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from trainables.data.places.blocks import contiguous_blocks
from trainables.data.places.footprints import Footprint, find_overlaps

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}


def place(left: float, top: float, side: int = 10, epsg: int = 32632) -> Footprint:
    transform = Affine.translation(500_000 + left, 5_300_000 - top) @ Affine.scale(1, -1)
    return Footprint(crs=CRS.from_epsg(epsg), transform=transform, height_px=side, width_px=side)


@given(
    corners=st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 60)), min_size=3, max_size=25, unique=True
    ),
    side=st.integers(2, 14),
    seed=st.integers(0, 5),
)
def test_no_two_splits_share_ground_and_every_tile_is_in_one(corners, side, seed):
    names = [f"t{index}" for index in range(len(corners))]
    places = [place(*corner, side) for corner in corners]
    found = contiguous_blocks(names, places, SHARES, seed=seed)
    assert sorted(name for of_split in found.values() for name in of_split) == sorted(names)
    split_of = {name: split for split, of_split in found.items() for name in of_split}
    assert list(find_overlaps(places, [split_of[name] for name in names])) == []


def test_blocks_of_a_grid_have_the_shares_and_lie_together():
    names = [f"r{row}c{column}" for row in range(4) for column in range(10)]
    places = [place(10.0 * column, 10.0 * row) for row in range(4) for column in range(10)]
    for seed in range(6):
        found = contiguous_blocks(names, places, SHARES, seed=seed)
        assert {split: len(tiles) for split, tiles in found.items()} == {
            "train": 24, "val": 4, "test": 12,
        }  # fmt: skip
        columns = {split: sorted({name[-1] for name in of}) for split, of in found.items()}
        assert len({*columns["train"]}) == 6, "whole columns, one beside the other"
    drawn = {str(contiguous_blocks(names, places, SHARES, seed=seed)) for seed in range(6)}
    assert len(drawn) > 1, "the order of the splits is the seed's"


def test_tiles_without_a_place_are_cut_in_the_order_of_their_names():
    names = [f"tile_{number}" for number in range(1, 11)]
    found = contiguous_blocks(names, [None] * 10, SHARES, seed=1)
    numbers = {split: sorted(int(name[5:]) for name in of) for split, of in found.items()}
    assert {split: len(of) for split, of in numbers.items()} == {"train": 6, "val": 1, "test": 3}
    for of_split in numbers.values():
        assert of_split == [*range(of_split[0], of_split[-1] + 1)]


def test_places_in_several_reference_systems_are_compared_on_the_ground():
    names, east = ["a", "b", "c", "d"], np.array([0.0, 20.0, 40.0, 60.0])
    places = [place(left, 0.0) for left in east]
    middle = places[2].grid()[4]
    lon, lat = 9.000534, 47.853861  # of the third, in degrees
    degrees = Affine(1 / 75_000, 0, lon, 0, -1 / 111_000, lat)
    places[2] = Footprint(crs=CRS.from_epsg(4326), transform=degrees, height_px=10, width_px=10)
    assert middle[0] > 500_000
    halves = {"train": 0.5, "val": 0.25, "test": 0.25}
    found = contiguous_blocks(names, places, halves, seed=0)
    order = "".join(name for of in sorted(found.values()) for name in of)
    assert order == "abcd"


def test_too_few_tiles_that_may_be_apart_leave_a_split_empty():
    same = [place(0, 0), place(1, 1), place(2, 2)]
    found = contiguous_blocks(["a", "b", "c"], same, SHARES, seed=0)
    assert sorted(map(len, found.values())) == [0, 0, 3]
