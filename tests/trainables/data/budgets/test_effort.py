"""Pixels, objects, borders and tiles, against plain counts over whole tiles."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from trainables.data.budgets import pixel_set
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.effort import effort_of
from trainables.data.budgets.pixel_set import num_squares
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles

TILE = Unit(kind="tile", size_px=0)


def _tiles(*masks):
    return pack_tiles(
        [
            Tile(name=f"t{index}", image=np.zeros((1, *mask.shape), np.uint8), mask=mask)
            for index, mask in enumerate(masks)
        ]
    )


def _draw(tiles, unit, fraction=1.0, smallest=None):
    return draw_budget(
        tiles, fraction=fraction, seed=0, unit=unit, num_classes=3, smallest=smallest
    )[1]


def test_effort_by_hand():
    none = IGNORE_INDEX
    mask = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [2, none, 0, 0], [2, 2, 0, 1]], dtype=np.uint8)
    tiles = _tiles(mask, np.full((2, 2), none, dtype=np.uint8))
    effort = effort_of(tiles, _draw(tiles, TILE), TILE)
    # Pieces: 0 upper left, 1 above, 0 lower right, 2, 1 in the corner.
    assert (effort.px, effort.objects, effort.tiles) == (15, 5, 1)
    across = [1, 2, 0, 2]  # 0|1; 0|1, 1|0; unknown on either side; 2|0, 0|1
    down = [2, 2, 1]  # 0/1 and 1/0; 0/2 and 1/0; 0/1
    assert effort.border_px == sum(across) + sum(down)
    blocks = Unit(kind="block", size_px=2)
    assert effort_of(tiles, _draw(tiles, blocks), blocks).objects == 2 + 2 + 1 + 2


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 7, 40, 2**22]),
    st.sampled_from(["block", "tile", "area", "point"]),
    st.floats(0.05, 1),
)
def test_effort_is_that_of_plain_counts(seed, strip_px, kind, fraction):
    generator = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        shape = tuple(generator.integers(1, 24, 2))
        mask = generator.integers(0, generator.integers(1, 4), shape).astype(np.uint8)
        mask[generator.random(shape) < 0.2] = IGNORE_INDEX
        mask[0, 0] = 0
        masks.append(mask)
    tiles = _tiles(*masks)
    unit = Unit(kind=kind, size_px={"block": 5, "tile": 0, "area": 16, "point": 2}[kind])
    pixels = _draw(tiles, unit, fraction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_set, "STRIP_PX", strip_px)
        effort = effort_of(tiles, pixels, unit)
    num_px = objects = border_px = num_tiles = 0
    for index, tile in enumerate(tiles):
        given_classes = pixels.given(index, 0, tile.mask)
        known = given_classes != IGNORE_INDEX
        num_px += known.sum()
        num_tiles += known.any()
        for axis in (0, 1):
            one = np.diff(given_classes.astype(int), axis=axis) != 0
            both = np.minimum(np.delete(known, 0, axis), np.delete(known, -1, axis))
            border_px += (one & both).sum()
        squares = [(slice(None), slice(None))]
        if kind == "block":
            down, across = num_squares(tiles.shapes, unit.sides_px(tiles))[index]
            rows, columns = (
                [*range(0, 5 * num, 5), side]
                for num, side in zip((down, across), tile.mask.shape, strict=True)
            )
            squares = [(slice(*r), slice(*c)) for r in pairwise(rows) for c in pairwise(columns)]
        for square in squares:
            for index_of_class in range(3):
                objects += ndimage.label(given_classes[square] == index_of_class)[1]
    expected = (num_px, objects, border_px, num_tiles)
    assert (effort.px, effort.objects, effort.border_px, effort.tiles) == expected


@pytest.mark.parametrize("kind", ["block", "tile"])
def test_more_annotation_never_takes_less(random_tiles, kind):
    """Pieces of one object in two blocks became one where the block between them joined."""
    tiles = random_tiles(unlabelled=0.1)
    unit = Unit(kind=kind, size_px=12 if kind == "block" else 0)
    efforts = [
        effort_of(tiles, _draw(tiles, unit, fraction, 0.1), unit)
        for fraction in (0.1, 0.3, 0.5, 0.8, 1.0)
    ]
    for less, more in pairwise(efforts):
        for name in ("px", "objects", "border_px", "tiles"):
            assert getattr(less, name) <= getattr(more, name), name
