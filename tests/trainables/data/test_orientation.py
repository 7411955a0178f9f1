"""EXIF orientations against Pillow's own turn, in every format that carries them."""

import struct
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageOps
from rasterio.transform import from_origin

from trainables.data.orientation import UPRIGHT, Orientation, orientation_of
from trainables.data.raster import open_file

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
    with open_file(file) as raster:
        assert raster.orientation.turns == (orientation != 1)
        assert (raster.height_px, raster.width_px) == expected.shape[1:]
        assert np.array_equal(raster.read([1, 2, 3], 0, raster.height_px), expected)
        for first in range(raster.height_px):  # strips are parts of the whole
            assert np.array_equal(raster.read([2], first, first + 1)[0], expected[1, first:][:1])


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


def test_damaged_exif_turns_nothing(tmp_path):
    png_with_exif_at_the_end(tmp_path / "a.png", b"II*\0no tags")
    with rasterio.open(tmp_path / "a.png") as source:
        assert orientation_of(source) == UPRIGHT


def test_a_big_tiff_says_it_too(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", exif=exif_of(3), big_tiff=True)
    with rasterio.open(tmp_path / "a.tif") as source:
        assert orientation_of(source) == Orientation.from_exif(3)
