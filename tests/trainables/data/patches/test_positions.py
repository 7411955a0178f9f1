from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.pixel_set import mask_strips, pack_pixels
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.positions import GridPositions, RandomPositions, patch_grid

PATCH = 32


def _pixels(tiles, labels):
    """The set of the pixels that are labelled in `labels` (P,)."""
    strips = mask_strips(replace(tiles, masks=labels))
    return pack_pixels(tiles.shapes, ((n, top, mask != IGNORE_INDEX) for n, top, mask in strips))


def _random(tiles, labels, patch_px=PATCH, seed=0):
    return RandomPositions(tiles, _pixels(tiles, labels), patch_px=patch_px, seed=seed)


def _grid(tiles, labels, patch_px=PATCH, stride_px=16, seed=0):
    pixels = _pixels(tiles, labels)
    return GridPositions(tiles, pixels, patch_px=patch_px, stride_px=stride_px, seed=seed)


@pytest.fixture(params=[_random, _grid])
def build(request):
    return request.param


def _budget(tiles, fraction=0.1, seed=0, block_px=16):
    unit = Unit(kind="block", size_px=block_px)
    _, pixels = draw_budget(tiles, fraction=fraction, seed=seed, unit=unit, num_classes=3)
    held = np.concatenate([pixels.tile(index).reshape(-1) for index in range(len(tiles))])
    return np.where(held, tiles.masks, np.uint8(IGNORE_INDEX))


def _crop(tiles, labels, position, patch_px):
    tile, top, left = (int(number) for number in position)
    height, width = tiles.shapes[tile]
    mask = labels[tiles.starts[tile] : tiles.starts[tile + 1]].reshape(height, width)
    return mask[top : top + patch_px, left : left + patch_px]


def _grid_by_loops(tiles, patch_px, stride_px):
    found = []
    for index, (height, width) in enumerate(tiles.shapes):
        for top in _line_by_loop(height - patch_px, stride_px):
            for left in _line_by_loop(width - patch_px, stride_px):
                found.append([index, top, left])
    return found


def _line_by_loop(last, stride_px):
    starts = []
    at = 0
    while at < last:
        starts.append(at)
        at += stride_px
    return [*starts, max(last, 0)]


def _is_on_tiles(tiles, positions, patch_px):
    last = np.maximum(tiles.shapes[positions[:, 0]] - patch_px, 0)
    corner = positions[:, 1:].numpy()
    return bool((corner >= 0).all() and (corner <= last).all())


def test_positions_are_triples_of_int64_on_the_host(random_tiles, build):
    tiles = random_tiles()
    positions = build(tiles, tiles.masks)
    for drawn in (positions.annotated(0, 5), positions.anywhere(0, 5)):
        assert drawn.shape == (5, 3)
        assert drawn.dtype == torch.int64
        assert drawn.device.type == "cpu"


def test_the_same_seed_and_step_give_the_same_and_others_others(random_tiles, build):
    tiles = random_tiles()
    labels = _budget(tiles, 0.5)
    for kind in ("annotated", "anywhere"):
        drawn = [
            getattr(build(tiles, labels, seed=seed), kind)(step, 8).tolist()
            for seed, step in ((0, 3), (0, 3), (0, 4), (1, 3))
        ]
        assert drawn[0] == drawn[1]
        assert drawn[0] != drawn[2]
        assert drawn[0] != drawn[3]


def test_steps_can_be_asked_in_any_order(random_tiles, build):
    tiles = random_tiles()
    ahead, back = (build(tiles, tiles.masks) for _ in range(2))
    forward = [ahead.annotated(step, 5).tolist() for step in range(12)]
    for step in reversed(range(12)):
        back.anywhere(step, 3)
        assert back.annotated(step, 5).tolist() == forward[step]


def test_annotated_and_anywhere_are_separate_streams(random_tiles, build):
    tiles = random_tiles(unlabelled=0)
    positions = build(tiles, tiles.masks)
    assert positions.annotated(0, 8).tolist() != positions.anywhere(0, 8).tolist()


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    patch_px=st.integers(1, 24),
    fraction=st.floats(0.01, 1),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_random_patches_lie_on_their_tile_and_hold_annotation(
    random_tiles, sizes, patch_px, fraction, seed
):
    tiles = random_tiles(sizes, seed=seed, unlabelled=0.5)
    if not (tiles.masks != IGNORE_INDEX).any():
        return
    labels = _budget(tiles, fraction, seed, block_px=7)
    positions = _random(tiles, labels, patch_px, seed)
    drawn = positions.annotated(1, 16)
    assert _is_on_tiles(tiles, drawn, patch_px)
    for position in drawn:
        assert (_crop(tiles, labels, position, patch_px) != IGNORE_INDEX).any()
    assert _is_on_tiles(tiles, positions.anywhere(1, 16), patch_px)


def test_every_annotated_pixel_is_equally_likely(random_tiles):
    # A patch of one pixel shows around which pixel it was drawn.
    tiles = random_tiles([(5, 9), (1, 4), (7, 3)], unlabelled=0.4)
    positions = _random(tiles, tiles.masks, patch_px=1)
    drawn = positions.annotated(0, 20_000).numpy()
    pixels = tiles.starts[drawn[:, 0]] + drawn[:, 1] * tiles.shapes[drawn[:, 0], 1] + drawn[:, 2]
    counts = np.bincount(pixels, minlength=len(tiles.masks))
    annotated = tiles.masks != IGNORE_INDEX
    expected = 20_000 / annotated.sum()
    assert counts[~annotated].sum() == 0
    chi_square = ((counts[annotated] - expected) ** 2 / expected).sum()
    degrees = annotated.sum() - 1
    assert chi_square < degrees + 3.3 * np.sqrt(2 * degrees)


