"""The live line: how many of how many trials, and how long is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from ray.tune import Callback


class ProgressCallback(Callback):
    """Rewrites one line on a terminal; elsewhere writes a line now and then."""

    _EVERY_S = 10.0

    def __init__(
        self,
        num_trials: int,
        num_done: int,
        waiting: Callable[[], int] = lambda: 0,
        goes_on: Callable[[str], bool] = lambda key: False,
        stream: TextIO = sys.stderr,
    ) -> None:
        """Count from what an earlier run of the study has done.

        Args:
            num_trials: Trials of the whole study.
            num_done: Trials finished before this run.
            waiting: Records that the tracking server, being away, has not taken.
            goes_on: Whether the trial with this key, which Tune has given up, will be served again.
            stream: Where the line goes.
        """
        self._num_trials = num_trials
        self._num_before = num_done
        self._num_done = num_done
        self._num_failed = 0
        self._share: dict[str, float] = {}
        self._start: float | None = None
        self._waiting = waiting
        self._goes_on = goes_on
        self._stream = stream
        self._live = stream.isatty()
        self._written = 0.0

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial runs."""
        self._start = self._start or time.monotonic()
        self._share.setdefault(trial.trial_id, 0.0)
        self._write()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A running trial got further."""
        self._share[trial.trial_id] = (
            result.get("step", 0) / trial.config["trial"]["training"]["steps"]
        )
        self._write()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is done."""
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed, or was lost and will be served again."""
        if self._goes_on(str(trial.config["trial"]["key"])):
            self._share.pop(trial.trial_id, None)
            self._write()
            return
        self._num_failed += 1
        self._end(trial)

    def close(self) -> None:
        """Leave the last state of the line standing."""
        self._write(now=True)
        if self._live:
            self._stream.write("\n")
        self._stream.flush()

    def text(self) -> str:
        """`12 of 30 trials, 2 running, 1:05 left`."""
        parts = [f"{self._num_done} of {self._num_trials} trials", f"{len(self._share)} running"]
        if self._num_failed:
            parts.append(f"{self._num_failed} failed")
        if num_waiting := self._waiting():
            parts.append(f"{num_waiting} records wait for the tracking server")
        left = self.seconds_left()
        parts.append("estimating time left" if left is None else f"{_clock(left)} left")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """Seconds to the end at the pace so far, or None before there is a pace."""
        work = self._num_done - self._num_before + sum(self._share.values())
        if self._start is None or work < 0.5:
            return 0.0 if self._num_done == self._num_trials else None
        remaining = self._num_trials - self._num_before - work
        return (time.monotonic() - self._start) / work * remaining

    def _end(self, trial: Any) -> None:
        self._share.pop(trial.trial_id, None)
        self._num_done += 1
        self._write()

    def _write(self, now: bool = False) -> None:
        if self._live:
            self._stream.write(f"\r\x1b[K{self.text()}")
        elif now or time.monotonic() - self._written >= self._EVERY_S:
            self._written = time.monotonic()
            self._stream.write(f"{self.text()}\n")
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
