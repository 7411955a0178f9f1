import numpy as np
import pytest

from trainables.data.budgets import pixel_set, units
from trainables.data.budgets.pixel_set import disc_stencil, hash_pixels
from trainables.data.budgets.units import Unit, find_units, take_discs, take_units, unit_order
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.errors import ConfigError, DataError

BLOCK = Unit(kind="block", size_px=2)


def _tiles(masks):
    return pack_tiles(
        [
            Tile(name=name, image=np.zeros((1, *mask.shape), np.uint8), mask=mask)
            for name, mask in masks.items()
        ]
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "disc", "size_px": 3}, "kind must be one of block, tile, area, point, got"),
        ({"kind": "block", "size_px": 0}, "size_px must be a whole number of at least 1"),
        ({"kind": "block", "size_px": 1.5}, "size_px must be a whole number of at least 1"),
        ({"kind": "block", "size_px": True}, "size_px must be a whole number of at least 1"),
        (
            {"kind": "area", "size_px": 0},
            "size_px must be a whole number of at least 1 in a unit of kind area",
        ),
        ({"kind": "tile", "size_px": 0, "order": "best"}, "order must be one of random, diverse"),
        ({"kind": "point", "size_px": 3, "order": "diverse"}, "must be random for points"),
        (
            {"kind": "block", "size_px": 3, "order": "diverse", "stratified": True},
            "must be random where budget_stratified is true",
        ),
        ({"kind": "point", "size_px": -1}, "size_px must be a whole number of at least 0"),
        ({"kind": "tile", "size_px": 5}, "size_px must be 0 in a unit of kind tile, got 5"),
        ({"kind": "tile", "size_px": 0, "stratified": 1}, "stratified must be true or false"),
    ],
)
def test_units_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Unit(**fields)


@pytest.mark.parametrize("strip_px", [3, 2**22])
def test_counts_by_hand(monkeypatch, strip_px):
    monkeypatch.setattr(pixel_set, "STRIP_PX", strip_px)
    none = IGNORE_INDEX
    b = np.array([[0, 1, 2], [1, 1, none], [none, none, 0]], dtype=np.uint8)
    a = np.array([[2, 2, none, none]], dtype=np.uint8)
    tiles = _tiles({"b": b, "a": a})
    places, counts = find_units(tiles, BLOCK, 3)
    assert places == (("a", 0, 0), ("b", 0, 0), ("b", 0, 1), ("b", 1, 1))
    assert counts.tolist() == [[0, 0, 2], [1, 3, 0], [0, 0, 1], [1, 0, 0]]
    places, counts = find_units(tiles, Unit(kind="tile", size_px=0), 3)
    assert places == (("a", 0, 0), ("b", 0, 0))
    assert counts.tolist() == [[0, 0, 2], [2, 3, 1]]


def test_a_class_beyond_the_known_ones_is_refused():
    tiles = _tiles({"a": np.array([[0, 7]], dtype=np.uint8)})
    with pytest.raises(DataError, match="must be below 3 or 255, got 7 in tile 'a'"):
        find_units(tiles, BLOCK, 3)


def test_the_front_of_an_order_by_hand():
    def take(labelled, asked, smallest):
        order, labelled = np.arange(len(labelled)), np.array(labelled)
        return take_units(order, labelled, asked_px=asked, smallest_px=smallest).tolist()

    assert take([4, 3, 2], 6, 4) == [0]
    assert take([4, 3, 2], 7, 4) == [0, 1]
    assert take([4, 3, 2], 3, 3) == [1]  # the first does not fit, the second moves to the front
    assert take([4, 3, 2], 7, 3) == [1, 0]  # and stays there for larger fractions
    assert take([4, 3, 2], 1, 1) == [0]  # nothing fits
    assert take([4, 3, 2], 9, 1) == [0, 1, 2]


def test_stratified_order_by_hand():
    # Class 2 is the rarest; the mixed unit 4 holds a larger part of class 2 than of class 0.
    counts = np.array([[8, 0, 0], [8, 0, 0], [0, 4, 0], [0, 4, 0], [6, 0, 2]])
    for seed in range(10):
        order = unit_order(counts, seed=seed, stratified=True)
        assert sorted(order) == [0, 1, 2, 3, 4]
        strata = [{0: 0, 1: 0, 2: 1, 3: 1, 4: 2}[unit] for unit in order]
        # All at 0: rarest first; then both at one half: class 1 (8 px) before class 0 (22 px).
        assert strata == [2, 1, 0, 1, 0]


