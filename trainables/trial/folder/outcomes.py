"""How trials ended, as their folders say: what is on disk is what happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from contract.names import RESULT, TRACEBACK
from trainables.settings.config import TrialConfig
from trainables.storage.atomic_files import write_atomically
from trainables.training.checkpoint import remove_checkpoints
from trainables.trial.folder.trial_files import CHECKPOINT

PRUNED: Final = "pruned.json"
FAILED: Final = "failed.json"
FAILURES: Final = "failures.txt"

_ENDS: Final[Mapping[str, Literal["finished", "pruned", "failed"]]] = {
    RESULT: "finished", PRUNED: "pruned", FAILED: "failed",
}  # fmt: skip

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
    """How often it was tried: its failures, and the attempt that did not fail."""
    traceback: str = ""
    """Of the last attempt of a failed trial."""
    record: Mapping[str, Any]
    """The file's content; see `trainables.trial.work` for that of a finished trial."""

    @property
    def goes_on(self) -> bool:
        """Whether a continued study repeats the trial, from its checkpoint."""
        return self.state == "failed" and self.trial.phase == "confirm"


def read_outcome(folder: Path) -> Outcome | None:
    """How the trial of a folder ended, or None where it has not."""
    for name, state in _ENDS.items():
        path = folder / name
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            return Outcome(
                state=state,
                trial=TrialConfig.from_plain(record["trial"]),
                history=record["history"],
                score=record.get("score"),
                attempts=_num_failures(folder) + (state != "failed"),
                traceback=record.get("traceback", ""),
                record=record,
            )
    return None


def has_ended(folder: Path) -> bool:
    """Whether the trial of a folder has ended."""
    return any((folder / name).exists() for name in _ENDS)


def ended_trials(trials: Path) -> list[tuple[Path, Outcome]]:
    """Folder and end of every trial that has ended, in order of their keys."""
    found = ((folder, read_outcome(folder)) for folder in sorted(trials.glob("*")))
    return [(folder, outcome) for folder, outcome in found if outcome is not None]


def write_pruned(folder: Path, trial: TrialConfig, history: Rows) -> None:
    """Record that a search trial was stopped early; it is not gone on with."""
    record = {"trial": trial.to_plain(), "history": list(history)}
    write_atomically(folder / PRUNED, json.dumps(record).encode())


def write_failed(folder: Path, trial: TrialConfig, history: Rows, traceback: str) -> None:
    """Record that a trial failed for good, with the traceback of its last attempt."""
    write_atomically(folder / TRACEBACK, traceback.encode())
    record = {
        "trial": trial.to_plain(),
        "history": list(history),
        "traceback": traceback,
    }
    write_atomically(folder / FAILED, json.dumps(record).encode())


def count_failure(folder: Path) -> None:
    """Count one more failed attempt at the trial of a folder."""
    write_atomically(folder / FAILURES, str(_num_failures(folder) + 1).encode())


def _num_failures(folder: Path) -> int:
    path = folder / FAILURES
    return int(path.read_text()) if path.exists() else 0


def forget_failure(folder: Path) -> bool:
    """Make way for a trial that had failed for good to be tried again; its checkpoint stays.

    Returns:
        Whether it had failed.
    """
    if not (folder / FAILED).exists():
        return False
    for name in (FAILURES, TRACEBACK, FAILED):
        (folder / name).unlink(missing_ok=True)
    return True


def remove_leftovers(folder: Path) -> None:
    """Remove the checkpoints of a trial that will not be gone on with."""
    remove_checkpoints(folder / CHECKPOINT)
