"""What holds for every budget, whatever the tiles, the unit, the fraction and the seed."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trainables.data.budgets.annotation import Budget, verify_pixels
from trainables.data.budgets.drawing import annotated_pixels, draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles

NUM_CLASSES = 4
FEW = settings(max_examples=60, deadline=None)


@st.composite
def tile_sets(draw):
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = st.integers(1, 19)
    sizes = draw(st.lists(st.tuples(side, side), min_size=1, max_size=4))
    weights = generator.dirichlet([0.4] * NUM_CLASSES)
    unlabelled = draw(st.floats(0, 0.95))
    tiles = []
    for index, (height, width) in enumerate(sizes):
        mask = generator.choice(NUM_CLASSES, (height, width), p=weights).astype(np.uint8)
        mask[generator.random(mask.shape) < unlabelled] = IGNORE_INDEX
        image = np.zeros((1, height, width), dtype=np.uint8)
        tiles.append(Tile(name=f"t{index}", image=image, mask=mask))
    packed = pack_tiles(tiles)
    assume((packed.masks != IGNORE_INDEX).any())
    return packed


UNITS = st.one_of(
    st.builds(Unit, kind=st.just("block"), size_px=st.integers(1, 8), stratified=st.booleans()),
    st.builds(Unit, kind=st.just("tile"), size_px=st.just(0), stratified=st.booleans()),
    st.builds(Unit, kind=st.just("area"), size_px=st.integers(1, 40), stratified=st.booleans()),
    st.builds(
        Unit,
        kind=st.sampled_from(["block", "area"]),
        size_px=st.integers(1, 40),
        order=st.just("diverse"),
    ),
    st.just(Unit(kind="tile", size_px=0, order="diverse")),
    st.builds(Unit, kind=st.just("point"), size_px=st.integers(0, 4), stratified=st.booleans()),
)
SEEDS = st.integers(0, 2**31 - 1)
FRACTIONS = st.floats(0.005, 1)


def _draw(tiles, fraction, unit, seed, smallest=None):
    return draw_budget(
        tiles,
        fraction=fraction,
        seed=seed,
        unit=unit,
        num_classes=NUM_CLASSES,
        smallest=smallest,
    )


def _largest_and_least_unit_px(tiles, unit):
    """Labelled pixels of the largest and of the least unit that holds any, by plain loops."""
    counts = []
    for tile in tiles:
        labelled = tile.mask != IGNORE_INDEX
        if unit.kind == "tile":
            counts.append(labelled.sum())
        elif unit.kind in ("block", "area"):
            counts += [square.sum() for square in _squares(labelled, _side(unit))]
        else:
            y, x = np.indices(labelled.shape)
            for row, column in np.argwhere(labelled):
                inside = (y - row) ** 2 + (x - column) ** 2 <= unit.size_px**2
                counts.append((inside & labelled).sum())
    held = [int(count) for count in counts if count]
    return max(held), min(held)


def _side(unit):
    """Of the squares that units are made of."""
    return {"block": unit.size_px, "area": max(1, unit.size_px // 8)}.get(unit.kind, 1000)


def _ends(length, side):
    """Where squares end, by a plain loop: what is left over is one from half a side on."""
    ends = [side * (i + 1) for i in range(length // side)]
    if 2 * (length - (ends or [0])[-1]) >= side or not ends:
        ends.append(length)
    return [*ends[:-1], length]


def _squares(plane, side):
    height, width = plane.shape
    rows, columns = ([0, *_ends(length, side)] for length in (height, width))
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield plane[top:bottom, left:right]


@given(tile_sets(), UNITS, SEEDS, st.lists(FRACTIONS, min_size=2, max_size=3))
@FEW
def test_smaller_budgets_lie_inside_larger_ones(tiles, unit, seed, fractions):
    fractions = [*sorted(fractions), 1.0]
    sets = [_draw(tiles, fraction, unit, seed, fractions[0])[1] for fraction in fractions]
    for smaller, larger in pairwise(sets):
        assert not (smaller.bits & ~larger.bits).any()
    for index, tile in enumerate(tiles):
        assert np.array_equal(sets[-1].tile(index), tile.mask != IGNORE_INDEX)


@given(tile_sets(), UNITS, SEEDS, FRACTIONS, st.floats(0.05, 1))
@FEW
def test_the_share_reached_is_within_one_unit_below_the_share_asked(
    tiles, unit, seed, fraction, part
):
    smallest = fraction * part
    budget, _ = _draw(tiles, fraction, unit, seed, smallest)
    largest_px, least_px = _largest_and_least_unit_px(tiles, unit)
    asked_px = fraction * budget.labelled_px + 1e-6
    if least_px <= smallest * budget.labelled_px + 1e-6:
        assert budget.annotated_px <= asked_px
        assert not budget.exceeds
    else:
        assert budget.exceeds == (budget.annotated_px > asked_px)
        assert not budget.exceeds or budget.num_units == 1
        assert not budget.exceeds or budget.annotated_px <= largest_px
    assert budget.annotated_px > 0
    assert budget.annotated_px > asked_px - largest_px or fraction == 1.0
    assert fraction < 1 or budget.annotated_px == budget.labelled_px


@given(tile_sets(), UNITS, SEEDS)
@FEW
def test_where_no_unit_fits_exactly_one_is_taken(tiles, unit, seed):
    _, least_px = _largest_and_least_unit_px(tiles, unit)
    labelled_px = int((tiles.masks != IGNORE_INDEX).sum())
    fraction = (least_px - 0.5) / labelled_px
    budget, _ = _draw(tiles, fraction, unit, seed)
    assert budget.num_units == 1
    assert budget.exceeds
    assert budget.annotated_px >= least_px


@given(tile_sets(), UNITS, SEEDS, FRACTIONS)
@FEW
def test_exactly_the_pixels_of_the_units_are_counted_and_set(tiles, unit, seed, fraction):
    budget, pixels = _draw(tiles, fraction, unit, seed)
    inside = np.concatenate([pixels.tile(index).ravel() for index in range(len(tiles))])
    assert not (tiles.masks[inside] == IGNORE_INDEX).any()
    given = [pixels.given(index, 0, tile.mask).ravel() for index, tile in enumerate(tiles)]
    labels = np.concatenate(given)[inside]
    if budget.labels == "reference":
        assert np.array_equal(labels, tiles.masks[inside])
    assert budget.class_px == tuple(int((labels == k).sum()) for k in range(NUM_CLASSES))
    everything = tuple(int((tiles.masks == k).sum()) for k in range(NUM_CLASSES))
    assert budget.labelled_class_px == everything
    assert budget.annotated_px == len(labels) == sum(budget.class_px)
    assert budget.labelled_px == sum(everything)
    assert budget.fraction_reached == len(labels) / sum(everything)
    assert budget.empty_classes == tuple(k for k in range(NUM_CLASSES) if k not in labels)
    if unit.kind == "area":
        assert budget.units == ()
        return
    if unit.kind == "point":
        assert budget.units == ()
        assert (budget.labels == "click") == (pixels.labels is not None)
        return
    assert budget.labels == "reference"
    assert pixels.labels is None
    assert len(set(budget.units)) == len(budget.units) == budget.num_units
    assert {name for name, _, _ in budget.units} <= set(tiles.names)
    for index, tile in enumerate(tiles):
        rows, columns = (_ends(length, _side(unit)) for length in tile.mask.shape)
        for (y, x), label in np.ndenumerate(tile.mask):
            row, column = np.searchsorted(rows, y, "right"), np.searchsorted(columns, x, "right")
            in_unit = (tile.name, row, column) in budget.units
            assert pixels.tile(index)[y, x] == (in_unit and label != IGNORE_INDEX)


@given(tile_sets(), UNITS, SEEDS, FRACTIONS)
@FEW
def test_a_manifest_gives_its_pixels_again(tiles, unit, seed, fraction):
    budget, pixels = _draw(tiles, fraction, unit, seed, fraction / 2)
    again, pixels_again = _draw(tiles, fraction, unit, seed, fraction / 2)
    assert again == budget
    assert np.array_equal(pixels_again.bits, pixels.bits)
    back = Budget.from_plain(budget.to_plain())
    assert back == budget
    redrawn = annotated_pixels(tiles, back)
    assert np.array_equal(redrawn.bits, pixels.bits)
    assert redrawn.checksum == pixels.checksum
    verify_pixels(tiles, back, redrawn)


@given(tile_sets(), UNITS, SEEDS, FRACTIONS)
@FEW
def test_the_order_of_the_tiles_changes_nothing_in_them(tiles, unit, seed, fraction):
    budget, pixels = _draw(tiles, fraction, unit, seed)
    turned_budget, turned = _draw(pack_tiles([*tiles][::-1]), fraction, unit, seed)
    assert turned_budget.units == budget.units
    assert turned_budget.class_px == budget.class_px
    assert turned_budget.num_units == budget.num_units
    for index in range(len(tiles)):
        assert np.array_equal(turned.tile(len(tiles) - 1 - index), pixels.tile(index))
