"""Shifted borders: their size, their smoothness, and what they must not touch."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.data.budgets import pixel_set
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.label_noise import _sources, shift_labels
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles


def _stripes(height=96, width=96, step=24, name="a"):
    mask = np.broadcast_to(np.arange(width) // step % 3, (height, width)).astype(np.uint8)
    return Tile(name=name, image=np.zeros((1, height, width), np.uint8), mask=mask.copy())


def _whole(tiles, fraction=1.0, kind="tile", size_px=0):
    unit = Unit(kind=kind, size_px=size_px)
    return draw_budget(tiles, fraction=fraction, seed=1, unit=unit, num_classes=3)[1]


def _shift(tiles, annotated, std_px=2.0, seed=3):
    return shift_labels(tiles, annotated, std_px=std_px, seed=seed, num_classes=3)


def _given(tiles, pixels, index=0):
    return pixels.given(index, 0, tiles.tile(index).mask)


def test_offsets_have_the_standard_deviation_asked_for_at_every_pixel():
    rows, columns = np.mgrid[:40, :50]
    drawn = np.stack(
        [
            np.stack(_sources("a", (2000, 2000), (900, 940), 5.0, seed))[:, :, 900:950]
            - np.stack([rows + 900, columns + 900])
            for seed in range(300)
        ]
    )
    spread = drawn.std(axis=0)
    assert abs(drawn.mean()) < 0.3
    assert 4.0 < spread.min() < spread.max() < 6.0  # also between knots; 300 draws of a pixel
    assert abs(spread.mean() - 5.0) < 0.15


def test_offsets_are_smooth_and_differ_between_tiles_seeds_and_directions():
    rows, columns = _sources("a", (300, 300), (0, 300), 3.0, 0)
    down, across = rows - np.arange(300)[:, None], columns - np.arange(300)
    for field in (down[20:-20, 20:-20], across[20:-20, 20:-20]):
        assert np.abs(np.diff(field, axis=0)).max() <= 1
        assert np.abs(np.diff(field, axis=1)).max() <= 1
        assert np.ptp(field) > 3
    assert not np.array_equal(down, across)
    for name, seed in (("b", 0), ("a", 1)):
        assert not np.array_equal(_sources(name, (300, 300), (0, 300), 3.0, seed)[0], rows)


@pytest.mark.parametrize("strip_px", [1, 700, 2**22])
def test_strips_give_what_whole_tiles_give_and_it_is_the_class_at_the_source(monkeypatch, strip_px):
    tiles = pack_tiles([_stripes(), _stripes(50, 61, 7, "b")])
    whole = _whole(tiles)
    monkeypatch.setattr(pixel_set, "STRIP_PX", strip_px)
    noisy = _shift(tiles, whole)
    for index, tile in enumerate(tiles):
        rows, columns = _sources(tile.name, tile.mask.shape, (0, tile.mask.shape[0]), 2.0, 3)
        assert np.array_equal(_given(tiles, noisy, index), tile.mask[rows, columns])
    assert noisy.checksum != whole.checksum
    assert np.array_equal(noisy.bits, whole.bits)


def test_borders_move_and_what_is_far_from_them_stays():
    tiles = pack_tiles([_stripes(400, 400, 50)])
    mask, noisy = tiles.tile(0).mask, _given(tiles, _shift(tiles, _whole(tiles)))
    distance = np.abs((np.arange(400) + 25) % 50 - 25)
    changed = (noisy != mask)[:, 25:-25].mean(axis=0)
    assert changed[distance[25:-25] == 0].mean() > 0.3
    assert changed[distance[25:-25] > 12].max() == 0  # six standard deviations


def test_the_same_seed_shifts_alike_whatever_the_order_and_the_fraction():
    one, two = _stripes(), _stripes(80, 70, 11, "b")
    tiles, turned = pack_tiles([one, two]), pack_tiles([two, one])
    noisy, other = _shift(tiles, _whole(tiles)), _shift(turned, _whole(turned))
    assert np.array_equal(_given(tiles, noisy, 0), _given(turned, other, 1))
    assert _shift(tiles, _whole(tiles)).checksum == noisy.checksum
    assert _shift(tiles, _whole(tiles), seed=4).checksum != noisy.checksum


@pytest.mark.parametrize(("kind", "size_px"), [("block", 16), ("point", 6), ("area", 32)])
def test_nothing_outside_of_the_budget_is_known_to_an_annotator(random_tiles, kind, size_px):
    """Classes that a budget does not hold came in over its edge."""
    tiles = random_tiles(unlabelled=0.1)
    annotated = _whole(tiles, 0.3, kind, size_px)
    noisy = _shift(tiles, annotated)
    inside = np.concatenate([annotated.tile(index).ravel() for index in range(len(tiles))])
    other = np.where(inside, tiles.masks, IGNORE_INDEX).astype(np.uint8)
    assert _shift(replace(tiles, masks=other), annotated).checksum == noisy.checksum
    for index in range(len(tiles)):
        given = _given(tiles, noisy, index)
        assert np.array_equal(given != IGNORE_INDEX, annotated.tile(index))
        assert set(np.unique(given)) <= {0, 1, 2, IGNORE_INDEX}
