import io

import numpy as np
import pytest
from PIL import Image

from analysis.pictures.maps.maps import decode_classes, decode_palette, decode_picture
from analysis.reading.schema import StudyDataError
from trainables.evaluation.tile_maps import class_png, jpeg

COLORS = [(255, 255, 255), (0, 0, 255), (9, 8, 7)]


def test_what_the_study_writes_is_read_again() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (21, 34), dtype=np.uint8)
    content = class_png(classes, COLORS)
    assert np.array_equal(decode_classes(content, 3, where="m", shape=(21, 34)), classes)
    assert decode_palette(content, 3, where="m").tolist() == [list(color) for color in COLORS]
    pixels = np.full((21, 34, 1), 77, np.uint8)
    picture = decode_picture(jpeg(pixels, 90), where="m", shape=(21, 34))
    assert picture.shape == (21, 34, 3)
    assert (picture == 77).all()


def test_unknown_pixels_are_for_references_alone() -> None:
    classes = np.array([[0, 1, 255]], dtype=np.uint8)
    content = class_png(classes, COLORS)
    known = decode_classes(content, 2, where="the reference", may_be_unknown=True)
    assert np.array_equal(known, classes)
    with pytest.raises(StudyDataError, match=r"below 2, got \[255\] in the map of t"):
        decode_classes(content, 2, where="the map of t")


def test_classes_beyond_those_of_the_study_are_refused() -> None:
    content = class_png(np.array([[0, 5, 4, 255]], dtype=np.uint8), COLORS)
    with pytest.raises(StudyDataError, match=r"below 3 or 255, got \[4, 5\] in m"):
        decode_classes(content, 3, where="m", may_be_unknown=True)


def test_another_size_is_refused() -> None:
    content = class_png(np.zeros((4, 5), dtype=np.uint8), COLORS)
    with pytest.raises(StudyDataError, match=r"the 5 rows and 4 columns .* got 4 and 5 in m"):
        decode_classes(content, 3, where="m", shape=(5, 4))
    with pytest.raises(StudyDataError, match="got 4 and 5 in m"):
        decode_picture(content, where="m", shape=(5, 4))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a nothing"])
def test_files_that_are_no_pictures_give_one_line(content: bytes) -> None:
    with pytest.raises(StudyDataError, match="must be a PNG or JPEG") as caught:
        decode_classes(content, 3, where="m")
    assert "\n" not in str(caught.value)


def test_a_torn_file_gives_one_line() -> None:
    content = class_png(np.random.default_rng(0).integers(0, 3, (90, 90), dtype=np.uint8), COLORS)
    with pytest.raises(StudyDataError, match="must be a PNG or JPEG"):
        decode_classes(content[: len(content) // 2], 3, where="m")


def test_a_coloured_picture_is_no_map() -> None:
    content = io.BytesIO()
    Image.new("RGB", (3, 3)).save(content, "PNG")
    with pytest.raises(StudyDataError, match=r"one class index per pixel, got .* 'RGB' in m"):
        decode_classes(content.getvalue(), 3, where="m")
    with pytest.raises(StudyDataError, match="a colour for each of 3 classes in m"):
        decode_palette(content.getvalue(), 3, where="m")
