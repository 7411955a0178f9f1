"""Parts add up, over attempts too; a stopwatch that is off does nothing at all."""

import time

import pytest
import torch

from contract.names import TIME_PARTS
from trainables.training import stopwatch
from trainables.training.stopwatch import OFF, Stopwatch

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_parts_add_up_and_what_lies_between_them_is_no_part(clock):
    watch = Stopwatch(CPU, 1000.0)
    clock(4.0)
    watch.started()
    for seconds in (1.0, 2.0):
        with watch.part("data"):
            clock(seconds)
        clock(50.0)
        with watch.part("report"):
            clock(0.25)
    assert watch.seconds == {"start": 4.0, "data": 3.0, "report": 0.5}


def test_a_part_that_raises_counts_and_the_next_may_begin(clock):
    watch = Stopwatch(CPU, 1000.0)

    def failing():
        with watch.part("report"):
            clock(2.0)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    with watch.part("report"):
        clock(1.0)
    assert watch.seconds == {"report": 3.0}


def test_parts_do_not_nest():
    watch = Stopwatch(CPU, 0.0)
    with (
        pytest.raises(AssertionError, match="data must not lie in validation"),
        watch.part("validation"),
        watch.part("data"),
    ):
        pass


def test_a_part_has_a_known_name():
    with pytest.raises(AssertionError, match="training"), Stopwatch(CPU, 0.0).part("training"):
        pass
    assert len(set(TIME_PARTS)) == len(TIME_PARTS)


def test_attempts_add_up(clock):
    watch = Stopwatch(CPU, 1000.0)
    seconds = watch.go_on_from({"start": 10.0, "test": 1.0})
    clock(5.0)
    watch.started()
    with watch.part("data"):
        clock(2.0)
    assert seconds == {"start": 15.0, "test": 1.0, "data": 2.0}, "what was returned goes on"


def test_one_that_is_off_measures_and_synchronises_nothing(monkeypatch):
    for name in ("perf_counter", "time"):
        monkeypatch.setattr(time, name, lambda: pytest.fail("measured"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: pytest.fail("synchronised"))
    monkeypatch.setattr(stopwatch, "record_function", lambda *_: pytest.fail("named a range"))
    watch = Stopwatch(torch.device("cuda"), None)
    with watch.part("data"), watch.part("validation"):
        pass
    watch.started()
    assert watch.go_on_from({"data": 2.0}) == {"data": 2.0}
    assert watch.seconds == OFF.seconds == {}


def test_a_card_has_done_the_work_of_a_part_when_it_begins_and_ends(monkeypatch, clock):
    """Work that was put on the card before a part is not the part's, what it puts there is."""
    waiting = [3.0]
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: clock(waiting.pop()))
    watch = Stopwatch(torch.device("cuda", 0), 1000.0)
    with watch.part("forward_backward"):
        waiting.append(5.0)
    assert watch.seconds == {"forward_backward": 5.0}
    assert waiting == []
