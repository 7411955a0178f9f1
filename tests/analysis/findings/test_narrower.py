from dataclasses import replace

import pytest

from analysis.findings.narrower import narrower_differences, narrower_needed
from analysis.statistics.answer import Answer
from analysis.statistics.intervals import Interval
from analysis.statistics.label_efficiency.needed import Bounds
from tests.analysis.findings.test_ranking import answer_with

GAINS = {"unet": 0.0, "urec-w1-0": 0.0, "urec-w1-0.1": 0.05}


def with_tiles(answer: Answer, half_of_seeds: float) -> Answer:
    """The same with intervals over tiles, as multiples of those over seeds."""
    found = {
        measure: tuple(replace(one, over_tiles=scaled(one.difference, half_of_seeds)) for one in of)
        for measure, of in answer.differences.items()
    }
    return replace(answer, differences=found)


def scaled(interval: Interval, factor: float) -> Interval:
    low, high = (
        interval.mean + factor * (end - interval.mean) for end in (interval.low, interval.high)
    )
    return replace(interval, low=low, high=high)


def test_an_interval_over_more_sources_of_error_was_narrower_and_nobody_said_why() -> None:
    answer = answer_with("w1=0/0.1", GAINS, num=3)
    assert narrower_differences(with_tiles(answer, 1.2)) == ""
    assert narrower_differences(answer) == "", "none over tiles"
    said = narrower_differences(with_tiles(answer, 0.7))
    assert said.startswith("Where the interval over seeds and tiles is the narrower one")
    assert "3 seeds alone tell so little of its size that it counts 4.3 times" in said


@pytest.mark.parametrize(
    ("tiles", "is_said"),
    [((0.1, 0.5), False), ((0.0, 1.0), False), ((0.2, 0.5), True), ((0.1, 0.2), True)],
)
def test_labels_needed_say_so_too(tiles: tuple[float, float], is_said: bool) -> None:
    answer = answer_with("w1=0/0.1", GAINS, num=5)
    one = replace(
        answer.needed[0],
        over_seeds=Bounds(low=0.1, high=0.5),
        over_tiles=Bounds(low=tiles[0], high=tiles[1]),
        num=5,
    )
    said = narrower_needed(replace(answer, needed=(one,)))
    assert ("5 seeds alone" in said and "2.8 times" in said) == is_said
    assert bool(said) == is_said
