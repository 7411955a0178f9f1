"""The live line: how many of how many trials, and how long is left."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final, Protocol, TextIO

from study.trials.listener import TrialListener
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows

_EVERY_S: Final = 10.0
"""How often a stream that is no terminal gets a line."""


class Uploads(Protocol):
    """Records on their way to the tracking server."""

    @property
    def num_delayed(self) -> int:
        """Records that the tracking server, being away, has not taken."""


class ProgressLine(TrialListener):
    """Rewrites one line on a terminal; elsewhere writes a line now and then."""

    def __init__(
        self,
        num_trials: int,
        num_done: int,
        uploads: Uploads | None = None,
        stream: TextIO = sys.stderr,
    ) -> None:
        """Count from what an earlier run of the study has done.

        Args:
            num_trials: Trials of the whole study.
            num_done: Trials finished before this run.
            uploads: Says how many records wait for the tracking server.
            stream: Where the line goes.
        """
        self._num_trials = num_trials
        self._num_before = num_done
        self._num_done = num_done
        self._num_failed = 0
        self._share: dict[str, float] = {}
        self._start: float | None = None
        self._uploads = uploads
        self._stream = stream
        self._live = stream.isatty()
        self._written = 0.0

    def on_start(self, trial: TrialConfig, *, is_first: bool) -> None:
        """A trial runs."""
        self._start = self._start or time.monotonic()
        self._share.setdefault(trial.key, 0.0)
        self._write()

    def on_step(self, trial: TrialConfig, step: int, rows: Rows) -> None:
        """A running trial got further."""
        self._share[trial.key] = step / trial.training.steps
        self._write()

    def on_interrupt(self, trial: TrialConfig) -> None:
        """A trial was lost and will be served again."""
        self._share.pop(trial.key, None)
        self._write()

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """A trial is done, or has failed for good."""
        self._num_failed += outcome.state == "failed"
        self._share.pop(outcome.trial.key, None)
        self._num_done += 1
        self._write()

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
        if self._uploads is not None and self._uploads.num_delayed:
            parts.append(f"{self._uploads.num_delayed} records wait for the tracking server")
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

    def _write(self, now: bool = False) -> None:
        if self._live:
            self._stream.write(f"\r\x1b[K{self.text()}")
        elif now or time.monotonic() - self._written >= _EVERY_S:
            self._written = time.monotonic()
            self._stream.write(f"{self.text()}\n")
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
