"""Why an interval that counts more sources of error can be the narrower of two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from analysis.statistics.intervals import t_factor

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer


def narrower_differences(answer: Answer) -> str:
    """What to say where a difference has a narrower interval over seeds and tiles; "" elsewhere."""
    return _reason(
        one.difference.num
        for of_measure in answer.differences.values()
        for one in of_measure
        if one.over_tiles.is_known
        and one.over_tiles.high - one.over_tiles.low < one.difference.high - one.difference.low
    )


def narrower_needed(answer: Answer) -> str:
    """The same of the labels needed for a score."""
    return _reason(
        one.num
        for one in answer.needed
        if one.over_tiles.is_known
        and (one.over_tiles.low > one.over_seeds.low or one.over_tiles.high < one.over_seeds.high)
    )


def _reason(nums: Iterable[int]) -> str:
    """What makes it so, for pairs of so many seeds each."""
    found = sorted(set(nums))
    if not found:
        return ""
    num = found[0]
    factor = f"{t_factor(num - 1):.1f}"
    seeds = f"{num} seeds" if len(found) == 1 else f"{num} seeds, the fewest here,"
    return (
        "Where the interval over seeds and tiles is the narrower one, tiles differ little: they "
        f"hardly add to the error, but {seeds} alone tell so little of its size that it counts "
        f"{factor} times, and with the tiles fewer times. Then read the wider one."
    )
