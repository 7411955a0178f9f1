import dataclasses
import hashlib
import pickle

import numpy as np
import pytest

from trainables.data.budgets import pixel_set
from trainables.data.budgets.pixel_set import (
    Discs,
    clicked_pixels,
    count_classes,
    disc_stencil,
    has_joined_squares,
    hash_pixels,
    mask_strips,
    num_squares,
    pack_pixels,
    pixels_in_squares,
    row_strips,
)
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.errors import DataError

SHAPES = np.array([[3, 5], [2, 16], [4, 9]])


def _random_rows(seed=0):
    generator = np.random.default_rng(seed)
    return [generator.random(shape) < 0.4 for shape in SHAPES]


def _pack(planes):
    shapes = np.array([plane.shape for plane in planes])
    return pack_pixels(shapes, [(index, 0, plane) for index, plane in enumerate(planes)])


def _tile(mask, name="a"):
    return Tile(name=name, image=np.zeros((1, *mask.shape), np.uint8), mask=mask)


def test_what_is_less_than_half_a_square_belongs_to_its_neighbour_by_hand():
    shapes = np.array([[8, 12], [9, 10], [5, 1], [300, 300]])
    sides_px = np.array([4, 4, 4, 128])
    # 9 = 4 + 5; 10 = 4 + 4 + 2, half a side; 5 is one square, 1 too; 300 = 128 + 172.
    assert num_squares(shapes, sides_px).tolist() == [[2, 3], [2, 3], [1, 1], [2, 2]]
    assert not has_joined_squares(shapes[:1], sides_px[:1])
    assert not has_joined_squares(np.array([[10, 2]]), sides_px[:1])
    assert has_joined_squares(shapes[:2], sides_px[:2])
    mask = np.zeros((9, 10), dtype=np.uint8)
    tiles = pack_tiles([_tile(mask)])
    corner = pixels_in_squares(tiles, np.array([4]), [("a", 1, 2)])
    expected = np.zeros((9, 10), dtype=bool)
    expected[4:9, 8:10] = True
    assert np.array_equal(corner.tile(0), expected)


def test_bits_by_hand():
    pixels = _pack([np.array([[1, 0, 0, 0, 0, 0, 0, 1, 1], [0, 1, 0, 0, 0, 0, 0, 0, 0]], bool)])
    assert pixels.bits.tolist() == [0b10000001, 0b10000000, 0b01000000, 0]
    assert pixels.starts.tolist() == [0, 4]
    assert pixels.row_counts().tolist() == [3, 1]
    assert not pixels.bits.flags.writeable


def test_rows_and_tiles_come_back():
    planes = _random_rows()
    pixels = _pack(planes)
    for index, plane in enumerate(planes):
        assert pixels.tile(index).dtype == np.bool_
        assert np.array_equal(pixels.tile(index), plane)
        assert np.array_equal(pixels.rows(index, 1, 2), plane[1:2])
    assert pixels.rows(0, 2, 2).shape == (0, 5)
    assert pixels.row_counts().tolist() == [row.sum() for plane in planes for row in plane]


def test_strips_give_what_whole_tiles_give(monkeypatch):
    planes = _random_rows()
    whole = _pack(planes)
    monkeypatch.setattr(pixel_set, "STRIP_PX", 10)
    strips = list(row_strips(SHAPES))
    assert strips[:3] == [(0, 0, 2), (0, 2, 3), (1, 0, 1)]
    parts = pack_pixels(SHAPES, [(i, first, planes[i][first:last]) for i, first, last in strips])
    assert parts.checksum == whole.checksum
    assert parts.row_counts().tolist() == whole.row_counts().tolist()


def test_the_checksum_covers_every_pixel_and_the_shapes():
    planes = _random_rows()
    pixels = _pack(planes)
    content = np.array(SHAPES, dtype="<i8").tobytes() + pixels.bits.tobytes()
    assert pixels.checksum == hashlib.sha256(content).hexdigest()
    planes[2][3, 8] ^= True
    assert _pack(planes).checksum != pixels.checksum
    flat, tall = np.zeros((1, 2), bool), np.zeros((1, 3), bool)
    assert _pack([flat]).checksum != _pack([tall]).checksum


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_set_survives_pickling(protocol):
    pixels = _pack(_random_rows())
    buffers = [] if protocol == 5 else None
    callback = buffers.append if protocol == 5 else None
    data = pickle.dumps(pixels, protocol=protocol, buffer_callback=callback)
    back = pickle.loads(data, buffers=buffers)  # noqa: S301
    assert back.checksum == pixels.checksum
    assert np.array_equal(back.tile(1), pixels.tile(1))


