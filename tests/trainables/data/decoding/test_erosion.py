"""The eroded reference against the definition, pixel by pixel."""

import numpy as np
import pytest

from trainables.data.decoding.erosion import erode_borders
from trainables.data.layouts.spec import IGNORE_INDEX


def _by_loops(mask, radius_px):
    eroded = mask.copy()
    height, width = mask.shape
    for row in range(height):
        for column in range(width):
            for r in range(max(0, row - radius_px), min(height, row + radius_px + 1)):
                for c in range(max(0, column - radius_px), min(width, column + radius_px + 1)):
                    near = (r - row) ** 2 + (c - column) ** 2 <= radius_px**2
                    pair = {int(mask[row, column]), int(mask[r, c])}
                    if near and len(pair) == 2 and IGNORE_INDEX not in pair:
                        eroded[row, column] = IGNORE_INDEX
    return eroded


@pytest.mark.parametrize("shape", [(23, 17), (2, 30), (30, 1), (1, 1), (3, 3)])
@pytest.mark.parametrize("radius_px", [1, 3])
def test_equals_the_definition(shape, radius_px):
    rng = np.random.default_rng(0)
    coarse = rng.choice([0, 1, 2, IGNORE_INDEX], size=(5, 5)).astype(np.uint8)
    mask = np.kron(coarse, np.ones((6, 6), dtype=np.uint8))[: shape[0], : shape[1]]
    assert np.array_equal(erode_borders(mask, radius_px), _by_loops(mask, radius_px))


def test_a_straight_border_loses_three_pixels_on_either_side():
    mask = np.zeros((1, 12), dtype=np.uint8)
    mask[:, 6:] = 1
    assert erode_borders(mask)[0].tolist() == [0] * 3 + [IGNORE_INDEX] * 6 + [1] * 3
    assert mask.max() == 1, "the mask itself stays as it was"


def test_nothing_is_eroded_along_unknown_pixels():
    mask = np.zeros((8, 8), dtype=np.uint8)
    mask[:, 4:] = IGNORE_INDEX
    assert np.array_equal(erode_borders(mask), mask)
