"""Which pixels budgets hold, by hand, by fraction, seed, unit and order."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from trainables.data.budgets import drawing
from trainables.data.budgets.annotation import (
    Budget,
)
from trainables.data.budgets.diversity import diverse_order
from trainables.data.budgets.drawing import (
    HeldUnits,
    annotated_pixels,
    draw_budget,
    draw_budgets,
)
from trainables.data.budgets.units import Unit, take_discs
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.errors import DataError

BLOCK = Unit(kind="block", size_px=8)
UNITS = [
    Unit(kind=kind, size_px=size_px, stratified=stratified)
    for kind, size_px in (("block", 8), ("tile", 0), ("point", 3), ("area", 24))
    for stratified in (False, True)
] + [
    Unit(kind=kind, size_px=size_px, order="diverse")
    for kind, size_px in (("block", 8), ("tile", 0), ("area", 24))
]


def _draw(tiles, fraction, seed=0, unit=BLOCK, smallest=None):
    return draw_budget(
        tiles, fraction=fraction, seed=seed, unit=unit, num_classes=3, smallest=smallest
    )


def _blocks(tiles, fraction, size_px, seed=0, smallest=None):
    unit = Unit(kind="block", size_px=size_px)
    return _draw(tiles, fraction, seed, unit, smallest)[0].units


def _tile(mask, name="a"):
    return Tile(name=name, image=np.zeros((3, *mask.shape), dtype=np.uint8), mask=mask)


def _two_by_two(counts):
    """One tile of four 4 x 4 blocks with these numbers of labelled pixels, classes 0 and 1."""
    mask = np.full((8, 8), IGNORE_INDEX, dtype=np.uint8)
    for (row, column), count in np.ndenumerate(np.reshape(counts, (2, 2))):
        block = np.full(16, IGNORE_INDEX, dtype=np.uint8)
        block[:count] = column
        mask[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = block.reshape(4, 4)
    return pack_tiles([_tile(mask)])


def test_four_blocks_by_hand():
    tiles = _two_by_two([[10, 10], [10, 10]])
    fractions = (0.01, 0.25, 0.49, 0.5, 0.75, 1)
    assert [len(_blocks(tiles, fraction, 4)) for fraction in fractions] == [1, 1, 1, 2, 3, 4]
    half, pixels = _draw(tiles, 0.5, unit=Unit(kind="block", size_px=4))
    assert (half.labelled_px, half.annotated_px, half.fraction_reached) == (40, 20, 0.5)
    left = sum(column == 0 for _, _, column in half.units)
    assert half.class_px == (10 * left, 10 * (2 - left), 0)
    assert half.labelled_class_px == (20, 20, 0)
    assert (half.num_units, half.seed, half.fraction_asked, half.smallest) == (2, 0, 0.5, 0.5)
    assert half.pixels_checksum == pixels.checksum
    assert 2 in half.empty_classes
    assert not half.exceeds


def test_the_budget_stops_at_the_first_block_that_does_not_fit():
    # Taking a later, smaller block instead would break nesting.
    tiles = _two_by_two([[1, 2], [12, 5]])
    labelled = {("a", 0, 0): 1, ("a", 0, 1): 2, ("a", 1, 0): 12, ("a", 1, 1): 5}
    for seed in range(6):
        order = _blocks(tiles, 1.0, 4, seed, smallest=0.1)
        assert labelled[order[0]] <= 2
        reached = np.cumsum([labelled[place] for place in order])
        for fraction in np.linspace(0.1, 1, 37):
            within = int((reached <= fraction * 20 + 1e-6).sum())
            assert _blocks(tiles, float(fraction), 4, seed, smallest=0.1) == order[:within]


def test_the_first_block_that_fits_the_smallest_fraction_leads():
    tiles = _two_by_two([[12, 12], [12, 3]])
    for seed in range(8):
        budget, _ = _draw(tiles, 0.1, seed, Unit(kind="block", size_px=4))
        assert budget.units == (("a", 1, 1),)
        assert not budget.exceeds
    orders = {_blocks(tiles, 1.0, 4, seed, smallest=0.1)[1:] for seed in range(30)}
    assert len(orders) == 6  # all orders of the others


def test_one_block_is_taken_and_said_to_exceed_where_none_fits():
    budget, _ = _draw(_two_by_two([[10, 10]] * 2), 0.001, unit=Unit(kind="block", size_px=4))
    assert (budget.num_units, budget.annotated_px, budget.fraction_reached) == (1, 10, 0.25)
    assert budget.exceeds


def test_a_disc_by_hand():
    # A disc of radius 9 covers all of the only labelled island.
    mask = np.full((30, 30), IGNORE_INDEX, dtype=np.uint8)
    mask[4:6, 4:6] = [[0, 1], [1, 1]]
    budget, pixels = _draw(pack_tiles([_tile(mask)]), 0.5, unit=Unit(kind="point", size_px=9))
    assert (budget.num_units, budget.annotated_px, budget.exceeds) == (1, 4, True)
    assert sorted(budget.class_px) == [0, 0, 4]  # all are given the class of the one clicked
    assert budget.labelled_class_px == (1, 3, 0)
    assert np.array_equal(pixels.tile(0), mask != IGNORE_INDEX)
    single, _ = _draw(pack_tiles([_tile(mask)]), 0.5, unit=Unit(kind="point", size_px=0))
    assert (single.num_units, single.annotated_px, single.units) == (2, 2, ())


def test_fractions_that_binary_floating_point_cannot_hold_are_reached():
    tiles = pack_tiles([_tile(np.zeros((4, 40), dtype=np.uint8))])
    for tenths in range(1, 11):
        assert len(_blocks(tiles, tenths / 10, 4)) == tenths
    assert len(_blocks(tiles, 0.1 + 0.2, 4)) == 3
    assert len(_blocks(tiles, 1 - 0.9, 4)) == 1
    hundred = pack_tiles([_tile(np.zeros((10, 10), dtype=np.uint8))])
    assert 0.29 * 100 < 29
    assert 0.57 * 100 < 57
    for unit in (Unit(kind="block", size_px=1), Unit(kind="point", size_px=0)):
        assert _draw(hundred, 0.29, unit=unit)[0].num_units == 29
        assert _draw(hundred, 0.57, unit=unit)[0].num_units == 57


def test_a_block_without_labelled_pixels_is_never_taken():
    tiles = _two_by_two([[0, 16], [0, 16]])
    for seed in range(10):
        assert {column for _, _, column in _blocks(tiles, 1.0, 4, seed)} == {1}
        assert len(_blocks(tiles, 0.5, 4, seed)) == 1


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_full_annotation_reveals_exactly_all_labelled_pixels(random_tiles, unit):
    tiles = random_tiles()
    budget, pixels = _draw(tiles, 1.0, unit=unit, smallest=0.01)
    for index, tile in enumerate(tiles):
        assert np.array_equal(pixels.tile(index), tile.mask != IGNORE_INDEX)
    assert budget.fraction_reached == 1.0
    assert budget.class_px == budget.labelled_class_px
    assert not budget.exceeds


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_the_same_call_gives_the_same_budget_and_another_seed_another(random_tiles, unit):
    sizes = [(30, 20)] * 12
    budgets = [_draw(random_tiles(sizes), 0.3, seed, unit)[0] for seed in (0, 0, *range(1, 8))]
    assert budgets[0] == budgets[1]
    assert budgets[0].checksum == budgets[1].checksum
    # Three of twelve tiles, one of each class, may be the same for two of the eight seeds.
    assert len({budget.pixels_checksum for budget in budgets}) >= 5
    assert len({budget.checksum for budget in budgets}) == 8


def test_every_block_is_equally_likely_to_be_the_first(random_tiles):
    tiles = random_tiles([(16, 24), (8, 16)], unlabelled=0.1)  # 8 blocks
    first = [_blocks(tiles, 0.01, 8, seed)[0] for seed in range(800)]
    every = sorted(_blocks(tiles, 1.0, 8))
    counts = np.array([first.count(block) for block in every])
    assert (len(every), counts.sum()) == (8, 800)
    assert ((counts - 100) ** 2 / 100).sum() < 24.3  # chi-square, 7 degrees, 0.1 %


def test_another_process_draws_the_same_budgets():
    code = (
        "import numpy as np\n"
        "from trainables.data.budgets.drawing import draw_budget\n"
        "from trainables.data.budgets.units import Unit\n"
        "from trainables.data.tilesets.tileset import Tile, pack_tiles\n"
        "tile = lambda n: Tile(name=n, image=np.zeros((3, 50, 70), np.uint8),"
        " mask=np.arange(3500, dtype=np.uint8).reshape(50, 70) % 3)\n"
        "tiles = pack_tiles([tile('b'), tile('a'), tile('c')])\n"
        "draw = lambda kind, px, even: draw_budget(tiles, fraction=0.4, seed=5, num_classes=3,"
        " unit=Unit(kind=kind, size_px=px, stratified=even))[0].checksum\n"
        "found = ' '.join(draw(kind, px, even) for even in (False, True)"
        " for kind, px in (('block', 8), ('tile', 0), ('point', 2), ('area', 24)))\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code + "print(found)\n"],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    here: dict = {}
    exec(code, here)
    assert len(set(here["found"].split())) == 8
    assert other.stdout.strip() == here["found"]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.0001, float("nan"), float("inf")])
def test_a_fraction_out_of_range_is_refused(random_tiles, fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\]"):
        _draw(random_tiles(), fraction)


@pytest.mark.parametrize("smallest", [0, -0.1, 0.31, float("nan")])
def test_a_smallest_fraction_out_of_range_is_refused(random_tiles, smallest):
    with pytest.raises(ValueError, match=r"smallest must be in \(0, fraction = 0.3\]"):
        _draw(random_tiles(), 0.3, smallest=smallest)


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_tiles_without_labels_are_refused(random_tiles, unit):
    with pytest.raises(DataError, match="must hold labelled pixels, got none"):
        _draw(random_tiles(unlabelled=1.1), 0.5, unit=unit)


def test_blocks_and_tiles_are_those_of_before_clicks_and_joined_edges(random_tiles):
    """Where nothing less than half a block is left over, down to the bytes of the manifest."""
    checksums = {
        ("block", False): "b87e5eed640b91a8",
        ("block", True): "28da4992870db22e",
        ("tile", False): "3acf9f9cecb125a3",
    }
    tiles = random_tiles([(70, 44), (20, 93), (64, 64)])
    for unit in UNITS[:3]:
        budget, pixels = _draw(tiles, 0.3, seed=4, unit=unit, smallest=0.1)
        assert budget.checksum.startswith(checksums[unit.kind, unit.stratified])
        assert not {"labels", "joined", "split"} & budget.to_plain().keys()
        assert "order" not in budget.to_plain()["unit"]
        assert pixels.labels is None


def test_no_unit_is_a_strip_of_a_few_pixels_at_the_edge():
    """Chips of 300 px with blocks of 59 px had 11 units of 5 px of 36 that counted as blocks."""
    tiles = pack_tiles([_tile(np.zeros((300, 300), dtype=np.uint8))])
    blocks = _blocks(tiles, 1.0, 59)
    assert sorted(blocks) == [("a", row, column) for row in range(5) for column in range(5)]
    smallest = min(_draw(tiles, 1e-6, s, Unit(kind="block", size_px=59))[0].annotated_px
                   for s in range(40))  # fmt: skip
    assert smallest == 59 * 59


def test_manifests_of_areas_hold_no_cells_and_give_their_pixels_again(random_tiles):
    unit = Unit(kind="area", size_px=16, order="diverse")
    budget, pixels = _draw(random_tiles(), 0.3, 2, unit)
    assert budget.units == ()
    assert 1 < budget.num_units < 60
    assert budget.to_plain()["unit"]["order"] == "diverse"
    again = Budget.from_plain(json.loads(json.dumps(budget.to_plain())))
    assert again == budget
    assert np.array_equal(annotated_pixels(random_tiles(), again).bits, pixels.bits)


@pytest.mark.parametrize("unit", [one for one in UNITS if one.order == "diverse"], ids=str)
def test_what_is_annotated_first_is_chosen_without_a_look_at_the_labels(random_tiles, unit):
    """Other classes at the same pixels give the same budgets; random classes hide the labels."""
    tiles = random_tiles([(30, 20)] * 12)
    generator = np.random.default_rng(1)
    masks = generator.integers(0, 3, len(tiles.masks), dtype=np.uint8)
    hidden = replace(tiles, masks=np.where(tiles.masks == IGNORE_INDEX, IGNORE_INDEX, masks))
    for seed in range(4):
        budget, pixels = _draw(tiles, 0.3, seed, unit)
        other, other_pixels = _draw(hidden, 0.3, seed, unit)
        assert (other.units, other.num_units) == (budget.units, budget.num_units)
        assert np.array_equal(other_pixels.bits, pixels.bits)
        assert other.class_px != budget.class_px


def test_moments_of_the_study_are_those_that_a_draw_computes_itself(random_tiles):
    tiles, unit = random_tiles(), Unit(kind="area", size_px=16, order="diverse")
    held = HeldUnits.find(tiles, unit, 3)
    given = draw_budget(tiles, fraction=0.3, seed=1, unit=unit, num_classes=3, held=held)
    assert given[0] == _draw(tiles, 0.3, 1, unit)[0]
    assert HeldUnits.find(tiles, BLOCK, 3).moments is None


@pytest.mark.parametrize("order", ["random", "diverse"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_one_order_gives_the_budgets_of_all_fractions(random_tiles, order, split):
    """It was drawn again for each of them."""
    tiles = random_tiles([(70, 44), (20, 93), (64, 64)])
    fractions = (0.5, 0.02, 1.0, 0.1)
    units = [one for one in UNITS if order == "random" or (
        one.kind != "point" and not one.stratified)]  # fmt: skip
    assert {one.kind for one in units} >= {"block", "tile", "area"}
    for unit in units:
        given = {"seed": 3, "unit": replace(unit, order=order), "num_classes": 3, "split": split}
        together = draw_budgets(tiles, fractions=fractions, **given)
        for fraction, (budget, pixels) in zip(fractions, together, strict=True):
            alone = draw_budget(tiles, fraction=fraction, smallest=0.02, **given)
            assert budget == alone[0]
            assert np.array_equal(pixels.bits, alone[1].bits)
            assert np.array_equal(pixels.labels, alone[1].labels)


def test_an_order_is_drawn_once_for_all_fractions(random_tiles, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        drawing, "diverse_order", lambda *a, **b: drawn.append(1) or diverse_order(*a, **b)
    )
    unit = replace(BLOCK, order="diverse")
    draw_budgets(random_tiles(), fractions=(0.1, 0.5, 1), seed=1, unit=unit, num_classes=3)
    assert len(drawn) == 1


def test_a_disc_no_longer_shows_the_border_of_classes_that_no_click_gives():
    """Pixels of a disc had the classes of the reference: an exact border for one click."""
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, 20:] = 1
    tiles, unit = pack_tiles([_tile(mask)]), Unit(kind="point", size_px=4)
    seeds_with_two = 0
    for seed in range(20):
        budget, pixels = _draw(tiles, 49 / 1600, seed, unit)
        if budget.num_units > 1:  # the first lies at the tile's edge and leaves room for another
            continue
        given = pixels.given(0, 0, mask)
        assert len(np.unique(given[given != IGNORE_INDEX])) == 1
        seeds_with_two += len(np.unique(mask[pixels.tile(0)])) == 2
    assert seeds_with_two > 0


@pytest.mark.parametrize("radius", [1, 3])
def test_a_budget_of_points_tells_of_the_reference_at_its_points_alone(random_tiles, radius):
    """Another reference off the points gives the same budget, labels and all."""
    tiles, unit = random_tiles(unlabelled=0.1), Unit(kind="point", size_px=radius)
    budget, pixels = _draw(tiles, 0.4, 3, unit, smallest=0.1)
    class_px = np.array(budget.labelled_class_px)
    limits = {"asked_px": 0.4 * class_px.sum(), "smallest_px": 0.1 * class_px.sum()}
    points, _ = take_discs(tiles, unit, class_px, seed=3, **limits)
    clicked = tiles.starts[points.tiles] + points.pixels
    masks = np.where(tiles.masks == IGNORE_INDEX, IGNORE_INDEX, (tiles.masks + 1) % 3)
    masks = masks.astype(np.uint8)
    masks[clicked] = tiles.masks[clicked]
    other, other_pixels = _draw(replace(tiles, masks=masks), 0.4, 3, unit, smallest=0.1)
    assert other_pixels.checksum == pixels.checksum
    assert other.class_px == budget.class_px
    assert other.labelled_class_px != budget.labelled_class_px
    for index in range(len(tiles)):
        given = pixels.given(index, 0, tiles.tile(index).mask)
        assert np.array_equal(other_pixels.given(index, 0, tiles.tile(index).mask), given)


@pytest.mark.parametrize("unit", UNITS)
def test_validation_has_an_order_of_its_own_from_the_same_seed(random_tiles, unit):
    tiles = random_tiles(sizes=[(64, 64)] * 6)
    options = {"unit": unit, "seed": 3, "num_classes": 3, "smallest": 0.2}
    drawn = {
        (split, fraction): draw_budget(tiles, fraction=fraction, split=split, **options)
        for split in ("train", "val")
        for fraction in (0.2, 0.5)
    }
    assert drawn["val", 0.2][0].pixels_checksum != drawn["train", 0.2][0].pixels_checksum
    small, large = (drawn["val", fraction][1].bits for fraction in (0.2, 0.5))
    assert ((small & large) == small).all(), "smaller ones are contained in larger ones"
    budget, pixels = drawn["val", 0.5]
    assert (budget.split, budget.seed) == ("val", 3)
    again = Budget.from_plain(json.loads(json.dumps(budget.to_plain())))
    assert again == budget
    assert np.array_equal(annotated_pixels(tiles, again).bits, pixels.bits)
