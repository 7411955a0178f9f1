"""Regions that grow: contiguous, nested, the same again."""

import numpy as np
import pytest
from scipy import ndimage

from trainables.data.budgets.areas import CELLS, cell_px, grow, windows_of

FULL = CELLS**2


def _cells(shape, hole=None):
    """All cells of one tile of this many rows and columns, but those of a hole."""
    plane = np.ones(shape, dtype=bool)
    if hole is not None:
        plane[hole] = False
    return np.argwhere(plane)


def _grow(cells, *, asked_px=np.inf, smallest_px=np.inf, seed=0, labelled=None, tiles=None):
    tiles = np.zeros(len(cells), dtype=np.int64) if tiles is None else tiles
    labelled = np.ones(len(cells), dtype=np.int64) if labelled is None else labelled
    windows = windows_of(tiles, cells)
    ranks = np.random.default_rng(seed).permutation(windows.max() + 1)
    limits = {"asked_px": asked_px, "smallest_px": smallest_px}
    return grow(tiles, cells, labelled, ranks[windows], seed=seed, **limits)


def test_cells_are_an_eighth_of_a_side():
    assert [cell_px(size_px) for size_px in (1, 8, 15, 16, 256)] == [1, 1, 1, 2, 32]


def test_windows_by_hand():
    tiles = np.array([0, 0, 0, 1, 1])
    cells = np.array([[0, 7], [7, 8], [8, 0], [0, 0], [7, 7]])
    assert windows_of(tiles, cells).tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("seed", range(5))
def test_regions_are_contiguous_whole_and_take_every_cell_once(seed):
    cells = _cells((30, 41), hole=np.s_[5:9, 10:20])
    order, regions = _grow(cells, seed=seed)
    assert sorted(order) == list(range(len(cells)))
    assert np.array_equal(np.unique(regions), np.arange(regions[-1] + 1))
    assert (np.diff(regions) >= 0).all()
    plane = np.full((30, 41), -1)
    for region in range(regions[-1] + 1):
        held = cells[order[regions == region]]
        alone = np.zeros(plane.shape, dtype=bool)
        alone[tuple(held.T)] = True
        assert ndimage.label(alone)[1] == 1, region
        assert len(held) <= FULL
        free = np.zeros(plane.shape, dtype=bool)
        free[tuple(cells.T)] = True
        free &= plane < 0
        plane[tuple(held.T)] = region
        if len(held) < FULL:  # because it found no free neighbour
            assert not (ndimage.binary_dilation(alone) & free & ~alone).any()


@pytest.mark.parametrize("seed", range(3))
def test_every_front_of_a_region_is_contiguous_too(seed):
    cells = _cells((12, 12))
    order, regions = _grow(cells, seed=seed)
    for num in range(1, FULL + 1):
        plane = np.zeros((12, 12), dtype=bool)
        plane[tuple(cells[order[regions == 0][:num]].T)] = True
        assert ndimage.label(plane)[1] == 1


def test_what_is_asked_for_cuts_the_same_order():
    cells = _cells((25, 25))
    whole, regions = _grow(cells, seed=3)
    for asked_px in (1, 63, 64.5, 200, 625):
        order, some = _grow(cells, seed=3, asked_px=asked_px)
        assert np.array_equal(order, whole[: int(asked_px)])
        assert np.array_equal(some, regions[: int(asked_px)])
    assert not np.array_equal(_grow(cells, seed=4)[0], whole)


def test_the_front_stops_at_the_first_cell_that_exceeds():
    cells = _cells((1, 5))
    labelled = np.array([3, 1, 3, 1, 3])
    order, _ = _grow(cells, labelled=labelled, asked_px=6, smallest_px=6)
    whole, _ = _grow(cells, labelled=labelled, smallest_px=6)
    totals = np.cumsum(labelled[whole])
    assert len(order) == int((totals <= 6).sum())
    assert len(_grow(cells, labelled=labelled, asked_px=0.5, smallest_px=0.5)[0]) == 1


def test_the_first_region_begins_where_a_cell_fits_the_smallest_fraction():
    cells = _cells((9, 9))
    labelled = np.full(81, 9)
    labelled[40] = 2
    for seed in range(5):
        order, _ = _grow(cells, labelled=labelled, smallest_px=2, seed=seed)
        assert order[0] == 40


def test_regions_end_at_the_edge_of_their_tile():
    cells = np.concatenate([_cells((6, 6)), _cells((6, 6))])
    tiles = np.repeat([0, 1], 36)
    order, regions = _grow(cells, tiles=tiles)
    assert regions.tolist() == [0] * 36 + [1] * 36
    assert len(np.unique(tiles[order[:36]])) == 1


def test_regions_are_no_threads():
    """Cells that a region half surrounds come early: it holds most of its bounding box."""
    filled = []
    for seed in range(10):
        cells = _cells((60, 60))
        order, _ = _grow(cells, seed=seed, asked_px=FULL)
        box = np.ptp(cells[order], axis=0) + 1
        filled.append(FULL / box.prod())
    assert np.mean(filled) > 0.5