def test_disc_stencils_by_hand():
    assert disc_stencil(0).tolist() == [[True]]
    assert disc_stencil(1).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    assert disc_stencil(2).sum() == 13


@pytest.mark.parametrize("strip_px", [7, 2**22])
@pytest.mark.parametrize("radius", [0, 1, 3, 20])
def test_the_first_point_that_covers_a_pixel_is_found(monkeypatch, strip_px, radius):
    monkeypatch.setattr(pixel_set, "STRIP_PX", strip_px)
    generator = np.random.default_rng(radius)
    shapes = np.array([[9, 11], [1, 4], [13, 6]])
    tiles = np.array([0, 2, 0, 2, 1, 0, 2])
    pixels = np.array([generator.integers(shapes[tile].prod()) for tile in tiles])
    points = Discs(radius_px=radius, shapes=shapes, tiles=tiles, pixels=pixels)
    for index, first, ranks in points.first_cover():
        for (y, x), rank in np.ndenumerate(ranks):
            covering = [
                place
                for place, (tile, pixel) in enumerate(zip(tiles, pixels, strict=True))
                for row, column in [divmod(pixel, shapes[tile][1])]
                if tile == index and (row - first - y) ** 2 + (column - x) ** 2 <= radius**2
            ]
            assert rank == min(covering, default=len(points))


@pytest.mark.parametrize("strip_px", [7, 2**22])
@pytest.mark.parametrize("radius", [0, 1, 3, 20])
def test_the_nearest_point_that_covers_a_pixel_is_found(monkeypatch, strip_px, radius):
    monkeypatch.setattr(pixel_set, "STRIP_PX", strip_px)
    generator = np.random.default_rng(radius)
    shapes = np.array([[9, 11], [1, 4], [13, 6]])
    tiles = generator.integers(0, 3, 50)
    pixels = np.array([generator.integers(shapes[tile].prod()) for tile in tiles])
    points = Discs(radius_px=radius, shapes=shapes, tiles=tiles, pixels=pixels)
    num_ties = 0
    for index, first, ranks in points.nearest_cover():
        for (y, x), rank in np.ndenumerate(ranks):
            covering = [
                (distance, place)
                for place, (tile, pixel) in enumerate(zip(tiles, pixels, strict=True))
                for row, column in [divmod(pixel, shapes[tile][1])]
                for distance in [(row - first - y) ** 2 + (column - x) ** 2]
                if tile == index and distance <= radius**2
            ]
            assert rank == min(covering, default=(0, len(points)))[1]
            num_ties += [d for d, _ in covering].count(min(covering, default=(0, 0))[0]) > 1
    assert num_ties > 0 or radius == 0


def test_a_click_gives_its_class_to_its_disc_and_leaves_unknown_pixels_unknown():
    mask = np.array([[0, 1, 2, 0], [IGNORE_INDEX, 1, 1, 0]], dtype=np.uint8)
    tiles = pack_tiles([_tile(mask)])
    points = Discs(radius_px=1, shapes=tiles.shapes, tiles=np.array([0]), pixels=np.array([0]))
    pixels = clicked_pixels(tiles, points, 3)
    assert pixels.tile(0).astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    none = IGNORE_INDEX
    assert pixels.given(0, 0, mask).tolist() == [[0, 0, none, none], [none] * 4]
    assert count_classes(tiles, pixels, 3).tolist() == [2, 0, 0]


def test_where_discs_overlap_the_nearer_click_counts_and_of_two_the_earlier():
    mask = np.array([[1, 3, 3, 3, 2, 0, 3]], dtype=np.uint8)
    tiles = pack_tiles([_tile(mask)])

    def given(*pixels):
        tile = np.zeros(len(pixels), dtype=np.int64)
        points = Discs(radius_px=2, shapes=tiles.shapes, tiles=tile, pixels=np.array(pixels))
        return clicked_pixels(tiles, points, 4).given(0, 0, mask)[0].tolist()

    none = IGNORE_INDEX
    assert given(0) == [1, 1, 1, none, none, none, none]
    assert given(0, 4) == [1, 1, 1, 2, 2, 2, 2]
    assert given(4, 0) == [1, 1, 2, 2, 2, 2, 2]
    assert given(4, 0, 5) == [1, 1, 2, 2, 2, 0, 0]


