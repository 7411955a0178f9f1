"""EXIF orientations against Pillow's own turn, in every format that carries them."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageOps
from rasterio import shutil as raster_files
from rasterio.transform import from_origin

from trainables.data.decoding import raster
from trainables.data.decoding.orientation import UPRIGHT, Orientation, orientation_of
from trainables.data.decoding.raster import open_file

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
FORMATS = {
    "jpg": {"quality": 95},
    "png": {},
    "tif": {},
    "webp": {"lossless": True},
}


def exif_of(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def upright(stored, orientation, tmp_path):
    """Pixels (H, W, 3) as Pillow turns them; through a lossless file, since it asks for one."""
    file = tmp_path / "turned.png"
    Image.fromarray(stored).save(file, exif=exif_of(orientation))
    with Image.open(file) as picture:
        return np.array(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_those_that_a_viewer_shows(tmp_path, ending, orientation):
    file = tmp_path / f"a.{ending}"
    Image.fromarray(PIXELS).save(file, exif=exif_of(orientation), **FORMATS[ending])
    with rasterio.open(file) as source:
        stored = np.moveaxis(source.read(), 0, -1)  # a JPEG is not what was written
    expected = np.moveaxis(upright(stored, orientation, tmp_path), -1, 0)
    with open_file(file) as opened:
        assert opened.orientation.turns == (orientation != 1)
        assert (opened.height_px, opened.width_px) == expected.shape[1:]
        assert np.array_equal(opened.read([1, 2, 3], 0, opened.height_px), expected)
        for first in range(opened.height_px):  # strips are parts of the whole
            assert np.array_equal(opened.read([2], first, first + 1)[0], expected[1, first:][:1])


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(value):
    assert Orientation.from_exif(value) == UPRIGHT


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_without_orientation_is_upright(tmp_path, ending):
    Image.fromarray(PIXELS).save(tmp_path / f"a.{ending}", **FORMATS[ending])
    with rasterio.open(tmp_path / f"a.{ending}") as source:
        assert orientation_of(source) == UPRIGHT


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_a_file_with_a_place_is_as_stored(tmp_path, ending):
    """Its transform holds for the pixels as stored, and GIS programs show them so."""
    file = tmp_path / f"a.{ending}"
    Image.fromarray(PIXELS).save(file, exif=exif_of(6))
    (tmp_path / "a.wld").write_text("0.5\n0\n0\n-0.5\n500000\n5400000\n")
    with rasterio.open(file) as source:
        assert source.transform == from_origin(499_999.75, 5_400_000.25, 0.5, 0.5)
        assert orientation_of(source) == UPRIGHT


def png_with_exif_at_the_end(file, content):
    """Some programs write the chunk behind the pixels."""
    Image.fromarray(PIXELS).save(file)
    whole = file.read_bytes()
    checksum = struct.pack(">I", zlib.crc32(b"eXIf" + content))
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + checksum
    file.write_bytes(whole[:-12] + chunk + whole[-12:])


def test_a_png_may_say_it_behind_its_pixels(tmp_path):
    png_with_exif_at_the_end(tmp_path / "a.png", exif_of(8).tobytes())
    with rasterio.open(tmp_path / "a.png") as source:
        assert orientation_of(source) == Orientation.from_exif(8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_turns_nothing(tmp_path):
    png_with_exif_at_the_end(tmp_path / "a.png", b"II*\0no tags")
    with rasterio.open(tmp_path / "a.png") as source:
        assert orientation_of(source) == UPRIGHT


def test_a_big_tiff_says_it_too(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", exif=exif_of(3), big_tiff=True)
    with rasterio.open(tmp_path / "a.tif") as source:
        assert orientation_of(source) == Orientation.from_exif(3)


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_what_a_copy_kept_of_the_tag_as_text_turns_nothing(tmp_path, driver):
    """No viewer turns such a file."""
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif_of(6))
    raster_files.copy(tmp_path / "a.jpg", tmp_path / "b", driver=driver)
    with rasterio.open(tmp_path / "b") as source:
        assert source.tags()["EXIF_Orientation"] == "6"
        assert orientation_of(source) == UPRIGHT


def test_a_turned_picture_that_is_too_large_to_be_kept_is_read_by_strips(tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif_of(7))
    with open_file(tmp_path / "a.png") as kept:
        whole = kept.read([1, 2, 3], 0, kept.height_px)
    monkeypatch.setattr(raster, "_MAX_KEPT", 0)
    with open_file(tmp_path / "a.png") as read:
        assert not read._is_kept_whole
        assert np.array_equal(read.read([3, 1], 1, 3), whole[[2, 0], 1:3])
