"""Where the time of a study goes around its trials, over all sessions that were profiled.

A session is one run of the command. Trials measure their own parts
(`trainables.training.stopwatch`); here is how long the command ran, how long its slots held a
trial, and what the driver spent on tracking.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from ray.tune import Callback

from study.machines.session_file import TIMES, Session, read_sessions
from study.mlflow_runs.upload_queue import UploadQueue
from study.trials.tasks import HandOut
from study.tune.timed_callback import TimedCallback
from trainables.settings.config import TrialConfig
from trainables.storage.atomic_files import write_atomically

_SAVE_EVERY_S: Final = 10.0
"""A driver that is killed loses so much of its session's times."""


_NAMES: Final = tuple(field.name for field in fields(Session))


class SessionTimes:
    """Measures this session where it is profiled, beside what earlier sessions measured."""

    def __init__(self, folder: Path, *, is_on: bool) -> None:
        """Start at the beginning of the command's work.

        Args:
            folder: Of the study; nothing is written there before a trial was handed out.
            is_on: Whether this session is profiled.
        """
        self._path = folder / TIMES
        self._is_on = is_on
        self._start = self._last = time.perf_counter()
        self._saved_at = self._start
        self._earlier: list[Session] = []
        self._session: Session | None = None
        self._queue: UploadQueue | None = None
        self._running: set[str] = set()
        self._is_over = False

    def restore(self) -> None:
        """Take up what earlier sessions measured.

        Raises:
            ConfigError: If their file is damaged.
        """
        self._earlier = read_sessions(self._path)

    @contextmanager
    def kept(self, slots: int, queue: UploadQueue) -> Iterator[None]:
        """Keep what is measured meanwhile, also where the session is stopped.

        Args:
            slots: Trials at once.
            queue: Carries records to MLflow.
        """
        if not self._is_on:
            yield
            return
        self._session, self._queue = Session(slots=slots), queue
        try:
            yield
        finally:
            self._finish()

    def around(self, hand_out: HandOut) -> HandOut:
        """The same hand-out; a slot holds the trial from then on."""

        def timed(trial: TrialConfig) -> dict[str, Any]:
            self._tick()
            self._running.add(trial.key)
            return hand_out(trial)

        return timed if self._is_on else hand_out

    def callbacks(self, callbacks: Sequence[Callback]) -> list[Callback]:
        """The same callbacks, whose time is measured."""
        if not self._is_on:
            return list(callbacks)
        return [TimedCallback(one, self._take_callback) for one in callbacks]

    def ended(self, key: str) -> None:
        """A trial has ended, and its slot is free."""
        if self._is_on:
            self._tick()
            self._running.discard(key)
            self.save()

    def save(self) -> None:
        """Write all sessions so far, this one too once a trial was handed out."""
        if self._sessions() != self._earlier:
            self._saved_at = time.perf_counter()
            content = {"sessions": [asdict(one) for one in self._sessions()]}
            write_atomically(self._path, json.dumps(content).encode())

    def total(self) -> dict[str, float]:
        """Sums over all sessions, this one ended now, by name of a metric; empty without any."""
        self._finish()
        sessions = [asdict(one) for one in self._sessions()]
        if not sessions:
            return {}
        summed = {name: sum(one[name] for one in sessions) for name in _NAMES}
        summed |= {"slots": max(one["slots"] for one in sessions), "sessions": len(sessions)}
        return {f"time/{name}": float(value) for name, value in summed.items()}

    def _sessions(self) -> list[Session]:
        if self._session is None or self._session.trial_s == 0:
            return self._earlier
        return [*self._earlier, self._session]

    def _finish(self) -> None:
        if not self._is_over and self._session is not None:
            self._tick()
            self._is_over = True
            self.save()

    def _tick(self) -> None:
        """Bring all sums to this moment."""
        session, now = self._session, time.perf_counter()
        if session is None or self._is_over:
            return
        if self._queue is not None:
            session.tracking_s = self._queue.sending_s
        passed, self._last = now - self._last, now
        num_running = len(self._running)
        slots = max(session.slots, num_running)
        session.wall_s = now - self._start
        session.slot_s += slots * passed
        session.trial_s += num_running * passed
        if session.trial_s == 0:
            session.before_s, session.slot_before_s = session.wall_s, session.slot_s

    def _take_callback(self, seconds: float) -> None:
        if self._session is not None:
            self._session.callback_s += seconds
        if time.perf_counter() - self._saved_at >= _SAVE_EVERY_S:
            self._tick()
            self.save()
