"""Wall seconds of the parts of a trial, added up over its attempts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import torch
from torch.profiler import record_function

from contract.names import TIME_PARTS


class Stopwatch:
    """Adds up the seconds of each part; one that is off measures and synchronises nothing.

    Parts do not nest. A part on a card ends when the card has done its work. In a trace, every
    part is a range of its name.
    """

    def __init__(self, device: torch.device, since: float | None) -> None:
        """Start, or stay off.

        Args:
            device: Where the trial computes.
            since: When the driver handed the trial out, in seconds since 1970 by the driver's
                clock, which must agree with this machine's; None for a stopwatch that is off.
        """
        self._device = device
        self._since = since
        self._inside: str | None = None
        self.seconds: dict[str, float] = {}
        """By part, those that were measured."""

    def part(self, name: str) -> AbstractContextManager[None]:
        """Count the time of a block to one of `TIME_PARTS`."""
        return nullcontext() if self._since is None else self._timed(name)

    def started(self) -> None:
        """Count what has passed since the hand-out to `start`."""
        if self._since is not None:
            self._synchronise()
            self._add("start", time.time() - self._since)

    def go_on_from(self, saved: Mapping[str, float]) -> Mapping[str, float]:
        """Add what earlier attempts took.

        Returns:
            Seconds by part, which go on growing where this stopwatch is on.
        """
        if self._since is None:
            return saved
        for name, seconds in saved.items():
            self._add(name, seconds)
        return self.seconds

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        assert name in TIME_PARTS, name
        assert self._inside is None, f"{name} must not lie in {self._inside}"
        self._synchronise()
        self._inside, start = name, time.perf_counter()
        try:
            with record_function(name):
                yield
                self._synchronise()
        finally:
            self._inside = None
            self._add(name, time.perf_counter() - start)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


OFF: Final = Stopwatch(torch.device("cpu"), None)
"""Measures nothing."""