def test_the_annotated_pixel_lies_anywhere_in_its_patch(random_tiles):
    tiles = random_tiles([(100, 100)])
    labels = np.full_like(tiles.masks, IGNORE_INDEX)
    labels[50 * 100 + 40] = 1
    drawn = _random(tiles, labels, patch_px=8).annotated(0, 4000).numpy()
    assert set(drawn[:, 1]) == set(range(43, 51))
    assert set(drawn[:, 2]) == set(range(33, 41))
    counts = np.unique(drawn[:, 1:], axis=0, return_counts=True)[1]
    assert len(counts) == 64
    assert ((counts - 62.5) ** 2 / 62.5).sum() < 63 + 3.3 * np.sqrt(126)


def test_patches_at_an_edge_are_moved_onto_the_tile(random_tiles):
    tiles = random_tiles([(40, 50)])
    for pixel, corner in ((0, [0, 0, 0]), (40 * 50 - 1, [0, 8, 18])):
        labels = np.full_like(tiles.masks, IGNORE_INDEX)
        labels[pixel] = 0
        drawn = _random(tiles, labels).annotated(0, 20).tolist()
        assert corner in drawn
        assert _is_on_tiles(tiles, torch.tensor(drawn), PATCH)


def test_patches_anywhere_are_uniform_over_all_positions(random_tiles):
    tiles = random_tiles([(12, 9), (3, 10), (2, 2)])  # 5 x 2, 1 x 3 and 1 places for patches of 8
    drawn = _random(tiles, tiles.masks, patch_px=8).anywhere(0, 7000)
    places, counts = np.unique(drawn.numpy(), axis=0, return_counts=True)
    assert len(places) == 14
    assert ((counts - 500) ** 2 / 500).sum() < 13 + 3.3 * np.sqrt(26)


def test_patches_anywhere_do_not_depend_on_the_annotation(random_tiles):
    tiles = random_tiles()
    for make in (_random, _grid):
        few, all_ = make(tiles, _budget(tiles, 0.05)), make(tiles, tiles.masks)
        assert few.anywhere(3, 9).tolist() == all_.anywhere(3, 9).tolist()


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    patch_px=st.integers(1, 24),
    stride_px=st.integers(1, 30),
)
@settings(max_examples=60, deadline=None)
def test_the_grid_by_loops(random_tiles, sizes, patch_px, stride_px):
    tiles = random_tiles(sizes)
    grid = patch_grid(tiles, patch_px, stride_px)
    assert grid.dtype == torch.int64
    assert grid.tolist() == _grid_by_loops(tiles, patch_px, stride_px)


def test_the_grid_of_the_paper_and_the_edges(random_tiles):
    # Vaihingen tile 1: 2569 x 1919 px, patches of 256 at step 64: 37 x 26, and the two edges.
    tiles = random_tiles([(2569, 1919)], num_bands=1)
    assert len(patch_grid(tiles, 256, 64)) == 38 * 27


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    patch_px=st.integers(1, 20),
    stride_px=st.integers(1, 20),
    seed=st.integers(0, 9),
    num=st.integers(1, 7),
)
@settings(max_examples=40, deadline=None)
def test_an_epoch_visits_every_grid_patch_with_annotation_once(
    random_tiles, sizes, patch_px, stride_px, seed, num
):
    tiles = random_tiles(sizes, seed=seed, unlabelled=0.3)
    if not (tiles.masks != IGNORE_INDEX).any():
        return
    labels = _budget(tiles, 0.3, seed, block_px=9)
    grid = _grid_by_loops(tiles, patch_px, stride_px)
    held = [p for p in grid if (_crop(tiles, labels, p, patch_px) != IGNORE_INDEX).any()]
    if not held:
        with pytest.raises(ValueError, match="a pixel on the patch grid, got none"):
            _grid(tiles, labels, patch_px, stride_px)
        return
    positions = _grid(tiles, labels, patch_px, stride_px, seed)
    for kind, expected in (("annotated", held), ("anywhere", grid)):
        # As many steps as make three whole epochs, whatever the batch size.
        steps = -(-3 * len(expected) // num)
        drawn = [p for step in range(steps) for p in getattr(positions, kind)(step, num).tolist()]
        for epoch in range(3):
            visited = drawn[epoch * len(expected) : (epoch + 1) * len(expected)]
            assert sorted(visited) == expected


def test_every_annotated_pixel_lies_in_a_patch_of_the_grid(random_tiles):
    tiles = random_tiles([(70, 45)], unlabelled=0)
    seen = np.zeros((70, 45), dtype=bool)
    for _, top, left in patch_grid(tiles, PATCH, 16).tolist():
        seen[top : top + PATCH, left : left + PATCH] = True
    assert seen.all()


def test_epochs_are_shuffled_differently(random_tiles):
    tiles = random_tiles([(96, 96)])
    positions = _grid(tiles, tiles.masks)
    first, second = (positions.annotated(epoch, 25).tolist() for epoch in range(2))
    assert len(first) == len(_grid_by_loops(tiles, PATCH, 16)) == 25
    assert sorted(first) == sorted(second)
    assert first != second
    assert first != sorted(first)


def test_a_batch_may_be_larger_than_an_epoch(random_tiles):
    tiles = random_tiles([(20, 20)])
    assert _grid(tiles, tiles.masks).annotated(2, 5).tolist() == [[0, 0, 0]] * 5


def test_labels_without_annotation_are_refused(random_tiles, build):
    tiles = random_tiles()
    with pytest.raises(ValueError, match="annotated must hold a pixel"):
        build(tiles, np.full_like(tiles.masks, IGNORE_INDEX))
