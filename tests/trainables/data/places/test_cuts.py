"""Windows cover a raster, each pixel once, and are never slivers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.places.cuts import cut_windows


@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(1, 25))
def test_each_pixel_lies_in_one_window_of_no_less_than_half_a_side(height, width, side):
    found = dict(cut_windows(height, width, side))
    covered = np.zeros((height, width), int)
    for one in found.values():
        rows = slice(one.top_px, one.top_px + one.height_px)
        columns = slice(one.left_px, one.left_px + one.width_px)
        assert covered[rows, columns].shape == (one.height_px, one.width_px)
        covered[rows, columns] += 1
        for length, of_raster in ((one.height_px, height), (one.width_px, width)):
            assert min(side / 2, of_raster) <= length <= max(1.5 * side, side)
    assert (covered == 1).all()
    assert [*found] == sorted(found), "names sort by row and column"


def test_names_say_row_and_column():
    assert [name for name, _ in cut_windows(20, 35, 10)][:4] == [
        "r00-c00", "r00-c01", "r00-c02", "r00-c03",
    ]  # fmt: skip
    assert next(cut_windows(1200, 10, 10))[0] == "r000-c000"
