import base64
import io

import numpy as np
import pytest
from PIL import Image

from analysis.pictures.maps.panels import (
    class_colors,
    color_text,
    error_colors,
    errors,
    kind_colors,
    map_uri,
    picture_uri,
)

COLORS = np.array([[255, 255, 255], [0, 0, 255], [0, 128, 0]], dtype=np.uint8)


def opened(uri: str) -> Image.Image:
    head, _, content = uri.partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == f"data:image/{picture.format.lower()}"
    return picture


def test_maps_are_inlined_without_loss_and_unknown_is_black() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (19, 23), dtype=np.uint8)
    classes[0] = 255
    shown = np.asarray(opened(map_uri(classes, COLORS)).convert("RGB"))
    assert (shown[0] == 0).all()
    assert np.array_equal(shown[1:], COLORS[classes[1:]])
    assert np.array_equal(shown, class_colors(classes, COLORS))


def test_maps_take_few_bits() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (256, 256), dtype=np.uint8)
    assert len(map_uri(classes, COLORS)) < 256 * 256 / 2


def test_images_are_inlined_as_jpeg() -> None:
    pixels = np.full((20, 30, 3), (200, 100, 50), dtype=np.uint8)
    picture = opened(picture_uri(pixels[:, ::1]))
    assert picture.size == (30, 20)
    assert np.abs(np.asarray(picture).astype(int) - pixels).max() < 6


def test_errors_by_hand() -> None:
    reference = np.array([[0, 1, 255, 2]], dtype=np.uint8)
    predicted = np.array([[0, 2, 1, 2]], dtype=np.uint8)
    assert errors(reference, predicted).tolist() == [[0, 1, 2, 0]]


def test_each_model_alone_right_has_its_own_colour() -> None:
    for first, second in (("#0072B2", "#D55E00"), ("#D55E00", "#CC79A7")):
        colors = [color_text(color) for color in kind_colors(first, second)]
        assert colors[1:3] == [first, second]
        assert len(set(colors)) == 5


def test_right_wrong_and_unknown_are_told_apart_by_brightness() -> None:
    bright = error_colors().mean(axis=1)
    assert bright[0] > bright[2] + 40 > bright[1] + 80


@pytest.mark.parametrize("text", ["#000000", "#0A0BFF"])
def test_colours_as_text(text: str) -> None:
    color = np.frombuffer(bytes.fromhex(text[1:]), dtype=np.uint8)
    assert color_text(color) == text
