from typing import Any

import numpy as np
import pytest

from analysis.reading.confusion import parse_confusion
from analysis.reading.schema import StudyDataError


def document(**changes: Any) -> dict[str, Any]:
    tile = {"name": "area15", "full": [[3, 1], [0, 4]], "eroded": [[2, 0], [0, 3]]}
    base = {
        "schema": 1, "split": "test", "classes": ["tree", "car"],
        "exclude_from_mean": ["car"], "tiles": [tile, {**tile, "name": "area17"}],
    }  # fmt: skip
    return base | changes


def test_tiles_are_summed() -> None:
    confusion = parse_confusion(document(), where="trial x")
    np.testing.assert_array_equal(confusion.pooled(), [[6, 2], [0, 8]])
    eroded = confusion.pooled_eroded()
    assert eroded is not None
    np.testing.assert_array_equal(eroded, [[4, 0], [0, 6]])
    assert eroded.dtype == np.int64


def test_eroded_reference_of_some_tiles_only_is_no_score() -> None:
    tiles = document()["tiles"]
    confusion = parse_confusion(
        document(tiles=[tiles[0], {**tiles[1], "eroded": None}]), where="trial x"
    )
    assert confusion.pooled_eroded() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema of confusion.json must be 1, got 2 in trial x"),
        ({"split": "val"}, "split of confusion.json must be 'test', got 'val'"),
        ({"exclude_from_mean": ["sea"]}, r"must name classes of \['tree', 'car'\]"),
        ({"tiles": []}, "tiles of confusion.json must not be empty"),
        ({"tiles": [{"name": "a", "full": [[1, 2, 3]]}]}, r"must have shape \(2, 2\)"),
        ({"tiles": [{"name": "a", "full": [[1, 2], [3]]}]}, "must be a rectangle"),
        ({"tiles": [{"name": "a", "full": [[1, 2], [3, -1]]}]}, "whole pixel counts >= 0"),
        ({"tiles": [{"name": "a", "full": [[1, 2], [3, 0.5]]}]}, "whole pixel counts >= 0"),
        ({"tiles": [{"name": "a"}]}, r"must have shape \(2, 2\)"),
    ],
)
def test_confusion_that_breaks_the_contract_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyDataError, match=message):
        parse_confusion(document(**changes), where="trial x")
