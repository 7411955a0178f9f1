"""The live line."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

import study.trials.progress
from study.trials.progress import ProgressLine


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(study.trials.progress, "time", clock)
    return clock


def trial(name: str, steps: int = 10) -> SimpleNamespace:
    return SimpleNamespace(key=name, training=SimpleNamespace(steps=steps))


def start(progress: ProgressLine, name: str) -> None:
    progress.on_start(trial(name), is_first=True)


def reach(progress: ProgressLine, name: str, step: int) -> None:
    progress.on_step(trial(name), step, [])


def end(progress: ProgressLine, name: str, failed: bool = False) -> None:
    state = "failed" if failed else "finished"
    progress.on_end(SimpleNamespace(trial=trial(name), state=state), Path())


def test_text_over_a_study(clock):
    progress = ProgressLine(4, 0, stream=io.StringIO())
    assert progress.text() == "0 of 4 trials, 0 running, estimating time left"
    start(progress, "a")
    start(progress, "b")
    assert progress.text() == "0 of 4 trials, 2 running, estimating time left"
    clock.now += 10
    reach(progress, "a", 5)  # half a trial in 10 s: 3.5 trials are left
    assert progress.text() == "0 of 4 trials, 2 running, 1:10 left"
    clock.now += 10
    reach(progress, "a", 10)
    end(progress, "a")
    assert progress.text() == "1 of 4 trials, 1 running, 1:00 left"
    end(progress, "b", failed=True)
    assert progress.text() == "2 of 4 trials, 0 running, 1 failed, 0:20 left"


def test_pace_counts_from_what_was_done_before(clock):
    progress = ProgressLine(10, 6, stream=io.StringIO())
    start(progress, "a")
    clock.now += 60
    end(progress, "a")
    assert progress.seconds_left() == 180
    assert progress.text() == "7 of 10 trials, 0 running, 3:00 left"


def test_hours(clock):
    progress = ProgressLine(101, 0, stream=io.StringIO())
    start(progress, "a")
    clock.now += 65
    end(progress, "a")
    assert progress.text().endswith(", 1:48:20 left")


def test_nothing_left_to_do(clock):
    assert ProgressLine(3, 3, stream=io.StringIO()).seconds_left() == 0


def test_terminal_has_one_line(clock):
    stream = Terminal()
    progress = ProgressLine(1, 0, stream=stream)
    start(progress, "a")
    reach(progress, "a", 5)
    end(progress, "a")
    progress.close()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\r\x1b[K1 of 1 trials, 0 running, 0:00 left\n")


def test_log_file_gets_a_line_now_and_then(clock):
    stream = io.StringIO()
    progress = ProgressLine(3, 0, stream=stream)
    start(progress, "a")
    for step in range(1, 9):
        clock.now += 2
        reach(progress, "a", step)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert not any("\r" in line or "\x1b" in line for line in lines)
    progress.close()
    assert len(stream.getvalue().splitlines()) == 3


def test_a_lost_trial_waits_and_is_no_failure(clock):
    uploads = SimpleNamespace(num_delayed=3)
    progress = ProgressLine(4, 0, uploads, stream=io.StringIO())
    start(progress, "a")
    progress.on_interrupt(trial("a"))
    assert progress.text() == (
        "0 of 4 trials, 0 running, 3 records wait for the tracking server, estimating time left"
    )
