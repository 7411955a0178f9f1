"""Where the time of a study goes around its trials, over all sessions that were profiled.

A session is one run of the command. Trials measure their own parts
(`trainables.training.stopwatch`); here is how long the command ran, how long its slots held a
trial, and what the driver spent on its records in MLflow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final, Protocol

from study.machines.session_file import TIMES, Session, read_sessions
from study.machines.storage_sync import StorageSync
from study.trials.listener import TrialListener
from trainables.settings.config import TrialConfig
from trainables.storage.atomic_files import write_atomically
from trainables.trial.folder.outcomes import Outcome

_SAVE_EVERY_S: Final = 10.0
"""A driver that is killed loses so much of its session's times."""


_NAMES: Final = tuple(field.name for field in fields(Session))


class Uploads(Protocol):
    """Carries records to MLflow."""

    sending_s: float
    """Wall seconds that this has taken so far."""


class SessionTimes(TrialListener):
    """Measures this session where it is profiled, beside what earlier sessions measured."""

    def __init__(self, folder: Path, *, is_on: bool) -> None:
        """Start at the beginning of the command's work.

        Args:
            folder: The study's folder; nothing is written there before a trial runs.
            is_on: Whether this session is profiled.
        """
        self._path = folder / TIMES
        self._is_on = is_on
        self._start = self._last = time.perf_counter()
        self._saved_at = self._start
        self._earlier: list[Session] = []
        self._session: Session | None = None
        self._sync = StorageSync(folder, None)
        self._uploads: Uploads | None = None
        self._running: set[str] = set()
        self._is_over = False

    def restore(self, sync: StorageSync) -> None:
        """Take up what earlier sessions measured, and bring what this one measures to the storage.

        Raises:
            ConfigError: If their file is damaged.
        """
        self._sync = sync
        self._earlier = read_sessions(self._path)

    @contextmanager
    def kept(self, slots: int, uploads: Uploads) -> Iterator[None]:
        """Keep what is measured meanwhile, also where the session is stopped.

        Args:
            slots: Trials at once.
            uploads: Carries records to MLflow.
        """
        if not self._is_on:
            yield
            return
        self._session, self._uploads = Session(slots=slots), uploads
        try:
            yield
        finally:
            self._finish()

    def on_plan(self, trial: TrialConfig) -> None:
        """A slot holds the trial from now on."""
        if self._is_on:
            self._tick()
            self._running.add(trial.key)

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """The trial's slot is free."""
        if self._is_on:
            self._tick()
            self._running.discard(outcome.trial.key)
            self.save()
            self.upload()

    @contextmanager
    def callback(self) -> Iterator[None]:
        """Measure what the driver does in a callback of Tune."""
        start = time.perf_counter()
        try:
            yield
        finally:
            now = time.perf_counter()
            if self._session is not None:
                self._session.callback_s += now - start
            if self._is_on and now - self._saved_at >= _SAVE_EVERY_S:
                self._tick()
                self.save()

    def upload(self) -> None:
        """Bring the file of all sessions, if there is one, to the storage."""
        if self._path.exists():
            self._sync.save(TIMES)

    def save(self) -> None:
        """Write all sessions so far, this one too once it has run a trial."""
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
        if self._uploads is not None:
            session.tracking_s = self._uploads.sending_s
        passed, self._last = now - self._last, now
        num_running = len(self._running)
        slots = max(session.slots, num_running)
        session.wall_s = now - self._start
        session.slot_s += slots * passed
        session.trial_s += num_running * passed
        if session.trial_s == 0:
            session.before_s, session.slot_before_s = session.wall_s, session.slot_s
