import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.evaluation import tile_maps
from trainables.evaluation.tile_maps import (
    TileMaps,
    class_png,
    jpeg,
    tiles_with_maps,
    write_test_tiles,
)

COLORS = [(255, 255, 255), (0, 0, 255), (0, 128, 0)]


def _opened(content):
    return Image.open(io.BytesIO(content))


def test_a_class_map_comes_back_pixel_by_pixel_and_opens_in_the_colours_of_its_classes():
    classes = np.random.default_rng(0).integers(0, 3, (37, 53), dtype=np.uint8)
    classes[:4] = IGNORE_INDEX
    picture = _opened(class_png(classes, COLORS))
    assert (picture.format, picture.mode) == ("PNG", "P")
    assert np.array_equal(np.asarray(picture), classes)
    shown = np.asarray(picture.convert("RGB"))
    assert (shown[:4] == 0).all()
    assert np.array_equal(shown[4:], np.array(COLORS, np.uint8)[classes[4:]])


@pytest.mark.parametrize(("num_bands", "mode"), [(1, "L"), (3, "RGB")])
def test_jpegs_are_close_to_their_pixels(num_bands, mode):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.repeat(np.tile(ramp, (48, 1))[:, :, None], num_bands, axis=2)
    picture = _opened(jpeg(pixels, 90))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", mode, (64, 48))
    assert np.abs(np.asarray(picture).reshape(pixels.shape).astype(int) - pixels).max() <= 4


def test_tiles_that_are_too_large_have_no_maps(random_tiles, monkeypatch):
    tiles = random_tiles([(10, 10), (20, 20), (5, 40), (10, 9), (3, 3)])
    monkeypatch.setattr(tile_maps, "MAX_TILE_PX", 200)
    monkeypatch.setattr(tile_maps, "MAX_SIDE_PX", 39)
    assert tiles_with_maps(tiles) == (0, 3, 4)
    monkeypatch.setattr(tile_maps, "MAX_TOTAL_PX", 150)
    assert tiles_with_maps(tiles) == (0, 4)  # the fourth would exceed it, the last does not


def test_what_a_trial_keeps_of_its_tiles(random_tiles, tmp_path, monkeypatch):
    tiles = random_tiles([(30, 20), (10, 10)])
    monkeypatch.setattr(tile_maps, "MAX_TILE_PX", 200)
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / ".t1.png.99.partial").write_bytes(b"left by a process that died")
    maps = TileMaps(folder, tiles, COLORS, reconstructs=True)
    assert maps.buffers(tiles.tile(0)) == (None, None)
    maps.write(tiles.tile(0), None, None)
    assert list(folder.iterdir()) == []

    predicted, reconstructed = maps.buffers(tiles.tile(1))
    assert (predicted.shape, reconstructed.shape) == ((10, 10), (10, 10, 3))
    predicted[:], reconstructed[:] = 2, 90
    maps.write(tiles.tile(1), predicted, reconstructed)
    assert {file.name for file in folder.iterdir()} == {"t1.png", "t1_reconstruction.jpg"}
    assert (np.asarray(Image.open(folder / "t1.png")) == 2).all()
    assert (np.asarray(Image.open(folder / "t1_reconstruction.jpg")) == 90).all()


@pytest.mark.parametrize(("num_bands", "shown"), [(1, 1), (2, 1), (3, 3), (5, 3)])
def test_the_bands_that_are_shown(random_tiles, tmp_path, num_bands, shown):
    tiles = random_tiles([(8, 9)], num_bands=num_bands)
    for reconstructs in (True, False):
        maps = TileMaps(tmp_path, tiles, COLORS, reconstructs=reconstructs)
        _, reconstructed = maps.buffers(tiles.tile(0))
        assert (reconstructed is not None) == reconstructs
        if reconstructed is not None:
            assert reconstructed.shape == (8, 9, shown)


def test_test_tiles_are_shown_as_the_network_sees_them(tmp_path):
    """A tile higher than the strips in which it is scaled, of 12-bit values."""
    rows = np.linspace(1000, 3000, 300).astype(np.uint16)
    image = np.repeat(np.tile(rows[:, None], (1, 40))[None], 4, axis=0)
    mask = np.full((300, 40), IGNORE_INDEX, np.uint8)
    mask[:, :7] = 1
    tiles = pack_tiles([Tile(name="a b", image=image, mask=mask)])
    scaling = BandScaling(dtype="uint16", low=(1000.0,) * 4, high=(3000.0,) * 4)
    write_test_tiles(tmp_path / "t", tiles, COLORS, scaling)
    shown = np.asarray(Image.open(tmp_path / "t" / "a~20b.jpg"))
    assert shown.shape == (300, 40, 3)
    expected = np.linspace(0, 255, 300)[:, None, None]
    assert np.abs(shown - expected).max() < 5
    assert np.array_equal(np.asarray(Image.open(tmp_path / "t" / "a~20b_reference.png")), mask)


def test_test_tiles_are_written_once_and_completed(random_tiles, tmp_path):
    tiles = random_tiles()
    write_test_tiles(tmp_path, tiles, COLORS, uint8_scaling(3))
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert len(before) == 2 * len(tiles)
    lost = tmp_path / "t1_reference.png"
    content = lost.read_bytes()
    lost.unlink()
    write_test_tiles(tmp_path, tiles, COLORS, uint8_scaling(3))
    assert lost.read_bytes() == content
    after = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert {file for file in before if before[file] != after[file]} == {lost}
