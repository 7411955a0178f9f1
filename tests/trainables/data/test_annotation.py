import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.annotation import (
    Budget,
    annotated_masks,
    draw_budget,
    read_budget,
    write_budget,
)
from trainables.data.spec import IGNORE_INDEX
from trainables.data.tiles import Tile
from trainables.data.tileset import pack_tiles
from trainables.errors import DataError

SIZES = st.lists(st.tuples(st.integers(1, 23), st.integers(1, 23)), min_size=1, max_size=3)


def _draw(tiles, fraction, seed=0, block_px=8, num_classes=3):
    return draw_budget(
        tiles, fraction=fraction, seed=seed, block_px=block_px, num_classes=num_classes
    )


def _labelled_px_of(tiles, block, block_px):
    """Labelled pixels of one block, by the plainest loop there is."""
    name, row, column = block
    mask = tiles.tile(tiles.names.index(name)).mask
    num = 0
    for y in range(row * block_px, min((row + 1) * block_px, mask.shape[0])):
        for x in range(column * block_px, min((column + 1) * block_px, mask.shape[1])):
            num += mask[y, x] != IGNORE_INDEX
    return num


def _all_blocks(tiles, block_px):
    return {
        (tile.name, row, column)
        for tile in tiles
        for row in range(-(-tile.mask.shape[0] // block_px))
        for column in range(-(-tile.mask.shape[1] // block_px))
    }


def _copies(tiles):
    return [replace(tile, image=tile.image.copy(), mask=tile.mask.copy()) for tile in tiles]


def _two_by_two(counts):
    """One tile of four 4 x 4 blocks with these numbers of labelled pixels, classes 0 and 1."""
    mask = np.full((8, 8), IGNORE_INDEX, dtype=np.uint8)
    for (row, column), count in np.ndenumerate(np.reshape(counts, (2, 2))):
        block = np.full(16, IGNORE_INDEX, dtype=np.uint8)
        block[:count] = column
        mask[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = block.reshape(4, 4)
    return pack_tiles([Tile(name="a", image=np.zeros((3, 8, 8), dtype=np.uint8), mask=mask)])


def test_four_blocks_by_hand():
    tiles = _two_by_two([[10, 10], [10, 10]])
    taken = [len(_draw(tiles, f, block_px=4).blocks) for f in (0.01, 0.25, 0.49, 0.5, 0.75, 1)]
    assert taken == [1, 1, 1, 2, 3, 4]
    half = _draw(tiles, 0.5, block_px=4)
    assert (half.labelled_px, half.annotated_px, half.fraction_reached) == (40, 20, 0.5)
    left = sum(column == 0 for _, _, column in half.blocks)
    assert half.class_px == (10 * left, 10 * (2 - left), 0)
    assert (half.unit, half.block_px, half.seed, half.fraction_asked) == ("block", 4, 0, 0.5)


def test_the_budget_stops_at_the_first_block_that_does_not_fit():
    # Taking a later, smaller block instead would break nesting.
    tiles = _two_by_two([[1, 2], [12, 5]])
    full = _draw(tiles, 1.0, block_px=4)
    counts = [_labelled_px_of(tiles, block, 4) for block in full.blocks]
    for fraction in np.linspace(0.05, 1, 39):
        within, total = 0, 0
        for count in counts:
            if total + count > fraction * 20 + 1e-6:
                break
            within, total = within + 1, total + count
        assert _draw(tiles, float(fraction), block_px=4).blocks == full.blocks[: max(1, within)]


def test_one_block_is_taken_where_the_first_alone_exceeds_the_fraction():
    budget = _draw(_two_by_two([[10, 10], [10, 10]]), 0.001, block_px=4)
    assert budget.annotated_px == 10
    assert budget.fraction_reached == 0.25


def test_fractions_that_binary_floating_point_cannot_hold_are_reached():
    mask = np.zeros((4, 40), dtype=np.uint8)
    tiles = pack_tiles([Tile(name="a", image=np.zeros((1, 4, 40), dtype=np.uint8), mask=mask)])
    for tenths in range(1, 11):
        assert len(_draw(tiles, tenths / 10, block_px=4).blocks) == tenths
    assert len(_draw(tiles, 0.1 + 0.2, block_px=4).blocks) == 3
    assert len(_draw(tiles, 1 - 0.9, block_px=4).blocks) == 1
    hundred = pack_tiles(
        [Tile(name="a", image=np.zeros((1, 10, 10), np.uint8), mask=np.zeros((10, 10), np.uint8))]
    )
    assert 0.29 * 100 < 29
    assert 0.57 * 100 < 57
    assert len(_draw(hundred, 0.29, block_px=1).blocks) == 29
    assert len(_draw(hundred, 0.57, block_px=1).blocks) == 57


def test_a_block_without_labelled_pixels_is_never_taken():
    tiles = _two_by_two([[0, 16], [0, 16]])
    for seed in range(10):
        assert {column for _, _, column in _draw(tiles, 1.0, seed, 4).blocks} == {1}
        assert len(_draw(tiles, 0.5, seed, 4).blocks) == 1


@given(SIZES, st.integers(0, 5), st.integers(1, 12), st.floats(0.0, 0.95), st.data())
@settings(max_examples=60, deadline=None)
def test_properties_of_every_budget(random_tiles, sizes, seed, block_px, unlabelled, data):
    tiles = random_tiles(sizes, unlabelled=unlabelled, seed=seed)
    labelled_px = int((tiles.masks != IGNORE_INDEX).sum())
    if labelled_px == 0:
        with pytest.raises(DataError, match="training tiles must hold labelled pixels, got none"):
            _draw(tiles, 0.5, seed, block_px)
        return
    small, large = sorted(data.draw(st.tuples(*[st.floats(1e-4, 1)] * 2)))
    budgets = [_draw(tiles, f, seed, block_px) for f in (small, large, 1.0)]
    for budget in budgets:
        counts = [_labelled_px_of(tiles, block, block_px) for block in budget.blocks]
        assert set(budget.blocks) <= _all_blocks(tiles, block_px)
        assert len(set(budget.blocks)) == len(budget.blocks)
        assert min(counts) > 0
        assert budget.labelled_px == labelled_px
        assert budget.annotated_px == sum(counts) == sum(budget.class_px)
        assert budget.fraction_reached == sum(counts) / labelled_px
        assert len(counts) == 1 or sum(counts) <= budget.fraction_asked * labelled_px + 1e-6
    # Nested, and of the longest run from the front of one order.
    order = budgets[2].blocks
    assert budgets[0].blocks == order[: len(budgets[0].blocks)]
    assert budgets[1].blocks == order[: len(budgets[1].blocks)]
    assert len(budgets[0].blocks) <= len(budgets[1].blocks)
    for budget in budgets[:2]:
        following = order[: len(budget.blocks) + 1]
        if len(following) > len(budget.blocks):
            more = sum(_labelled_px_of(tiles, block, block_px) for block in following)
            assert more > budget.fraction_asked * labelled_px
    assert budgets[2].fraction_reached == 1.0


@given(SIZES, st.integers(0, 5), st.integers(1, 12), st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_masks_hold_the_class_inside_and_ignore_outside(
    random_tiles, sizes, seed, block_px, fraction
):
    tiles = random_tiles(sizes, seed=seed, unlabelled=0.1)
    if not (tiles.masks != IGNORE_INDEX).any():
        return
    budget = _draw(tiles, fraction, seed, block_px)
    taken = set(budget.blocks)
    expected = [
        mask if (tile.name, y // block_px, x // block_px) in taken else IGNORE_INDEX
        for tile in tiles
        for (y, x), mask in np.ndenumerate(tile.mask)
    ]
    labels = annotated_masks(tiles, budget)
    assert labels.dtype == np.uint8
    assert labels.tolist() == expected
    assert int((labels != IGNORE_INDEX).sum()) == budget.annotated_px
    assert tuple((labels == k).sum() for k in range(3)) == budget.class_px


def test_full_annotation_reveals_exactly_all_labelled_pixels(random_tiles):
    tiles = random_tiles()
    for seed in range(3):
        for block_px in (1, 7, 64, 1000):
            budget = _draw(tiles, 1.0, seed, block_px)
            assert np.array_equal(annotated_masks(tiles, budget), tiles.masks)
            assert budget.fraction_reached == 1.0
            assert budget.annotated_px == (tiles.masks != IGNORE_INDEX).sum()


def test_the_tiles_stay_as_they_are(random_tiles):
    tiles = random_tiles()
    before = tiles.masks.copy()
    labels = annotated_masks(tiles, _draw(tiles, 0.1))
    labels[:] = 0
    assert np.array_equal(tiles.masks, before)


def test_the_same_call_gives_the_same_budget_and_another_seed_another(random_tiles):
    budgets = [_draw(random_tiles(), 0.3, seed) for seed in (0, 0, 1, 2)]
    assert budgets[0] == budgets[1]
    assert budgets[0].checksum == budgets[1].checksum
    assert len({budget.blocks for budget in budgets}) == 3
    assert len({budget.checksum for budget in budgets}) == 3


def test_every_block_is_equally_likely_to_be_the_first(random_tiles):
    tiles = random_tiles([(16, 24), (8, 16)], unlabelled=0.1)  # 8 blocks
    first = [_draw(tiles, 0.01, seed).blocks[0] for seed in range(800)]
    counts = np.array([first.count(block) for block in sorted(_all_blocks(tiles, 8))])
    assert counts.sum() == 800
    assert ((counts - 100) ** 2 / 100).sum() < 24.3  # chi-square, 7 degrees, 0.1 %


def test_another_process_draws_the_same_budget():
    code = (
        "import numpy as np\n"
        "from trainables.data.annotation import draw_budget\n"
        "from trainables.data.tiles import Tile\n"
        "from trainables.data.tileset import pack_tiles\n"
        "tile = lambda n: Tile(name=n, image=np.zeros((3, 50, 70), np.uint8),"
        " mask=np.arange(3500, dtype=np.uint8).reshape(50, 70) % 3)\n"
        "tiles = pack_tiles([tile('b'), tile('a')])\n"
        "budget = draw_budget(tiles, fraction=0.3, seed=5, block_px=8, num_classes=3)\n"
        "print(budget.checksum)\n"
    )
    path = os.pathsep.join(sys.path)
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    here: dict = {}
    exec(code.replace("print(budget.checksum)", ""), here)
    assert other.stdout.strip() == here["budget"].checksum


@pytest.mark.parametrize("fraction", [0, -0.1, 1.0001, float("nan"), float("inf")])
def test_a_fraction_out_of_range_is_refused(random_tiles, fraction):
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\]"):
        _draw(random_tiles(), fraction)


def test_tiles_without_labels_are_refused(random_tiles):
    with pytest.raises(DataError, match="must hold labelled pixels, got none"):
        _draw(random_tiles(unlabelled=1.1), 0.5)


def test_a_manifest_comes_back_from_disk(random_tiles, tmp_path):
    budget = _draw(random_tiles(), 0.3, seed=4)
    path = tmp_path / "budgets" / "s4-f0.3.json"
    write_budget(path, budget)
    assert read_budget(path) == budget
    assert json.loads(path.read_text())["checksum"] == budget.checksum
    assert Budget.from_plain(budget.to_plain()) == budget


def test_the_checksum_covers_every_field(random_tiles):
    budget = _draw(random_tiles(), 0.3)
    changed = {
        "unit": "tile",
        "block_px": 9,
        "seed": 1,
        "fraction_asked": 0.31,
        "fraction_reached": 0.2,
        "labelled_px": 1,
        "annotated_px": 1,
        "class_px": (1, 2, 3),
        "blocks": budget.blocks[::-1],
        "data_checksum": "0" * 64,
    }
    assert set(changed) == set(asdict(budget))
    for name, value in changed.items():
        assert replace(budget, **{name: value}).checksum != budget.checksum, name


def _write_changed(path, budget, change):
    plain = budget.to_plain()
    change(plain)
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain["blocks"].append(["t0", 0, 0]),
        lambda plain: plain["blocks"].reverse(),
        lambda plain: plain["blocks"][0].__setitem__(1, 99),
        lambda plain: plain["class_px"].__setitem__(0, 0),
        lambda plain: plain.update(fraction_asked=0.9),
        lambda plain: plain.update(seed=1),
        lambda plain: plain.update(data_checksum="0" * 64),
        lambda plain: plain.update(checksum="0" * 64),
        lambda plain: plain.update(checksum=None),
        lambda plain: plain.pop("checksum"),
    ],
)
def test_a_tampered_manifest_is_refused(random_tiles, tmp_path, change):
    path = tmp_path / "budget.json"
    _write_changed(path, _draw(random_tiles(), 0.3), change)
    with pytest.raises(DataError, match=r"budget checksum must be .* \[in .*budget.json\]"):
        read_budget(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain.pop("blocks"),
        lambda plain: plain.update(points=3),
        lambda plain: plain.update(blocks=None),
        lambda plain: plain.update(blocks=[["t0", 0]]),
        lambda plain: plain.update(blocks=[["t0", 0, 0, 0]]),
        lambda plain: plain.update(class_px=5),
    ],
)
def test_a_manifest_of_another_shape_is_refused(random_tiles, tmp_path, change):
    path = tmp_path / "budget.json"
    _write_changed(path, _draw(random_tiles(), 0.3), change)
    with pytest.raises(DataError, match=r"budget.json must be a budget manifest, got"):
        read_budget(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe\x00"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "budget.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="must be a budget manifest"):
        read_budget(path)


def test_changed_tiles_are_refused(random_tiles):
    budget = _draw(random_tiles(), 0.3)
    for other in (random_tiles(seed=1), random_tiles([(70, 45), (20, 90)])):
        with pytest.raises(DataError, match="the data changed after the budget was drawn"):
            annotated_masks(other, budget)


def test_one_changed_pixel_of_an_image_is_refused(random_tiles):
    tiles = random_tiles()
    copies = _copies(tiles)
    copies[0].image[0, 0, 0] ^= 1
    changed = pack_tiles(copies)
    with pytest.raises(DataError, match="training tiles must have the checksum"):
        annotated_masks(changed, _draw(tiles, 0.3))


def test_changed_masks_under_the_old_checksum_are_refused(random_tiles):
    tiles = random_tiles()
    masks = tiles.masks.copy()
    masks[masks == 0] = 1
    with pytest.raises(DataError, match="the masks changed after the budget was drawn"):
        annotated_masks(replace(tiles, masks=masks), _draw(tiles, 0.3))


def test_a_budget_that_names_another_tile_is_refused(random_tiles):
    tiles = random_tiles()
    budget = replace(_draw(tiles, 0.3), blocks=(("val_1", 0, 0),))
    with pytest.raises(DataError, match="tile of a budget must be a training tile, got 'val_1'"):
        annotated_masks(tiles, budget)


def test_the_order_of_tiles_does_not_change_what_a_manifest_reveals(random_tiles):
    tiles = random_tiles()
    turned = pack_tiles(_copies(tiles)[::-1])
    budget = _draw(tiles, 0.3)
    labels, turned_labels = annotated_masks(tiles, budget), annotated_masks(turned, budget)
    pieces = np.split(turned_labels, turned.starts[1:-1])
    assert np.array_equal(np.concatenate(pieces[::-1]), labels)
