"""A tile beside its labels."""

import io

import numpy as np
from PIL import Image

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.label_picture import label_picture
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.data.tilesets.tileset import Tile

COLORS = [(255, 0, 0), (0, 0, 255)]


def drawn(image, mask, scaling, side_px=100):
    content = label_picture(Tile(name="a", image=image, mask=mask), COLORS, scaling, side_px)
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_labels_lie_right_of_the_image_in_the_colours_of_their_classes():
    mask = np.repeat(np.array([[0, 1, IGNORE_INDEX]], np.uint8), 10, axis=1).repeat(30, axis=0)
    picture = drawn(np.full((3, 30, 30), 100, np.uint8), mask, uint8_scaling(3))
    assert picture.shape == (30, 62, 3)
    assert np.abs(picture[15, 15] - 100).max() < 4
    red, blue, unknown = (picture[15, 32 + middle] for middle in (5, 15, 25))
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert np.ptp(unknown) < 4, "grey"


def test_a_tile_without_labels_is_shown_alone_and_large_ones_are_reduced():
    mask = np.full((40, 80), IGNORE_INDEX, np.uint8)
    scaling = BandScaling(dtype="uint16", low=(0.0,), high=(1000.0,))
    picture = drawn(np.full((1, 40, 80), 500, np.uint16), mask, scaling, side_px=20)
    assert picture.shape == (10, 20, 3)
    assert np.abs(picture - 128).max() < 4


def test_what_shows_nothing_is_light_on_both_sides_and_not_black():
    shown = np.ones((30, 30), bool)
    shown[:15] = False
    mask = np.zeros((30, 30), np.uint8)
    mask[:15] = IGNORE_INDEX
    image = np.where(shown, 100, 0).astype(np.uint8)[None].repeat(3, axis=0)
    tile = Tile(name="a", image=image, mask=mask, shown=shown)
    content = label_picture(tile, COLORS, uint8_scaling(3), 100)
    picture = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert picture[3, [5, 50]].min() > 220
    assert picture[25, 5].max() < 110
