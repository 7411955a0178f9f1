"""Kills of the driver along one study: one of each kind, the same command after each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from harness.checks import (
    Record,
    leftover_problems,
    read_record,
    record_problems,
    result_problems,
)
from harness.moments import REPORT, MissedMomentError, draw_moment, strike
from harness.processes import Command
from harness.tortured_study import NUM_TRIALS, Fingerprint, TorturedStudy

Say = Callable[[str], None]

_MISSES = 2
"""At most, of the moment of the report: a finished study meets it again when it is continued."""


class Torture:
    """One tortured study: what was seen at each look, and what is wrong so far."""

    def __init__(self, study: TorturedStudy, say: Say) -> None:
        """Begin to look at a study; `say` gets a line for each event."""
        self.study = study
        self.problems: list[str] = []
        self._say = say
        self._seen: dict[str, Fingerprint] = {}

    def look(self) -> None:
        """Compare the finished trials with those of the last look."""
        now = self.study.results()
        self.problems += result_problems(self._seen, now)
        self._seen = {**self._seen, **now}
        for key in now:
            json.loads((self.study.trials / key / "result.json").read_text())

    def note(self, event: str, command: Command | None = None) -> None:
        """Say what was done and what it met; wait for what it left of a killed command."""
        parts = [event, f"{self.study.num_done} of {NUM_TRIALS} trials done"]
        if command is not None:
            waited_s, ended = command.settle()
            parts.append(f"last trial process gone after {waited_s:.1f} s")
            if ended:
                parts.append(f"had to end {', '.join(ended)}")
            torn = len(self.study.partials())
            parts.append(f"{torn} checkpoint{'s' * (torn != 1)} half written")
        self._say("; ".join(parts))
        self.look()

    def finish(self, reference: Record, store: str) -> None:
        """Run the study to its end and compare it with the uninterrupted one.

        Args:
            reference: What that one has left.
            store: URI of the MLflow database of this one.
        """
        command = self.study.finish()
        _, ended = command.settle()
        if ended:
            self._say(f"the end: had to end {', '.join(ended)}")
        self.look()
        self.problems += record_problems(reference, read_record(self.study, store))
        self.problems += leftover_problems(self.study, store)


def kill_driver(
    torture: Torture,
    kinds: Sequence[str],
    generator: Random,
    *,
    during: Mapping[str, Callable[[Command], None]] | None = None,
    after: Mapping[str, Callable[[], None]] | None = None,
) -> int:
    """Kill the driver at a moment of each kind, in their order.

    Args:
        torture: The study.
        kinds: Kinds of moments, in the order in which a study meets them.
        generator: Draws the moments.
        during: By kind, what is done to the running study before the moment.
        after: By kind, what is done once the driver is dead.

    Returns:
        How often the moment of the report was missed and tried again.
    """
    num_missed = 0
    for kind in kinds:
        before = (during or {}).get(kind)
        while True:
            moment = draw_moment(kind, torture.study, generator)
            command = torture.study.launch()
            if before is not None:
                before(command)
                before = None
            try:
                strike(command, torture.study, moment)
            except MissedMomentError as missed:
                if kind != REPORT or num_missed == _MISSES:
                    raise
                num_missed += 1
                torture.note(f"missed: {str(missed).splitlines()[0]}", command)
                continue
            torture.note(f"kill: {kind} ({moment.what}, +{moment.then_s:.2f} s)", command)
            break
        (after or {}).get(kind, lambda: None)()
    return num_missed


def cut_to_half(file: Path) -> None:
    """Truncate a file, as a disk that lost its cache may."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
