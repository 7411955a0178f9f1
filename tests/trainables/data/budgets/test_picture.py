import io

import numpy as np
from PIL import Image

from trainables.data.budgets.picture import budget_picture
from trainables.data.budgets.pixel_set import Discs, clicked_pixels, pixels_in_squares
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles

COLORS = [(255, 0, 0), (0, 0, 255)]


def test_a_click_is_drawn_in_the_class_that_it_gives():
    mask = np.zeros((9, 9), dtype=np.uint8)
    mask[:, 5:] = 1
    image = np.full((3, 9, 9), 90, dtype=np.uint8)
    tiles = pack_tiles([Tile(name="a", image=image, mask=mask)])
    points = Discs(
        radius_px=2, shapes=tiles.shapes, tiles=np.array([0]), pixels=np.array([4 * 9 + 4])
    )
    pixels = clicked_pixels(tiles, points, 2)
    png = budget_picture(tiles, pixels, COLORS, uint8_scaling(3))
    shown = np.array(Image.open(io.BytesIO(png)))
    assert shown.shape == (9, 9, 4)
    assert (shown[..., 3] == 255).all()
    shown = shown[..., :3]
    assert (shown[pixels.tile(0)] == COLORS[0]).all()  # also where the mask has the other class
    grey = shown[~pixels.tile(0)]
    assert (grey[:, 0] == grey[:, 2]).all()


def test_what_shows_nothing_is_lighter_than_all_that_is_paled():
    shown = np.ones((9, 9), bool)
    shown[:4] = False
    mask = np.where(shown, 0, 255).astype(np.uint8)
    image = np.where(shown, 255, 0).astype(np.uint8)[None].repeat(3, axis=0)
    tiles = pack_tiles([Tile(name="a", image=image, mask=mask, shown=shown)])
    points = Discs(radius_px=1, shapes=tiles.shapes, tiles=np.array([0]), pixels=np.array([60]))
    pixels = clicked_pixels(tiles, points, 2)
    png = budget_picture(tiles, pixels, COLORS, uint8_scaling(3))
    drawn = np.array(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    assert drawn[:4].min() >= drawn[5, 0].max()
    assert drawn[:4].min() >= 240


def test_where_no_tile_lies_the_picture_is_transparent():
    """It was white, a block of light on a dark page."""
    tiles = pack_tiles(
        [Tile(name=name, image=np.zeros((3, 9, 9), np.uint8), mask=np.zeros((9, 9), np.uint8))
         for name in "abc"]
    )  # fmt: skip
    pixels = pixels_in_squares(tiles, np.full(3, 9), [("a", 0, 0)])
    png = budget_picture(tiles, pixels, COLORS, uint8_scaling(3))
    alpha = np.array(Image.open(io.BytesIO(png)))[..., 3]
    assert alpha[:9, :9].all()
    assert alpha[-9:, :9].all()
    assert not alpha[-9:, -9:].any()
    assert not alpha[9:-9].any()
