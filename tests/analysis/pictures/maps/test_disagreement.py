import math

import numpy as np
import pytest

from analysis.pictures.maps.disagreement import (
    BOTH_RIGHT,
    BOTH_WRONG,
    FIRST_RIGHT,
    NOT_KNOWN,
    SECOND_RIGHT,
    Tally,
    kinds_of,
    most_disagreeing,
    summed,
    tally,
    tile_disagreement,
)


def array(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.uint8)


def test_every_kind_by_hand() -> None:
    reference = array([0, 1, 2, 0, 255])
    first = array([0, 1, 0, 1, 0])
    second = array([0, 0, 2, 2, 0])
    kinds = kinds_of(reference, first, second)
    assert kinds.tolist() == [[BOTH_RIGHT, FIRST_RIGHT, SECOND_RIGHT, BOTH_WRONG, NOT_KNOWN]]
    assert tally(kinds) == Tally(
        both_right=1, first_right=1, second_right=1, both_wrong=1, unknown=1
    )


def test_both_wrong_in_different_ways_is_no_disagreement_about_who_is_right() -> None:
    kinds = kinds_of(array([0, 0]), array([1, 2]), array([2, 2]))
    assert kinds.tolist() == [[BOTH_WRONG, BOTH_WRONG]]


def test_counts_against_pixel_by_pixel_loops() -> None:
    generator = np.random.default_rng(5)
    reference, first, second = generator.integers(0, 3, (3, 31, 17), dtype=np.uint8)
    reference[generator.random(reference.shape) < 0.2] = 255
    counts = dict.fromkeys(["tt", "tf", "ft", "ff", "unknown"], 0)
    for true, one, other in zip(reference.flat, first.flat, second.flat, strict=True):
        key = "unknown" if true == 255 else "tf"[int(one != true)] + "tf"[int(other != true)]
        counts[key] += 1
    found = tally(kinds_of(reference, first, second))
    assert [counts[key] for key in ("tt", "tf", "ft", "ff", "unknown")] == [
        found.both_right, found.first_right, found.second_right, found.both_wrong, found.unknown,
    ]  # fmt: skip
    assert found.num_known == reference.size - counts["unknown"]
    assert found.num_deciding == counts["tf"] + counts["ft"]


def test_shares_are_of_known_pixels_alone() -> None:
    one = Tally(both_right=6, first_right=1, second_right=2, both_wrong=1, unknown=90)
    assert one.share(one.num_deciding) == 0.3
    assert math.isnan(Tally(unknown=5).share(0))
    assert summed([one, one]).share(2) == 0.1
    assert summed([]) == Tally()


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maps must have the shape .* \(1, 2\), got \(1, 3\)"):
        kinds_of(array([0, 0]), array([0, 0, 0]), array([0, 0]))


@pytest.mark.parametrize(("longest", "every"), [(100, 1), (50, 2), (34, 3), (7, 15)])
def test_small_maps_fit_and_keep_shares(longest: int, every: int) -> None:
    kinds = np.random.default_rng(0).choice(4, (60, 100), p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)
    seen = tile_disagreement("a", kinds, longest)
    assert seen.every == every
    assert max(seen.kinds.shape) <= longest
    assert np.array_equal(seen.kinds, kinds[every // 2 :: every, every // 2 :: every])
    assert seen.tally == tally(kinds)


def test_a_reduced_map_of_a_single_row_is_not_empty() -> None:
    seen = tile_disagreement("a", np.zeros((1, 100), dtype=np.uint8), 10)
    assert seen.kinds.size > 0


def test_most_disagreeing_first_and_unknown_last() -> None:
    def tile(name: str, deciding: int, known: int) -> object:
        kinds = np.full(100, NOT_KNOWN, dtype=np.uint8)
        kinds[:known] = BOTH_RIGHT
        kinds[:deciding] = FIRST_RIGHT
        return tile_disagreement(name, kinds.reshape(10, 10), 10)

    tiles = [tile("none", 0, 0), tile("a", 5, 100), tile("b", 5, 50), tile("c", 5, 100)]
    names = [one.tile for one in most_disagreeing(tiles, 9)]  # type: ignore[arg-type]
    assert names == ["b", "a", "c", "none"]
    assert len(most_disagreeing(tiles, 2)) == 2  # type: ignore[arg-type]
