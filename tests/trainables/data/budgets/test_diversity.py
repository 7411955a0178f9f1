"""Which imagery differs most, against plain loops and without labels."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.data.budgets import pixel_set
from trainables.data.budgets.diversity import diverse_order, looks, square_moments
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles


def _plain_features(tile, rows, columns):
    """Means, then deviations, of every band and its gradient, by numpy over one square."""
    means, deviations = [], []
    for band in tile.image.astype(float):
        right, below = np.zeros_like(band), np.zeros_like(band)
        shown = np.ones(band.shape, dtype=bool) if tile.shown is None else tile.shown
        right[:, :-1] = np.where(shown[:, 1:], band[:, 1:] - band[:, :-1], 0)
        below[:-1] = np.where(shown[1:], band[1:] - band[:-1], 0)
        for plane in (band, np.hypot(right, below)):
            held = plane[rows, columns]
            if tile.shown is not None:
                held = held[tile.shown[rows, columns]]
            means.append(held.mean())
            deviations.append(held.std())
    return [*means, *deviations]


@pytest.mark.parametrize("strip_px", [1, 200, 2**22])
@pytest.mark.parametrize("hides", [False, True])
def test_features_are_those_of_plain_loops(random_tiles, monkeypatch, strip_px, hides):
    monkeypatch.setattr(pixel_set, "STRIP_PX", strip_px)
    tiles = random_tiles([(20, 17), (10, 9)])
    if hides:
        shown = np.random.default_rng(0).random((20, 17)) < 0.7
        tiles = pack_tiles([replace(tiles.tile(0), shown=shown), tiles.tile(1)])
    places = [("t1", 0, 0), ("t0", 1, 0), ("t0", 2, 1), ("t0", 0, 1)]
    slices = [np.s_[0:10, 0:9], np.s_[8:16, 0:8], np.s_[16:20, 8:17], np.s_[0:8, 8:17]]
    found = looks(square_moments(tiles, np.array([8, 8]), places))
    expected = np.array(
        [
            _plain_features(tiles.tile(int(name[1])), *where)
            for (name, _, _), where in zip(places, slices, strict=True)
        ]
    )
    expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_labels_are_not_looked_at(random_tiles):
    tiles = random_tiles()
    places, sides_px = [("t0", 0, 0), ("t1", 0, 1), ("t2", 1, 1)], np.full(3, 16)
    hidden = replace(tiles, masks=np.full_like(tiles.masks, IGNORE_INDEX))
    expected = square_moments(tiles, sides_px, places)
    assert np.array_equal(square_moments(hidden, sides_px, places), expected)


def test_what_is_the_same_everywhere_and_what_shows_nothing_is_0():
    image = np.zeros((2, 4, 8), dtype=np.uint8)
    image[0, :, 4:] = 9
    image[1] = 5
    shown = np.ones((4, 8), dtype=bool)
    shown[:, :2] = False
    tiles = pack_tiles(
        [Tile(name="a", image=image, mask=np.zeros((4, 8), dtype=np.uint8), shown=shown)]
    )
    places = [("a", row, column) for row in range(2) for column in range(4)]
    features = looks(square_moments(tiles, np.array([2]), places))
    assert np.isfinite(features).all()
    assert (features[[0, 4]] == 0).all()
    assert (features[:, [2, 3, 6, 7]] == 0).all()  # of the second band, which is one colour
    assert (features[:, 0] != 0).any()


def test_farthest_first_by_hand():
    features = np.array([[0.0], [1.0], [10.0], [4.0], [10.0]])
    orders = {tuple(diverse_order(features, seed=seed).tolist()) for seed in range(30)}
    assert (0, 2, 3, 1, 4) in orders
    assert (2, 0, 3, 1, 4) in orders
    assert {order[0] for order in orders} == {0, 1, 2, 3, 4}
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)


def test_a_diverse_front_shows_every_kind_of_imagery_where_a_random_one_does_not():
    generator = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2, 3], [94, 2, 2, 2])
    features = kinds[:, None] * 5.0 + generator.normal(0, 0.3, (100, 1))
    for seed in range(10):
        assert len(set(kinds[diverse_order(features, seed=seed)[:5]])) == 4
