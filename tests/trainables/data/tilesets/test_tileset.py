import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import (
    Tile,
    allocate_tiles,
    pack_tiles,
    seal_tiles,
    tiles_checksum,
)


def _tile(name, height, width, *, eroded=False, num_bands=3, seed=0):
    generator = np.random.default_rng(seed)
    mask = generator.integers(0, 3, (height, width), dtype=np.uint8)
    return Tile(
        name=name,
        image=generator.integers(0, 256, (num_bands, height, width), dtype=np.uint8),
        mask=mask,
        eroded_mask=np.where(mask == 2, np.uint8(IGNORE_INDEX), mask) if eroded else None,
    )


def test_two_tiles_packed_by_hand():
    one = Tile(
        name="one",
        image=np.array([[[1, 2, 3]], [[4, 5, 6]]], dtype=np.uint8),
        mask=np.array([[0, 1, 255]], dtype=np.uint8),
    )
    other = Tile(
        name="other",
        image=np.array([[[7], [8]], [[9], [10]]], dtype=np.uint8),
        mask=np.array([[1], [0]], dtype=np.uint8),
    )
    packed = pack_tiles([one, other])
    assert packed.names == ("one", "other")
    assert packed.shapes.tolist() == [[1, 3], [2, 1]]
    assert packed.starts.tolist() == [0, 3, 5]
    assert packed.images.tolist() == [[1, 2, 3, 7, 8], [4, 5, 6, 9, 10]]
    assert packed.masks.tolist() == [0, 1, 255, 1, 0]
    assert packed.eroded_masks is None


def test_tiles_come_back_as_they_were():
    tiles = [_tile(f"t{i}", 3 + i, 9 - i, eroded=True, seed=i) for i in range(4)]
    packed = pack_tiles(tiles)
    assert len(packed) == 4
    for before, after in zip(tiles, packed, strict=True):
        assert after.name == before.name
        for kind in ("image", "mask", "eroded_mask"):
            assert np.array_equal(getattr(after, kind), getattr(before, kind))


def test_tiles_are_views_of_one_read_only_copy():
    packed = pack_tiles([_tile("a", 4, 5, eroded=True), _tile("b", 2, 3, eroded=True)])
    tile = packed.tile(1)
    for view, whole in (
        (tile.image, packed.images),
        (tile.mask, packed.masks),
        (tile.eroded_mask, packed.eroded_masks),
    ):
        assert np.shares_memory(view, whole)
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    with pytest.raises(ValueError, match="read-only"):
        packed.starts[0] = 1


def test_the_source_is_copied_and_stays_writable():
    tile = _tile("a", 2, 2)
    packed = pack_tiles([tile])
    tile.mask[0, 0] = 9
    assert packed.masks[0] != 9


@pytest.mark.parametrize("missing", [0, 1])
def test_an_eroded_reference_that_one_tile_lacks_is_left_out(missing):
    tiles = [_tile(f"t{i}", 3, 3, eroded=i != missing) for i in range(2)]
    packed = pack_tiles(tiles)
    assert packed.eroded_masks is None
    assert packed.tile(1 - missing).eroded_mask is None


def test_one_band_and_one_pixel():
    packed = pack_tiles([_tile("a", 1, 1, num_bands=1)])
    assert packed.images.shape == (1, 1)
    assert packed.tile(0).image.shape == (1, 1, 1)


def test_no_tile_is_refused():
    with pytest.raises(ValueError, match="tiles must hold at least one tile, got none"):
        pack_tiles([])


def test_tiles_of_different_bands_are_refused():
    with pytest.raises(ValueError, match="shape"):
        pack_tiles([_tile("a", 2, 2, num_bands=3), _tile("b", 2, 2, num_bands=4)])


def test_the_checksum_is_that_of_the_tiles_and_changes_with_a_pixel():
    tiles = [_tile("a", 4, 5), _tile("b", 2, 3)]
    checksum = pack_tiles(tiles).checksum
    assert checksum == tiles_checksum(tiles)
    tiles[1].mask[0, 0] ^= 1
    assert pack_tiles(tiles).checksum != checksum


def test_a_pickled_set_is_the_same():
    packed = pack_tiles([_tile("a", 4, 5, eroded=True), _tile("b", 2, 3, eroded=True)])
    again = pickle.loads(pickle.dumps(packed, protocol=5))  # noqa: S301
    assert again.checksum == packed.checksum
    for before, after in zip(packed, again, strict=True):
        assert np.array_equal(before.image, after.image)
        assert np.array_equal(before.eroded_mask, after.eroded_mask)


def _filled(folder):
    generator = np.random.default_rng(0)
    shapes = [(5, 7), (9, 4)]
    target = allocate_tiles(
        ["a", "b"],
        shapes,
        num_bands=2,
        dtype=np.dtype("float32"),
        has_eroded=True,
        has_hidden=True,
        folder=folder,
    )
    for tile in target:
        tile.image[:] = generator.random(tile.image.shape)
        tile.mask[:] = generator.integers(0, 3, tile.mask.shape)
        tile.eroded_mask[:] = 255
        tile.shown[:] = generator.random(tile.mask.shape) < 0.5
    return seal_tiles(target)


def test_mapped_files_hold_what_memory_would(tmp_path):
    inside, mapped = _filled(None), _filled(tmp_path / "train")
    assert mapped.checksum == inside.checksum
    again = pickle.loads(pickle.dumps(mapped))  # noqa: S301
    assert isinstance(again.images, np.memmap)
    assert len(pickle.dumps(mapped)) < 2000, "the folder travels, not the pixels"
    for one, other in zip(inside, again, strict=True):
        assert one.image.dtype == other.image.dtype == np.float32
        for name in ("image", "mask", "eroded_mask", "shown"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
    with pytest.raises(ValueError, match="read-only"):
        again.masks[0] = 1


def test_nothing_hidden_needs_no_array():
    tile = _tile("a", 4, 5)
    shown = np.ones((4, 5), dtype=bool)
    assert pack_tiles([replace(tile, shown=shown)]).shown is None
    shown[1, 2] = False
    packed = pack_tiles([replace(tile, shown=shown), _tile("b", 2, 3)])
    assert packed.shown.sum() == 25
    assert packed.checksum != pack_tiles([tile, _tile("b", 2, 3)]).checksum


def test_mapped_files_that_do_not_fit_the_disk_are_refused(tmp_path, monkeypatch):
    """They had holes: the process was ended by a signal when one was to be filled."""
    usage = shutil.disk_usage(tmp_path)._replace(free=71 * (2 * 4 + 3) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="No space left on device"):
        _filled(tmp_path / "tiles")
    usage = usage._replace(free=usage.free + 1)
    _filled(tmp_path / "tiles")
