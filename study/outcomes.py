"""How trials ended, as their folders say: what is on disk is what happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from trainables.checkpoint import remove_checkpoints
from trainables.config import TrialConfig
from trainables.files import write_atomically
from trainables.trial import CHECKPOINT, RESULT

PRUNED: Final = "pruned.json"
FAILED: Final = "failed.json"
TRACEBACK: Final = "traceback.txt"

Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one trial."""

    state: Literal["finished", "pruned", "failed"]
    trial: TrialConfig
    history: Rows
    """Rows of its curves."""
    score: float | None = None
    """Selected validation measure; of finished trials alone."""
    attempts: int = 1
    """How often it was started."""
    traceback: str = ""
    """Of the last attempt of a failed trial."""
    record: Mapping[str, Any]
    """The file's content; see `trainables.trial` for that of a finished trial."""


def read_outcome(folder: Path) -> Outcome | None:
    """How the trial of a folder ended, or None where it has not."""
    states: dict[str, Literal["finished", "pruned", "failed"]] = {
        RESULT: "finished", PRUNED: "pruned", FAILED: "failed",
    }  # fmt: skip
    for name, state in states.items():
        path = folder / name
        if path.exists():
            record = json.loads(path.read_text())
            return Outcome(
                state=state,
                trial=TrialConfig.from_plain(record["trial"]),
                history=record["history"],
                score=record.get("score"),
                attempts=record.get("attempts", 1),
                traceback=record.get("traceback", ""),
                record=record,
            )
    return None


def write_pruned(folder: Path, trial: TrialConfig, history: Rows, attempts: int) -> None:
    """Record that a search trial was stopped early; it is not gone on with."""
    record = {"trial": trial.to_plain(), "history": list(history), "attempts": attempts}
    write_atomically(folder / PRUNED, json.dumps(record).encode())


def write_failed(
    folder: Path, trial: TrialConfig, history: Rows, traceback: str, attempts: int
) -> None:
    """Record that a trial failed for good, with the traceback of its last attempt."""
    write_atomically(folder / TRACEBACK, traceback.encode())
    record = {
        "trial": trial.to_plain(),
        "history": list(history),
        "attempts": attempts,
        "traceback": traceback,
    }
    write_atomically(folder / FAILED, json.dumps(record).encode())


def forget_failure(folder: Path) -> None:
    """Make way for another attempt at a trial that had failed; its checkpoint stays."""
    for name in (FAILED, TRACEBACK):
        (folder / name).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the checkpoints of a trial that will not be gone on with."""
    remove_checkpoints(folder / CHECKPOINT)
