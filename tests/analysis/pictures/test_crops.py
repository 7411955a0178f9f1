import numpy as np
import pytest

from analysis.pictures.crops import CELLS, Counts, choose_crops, crop_side, deciding_counts
from analysis.pictures.maps.disagreement import kinds_of

CELL = 3
SIDE = CELLS * CELL


def random_tile(seed: int, shape: tuple[int, int] = (40, 33)) -> tuple[np.ndarray, ...]:
    """Reference and two predictions of three classes, class 2 rare."""
    generator = np.random.default_rng(seed)
    maps = generator.choice(3, (3, *shape), p=[0.6, 0.37, 0.03]).astype(np.uint8)
    maps[0][generator.random(shape) < 0.1] = 255
    return tuple(maps)


def counted(maps: tuple[np.ndarray, ...]) -> Counts:
    reference, first, second = maps
    kinds = kinds_of(reference, first, second)
    return deciding_counts(reference, kinds, num_classes=3, cell_px=CELL)


def deciding_in(maps: tuple[np.ndarray, ...], top: int, left: int, index: int) -> tuple[int, int]:
    """Pixels of a class in a square that the first, and the second, alone gets right."""
    reference, first, second = (m[top : top + SIDE, left : left + SIDE] for m in maps)
    here = reference == index
    right, other = first == index, second == index
    return int((here & right & ~other).sum()), int((here & ~right & other).sum())


def test_counts_of_cells_by_hand() -> None:
    reference = np.array([[0, 0, 1, 1], [0, 255, 1, 1]], dtype=np.uint8)
    first = np.array([[0, 1, 1, 0], [0, 0, 0, 0]], dtype=np.uint8)
    second = np.array([[1, 0, 1, 1], [0, 1, 0, 1]], dtype=np.uint8)
    counts = deciding_counts(
        reference, kinds_of(reference, first, second), num_classes=2, cell_px=2
    )
    assert counts.tolist() == [[[[1, 0]], [[0, 0]]], [[[1, 0]], [[0, 2]]]]


def test_what_exceeds_the_grid_is_not_counted() -> None:
    reference = np.zeros((5, 7), dtype=np.uint8)
    first, second = np.zeros_like(reference), np.ones_like(reference)
    counts = deciding_counts(
        reference, kinds_of(reference, first, second), num_classes=2, cell_px=3
    )
    assert counts.shape == (2, 2, 1, 2)
    assert counts[0, 0].tolist() == [[9, 9]]
    assert counts.sum() == 18


@pytest.mark.parametrize("seed", range(5))
def test_the_first_choice_is_the_best_of_all_places(seed: int) -> None:
    """Against every place of the grid in every tile, pixel by pixel."""
    tiles = {name: random_tile(10 * seed + i) for i, name in enumerate("abc")}
    crops = choose_crops(list(tiles), [counted(maps) for maps in tiles.values()], cell_px=CELL)
    rarest = min(range(3), key=lambda c: sum(counted(m)[:, c].sum() for m in tiles.values()))
    (crop,) = (one for one in crops if one.class_index == rarest)
    best = max(
        sum(deciding_in(maps, top, left, rarest))
        for maps in tiles.values()
        for top in range(0, 40 - SIDE + 1, CELL)
        for left in range(0, 33 - SIDE + 1, CELL)
    )
    assert crop.num_first_px + crop.num_second_px == best


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_the_pixels_and_crops_do_not_overlap(seed: int) -> None:
    tiles = {name: random_tile(10 * seed + i) for i, name in enumerate("ab")}
    counts = [counted(maps) for maps in tiles.values()]
    crops = choose_crops(list(tiles), counts, cell_px=CELL)
    assert [crop.class_index for crop in crops] == [0, 1, 2]
    covered = {name: np.zeros((40, 33), dtype=int) for name in tiles}
    for crop in crops:
        found = deciding_in(tiles[crop.tile], crop.top_px, crop.left_px, crop.class_index)
        assert found == (crop.num_first_px, crop.num_second_px)
        window = covered[crop.tile][crop.window]
        assert window.shape == (SIDE, SIDE)
        window += 1
    assert max(count.max() for count in covered.values()) == 1
    assert crops == choose_crops(list(tiles), counts, cell_px=CELL)


def test_ties_go_to_the_first_tile_and_the_upper_left() -> None:
    counts = np.zeros((2, 1, 6, 6), dtype=np.int64)
    counts[1, 0, 5, 5] = 4
    (crop,) = choose_crops(["a", "b"], [counts, counts], cell_px=8)
    assert (crop.tile, crop.top_px, crop.left_px, crop.side_px) == ("a", 16, 16, 32)
    assert (crop.num_first_px, crop.num_second_px) == (0, 4)


def test_rare_classes_choose_first() -> None:
    """In one tile with room for one crop, the class with fewest pixels gets it."""
    counts = np.zeros((2, 2, 4, 4), dtype=np.int64)
    counts[0, 0], counts[1, 1, 0, 0] = 100, 3
    (crop,) = choose_crops(["a"], [counts], cell_px=8)
    assert (crop.class_index, crop.num_second_px) == (1, 3)


def test_no_crop_without_disagreement_nor_in_a_tile_that_is_smaller() -> None:
    assert choose_crops(["a"], [np.zeros((2, 3, 9, 9), dtype=np.int64)], cell_px=4) == ()
    assert choose_crops(["a"], [np.ones((2, 3, 3, 9), dtype=np.int64)], cell_px=4) == ()
    assert choose_crops(["a"], [np.ones((2, 3, 0, 0), dtype=np.int64)], cell_px=4) == ()
    assert choose_crops([], [], cell_px=4) == ()


@pytest.mark.parametrize(
    ("shapes", "side"),
    [
        ([(2500, 2000)], 256),
        ([(384, 500)], 192),
        ([(101, 90)], 44),
        ([(600, 600), (20, 20), (600, 600)], 256),
        ([(3, 3)], 4),
    ],
)
def test_side_of_crops(shapes: list[tuple[int, int]], side: int) -> None:
    assert crop_side(shapes) == side