def test_the_seed_decides_the_order():
    counts = np.ones((30, 2), dtype=np.int64)
    for stratified in (False, True):
        orders = [unit_order(counts, seed=s, stratified=stratified).tolist() for s in (0, 0, 1)]
        assert orders[0] == orders[1]
        assert orders[0] != orders[2]


def _plain_points(tiles, unit, class_px, seed, asked_px, smallest_px):
    """Reference: all labelled pixels in one sorted list, discs as sets."""
    points = []
    for index, tile in enumerate(tiles):
        hashes = hash_pixels(np.arange(tile.mask.size, dtype=np.uint64), seed=seed, name=tile.name)
        for pixel, label in enumerate(tile.mask.ravel()):
            if label != IGNORE_INDEX:
                points.append((int(hashes[pixel]), index, pixel, int(label)))
    points.sort()
    if unit.stratified:
        rarity = np.argsort(np.argsort(class_px, kind="stable"))
        seen = [0] * len(class_px)
        keyed = []
        for point in points:
            label = point[3]
            keyed.append((seen[label] / class_px[label], rarity[label], point))
            seen[label] += 1
        points = [point for _, _, point in sorted(keyed)]
    discs = [_plain_disc(tiles.tile(index).mask, pixel, unit) for _, index, pixel, _ in points]
    fitting = [rank for rank, disc in enumerate(discs) if len(disc) <= smallest_px]
    ranks = list(range(len(points)))
    if fitting:
        ranks.insert(0, ranks.pop(fitting[0]))
    covered, taken = set(), []
    for rank in ranks:
        _, index, pixel, _ = points[rank]
        covered |= {(index, *place) for place in discs[rank]}
        if len(covered) > asked_px and taken:
            break
        taken.append((index, pixel))
    return taken


def _plain_disc(mask, pixel, unit):
    row, column = divmod(pixel, mask.shape[1])
    return {
        (y, x)
        for (y, x), label in np.ndenumerate(mask)
        if label != IGNORE_INDEX and (y - row) ** 2 + (x - column) ** 2 <= unit.size_px**2
    }


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("radius", [0, 1, 3])
@pytest.mark.parametrize("smallest", [0.02, 0.002, 0.1])
def test_points_equal_a_plain_search_over_all_pixels(random_tiles, stratified, radius, smallest):
    tiles = random_tiles([(17, 12), (9, 21)], unlabelled=0.3, seed=radius)
    unit = Unit(kind="point", size_px=radius, stratified=stratified)
    class_px = np.bincount(tiles.masks, minlength=256)[:3]
    for fraction in (0.1, 0.5, 0.95):
        limits = {
            "asked_px": fraction * class_px.sum(),
            "smallest_px": smallest * class_px.sum(),
        }
        points, _ = take_discs(tiles, unit, class_px, seed=5, **limits)
        expected = _plain_points(tiles, unit, class_px, 5, **limits)
        assert list(zip(points.tiles, points.pixels, strict=True)) == expected


@pytest.mark.parametrize("stratified", [False, True])
def test_points_do_not_depend_on_how_many_candidates_were_looked_at(monkeypatch, stratified):
    generator = np.random.default_rng(0)
    mask = (generator.random((200, 200)) < 0.03).astype(np.uint8)
    mask[generator.random(mask.shape) < 0.5] = IGNORE_INDEX
    tiles = _tiles({"a": mask})
    class_px = np.bincount(tiles.masks, minlength=256)[:2]
    unit = Unit(kind="point", size_px=2, stratified=stratified)
    limits = {"asked_px": 0.2 * class_px.sum(), "smallest_px": 0.01 * class_px.sum()}
    few, _ = take_discs(tiles, unit, class_px, seed=1, **limits)
    plain, shares = units._points, []

    def more(tiles, unit, class_px, seed, share):
        shares.append(share)
        return plain(tiles, unit, class_px, seed, 1.0)

    monkeypatch.setattr(units, "_points", more)
    many, _ = take_discs(tiles, unit, class_px, seed=1, **limits)
    assert shares[0] < 0.05
    assert few.pixels.tolist() == many.pixels.tolist()


def test_stratified_points_show_every_class_at_once():
    mask = np.zeros((60, 60), dtype=np.uint8)
    mask[:, 50:] = 1
    mask[7, 7] = 2
    tiles = _tiles({"a": mask})
    class_px = np.bincount(tiles.masks, minlength=256)[:3]
    unit = Unit(kind="point", size_px=0, stratified=True)
    points, _ = take_discs(tiles, unit, class_px, seed=0, asked_px=60, smallest_px=60)
    labels = mask.ravel()[points.pixels]
    assert labels[:3].tolist() == [2, 1, 0]
    assert abs((labels == 1).sum() - 10) <= 1
    assert disc_stencil(0).sum() == 1