def test_classes_given_come_back_strip_by_strip_and_are_part_of_the_checksum(monkeypatch):
    generator = np.random.default_rng(3)
    masks = [generator.integers(0, 6, (9, 13), dtype=np.uint8) for _ in range(2)]
    masks[0][generator.random((9, 13)) < 0.3] = IGNORE_INDEX
    tiles = pack_tiles([_tile(mask, f"t{i}") for i, mask in enumerate(masks)])
    labelled = np.flatnonzero(tiles.masks != IGNORE_INDEX)
    place = generator.choice(labelled, 20, replace=False)
    points = Discs(radius_px=2, shapes=tiles.shapes, tiles=place // 117, pixels=place % 117)
    whole = clicked_pixels(tiles, points, 6)
    assert whole.labels.shape == (3, len(whole.bits))
    monkeypatch.setattr(pixel_set, "STRIP_PX", 20)
    parts = clicked_pixels(tiles, points, 6)
    assert parts.checksum == whole.checksum
    for index, mask in enumerate(masks):
        rows = [whole.given(index, row, mask[row : row + 1]) for row in range(9)]
        assert np.array_equal(np.concatenate(rows), whole.given(index, 0, mask))
    for pixels in (whole, pickle.loads(pickle.dumps(whole))):  # noqa: S301
        assert pixels.checksum == whole.checksum
    changed = whole.labels.copy()
    changed[2, 0] ^= 0b10000000
    assert dataclasses.replace(whole, labels=changed).checksum != whole.checksum
    assert dataclasses.replace(whole, labels=None).checksum != whole.checksum


def test_squares_are_cut_off_at_the_edges(monkeypatch):
    monkeypatch.setattr(pixel_set, "STRIP_PX", 5)
    mask = np.zeros((3, 5), dtype=np.uint8)
    mask[2, 4] = IGNORE_INDEX
    tiles = pack_tiles([_tile(mask, "b"), _tile(mask, "a")])
    places = [("b", 0, 1), ("b", 1, 2), ("a", 1, 0)]
    pixels = pixels_in_squares(tiles, np.array([2, 2]), places)
    assert pixels.tile(0).astype(int).tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0] * 5]
    assert pixels.tile(1).astype(int).tolist() == [[0] * 5, [0] * 5, [1, 1, 0, 0, 0]]
    with pytest.raises(DataError, match="must be a training tile, got 'c'"):
        pixels_in_squares(tiles, np.array([2, 2]), [("c", 0, 0)])


def test_mask_strips_cover_all_tiles(monkeypatch, random_tiles):
    monkeypatch.setattr(pixel_set, "STRIP_PX", 100)
    tiles = random_tiles()
    seen = [(index, mask) for index, _, mask in mask_strips(tiles)]
    for index, tile in enumerate(tiles):
        rows = [mask for i, mask in seen if i == index]
        assert len(rows) > 1
        assert np.array_equal(np.concatenate(rows), tile.mask)


def _splitmix64(index, key):
    state = (key + (index + 1) * 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


def test_hashes_equal_plain_integer_arithmetic_and_spread_evenly():
    assert _splitmix64(0, 0) == 0xE220A8397B1DCDAF  # the first output of SplitMix64 for seed 0
    key = int.from_bytes(hashlib.sha256(b'[3, "t0"]').digest()[:8], "little")
    hashes = hash_pixels(np.arange(10_000, dtype=np.uint64), seed=3, name="t0")
    assert hashes[:50].tolist() == [_splitmix64(index, key) for index in range(50)]
    counts = np.bincount((hashes >> np.uint64(60)).astype(int), minlength=16)
    assert ((counts - 625) ** 2 / 625).sum() < 37.7  # chi-square, 15 degrees, 0.1 %
    for seed, name in ((4, "t0"), (3, "t1")):
        other = hash_pixels(np.arange(10_000, dtype=np.uint64), seed=seed, name=name)
        assert not (other == hashes).any()
