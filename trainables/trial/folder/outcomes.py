"""The records in a trial's folder: what it is, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from contract.names import RESULT, TRACEBACK
from trainables.settings.config import TrialConfig
from trainables.storage.atomic_files import write_atomically
from trainables.storage.folder_files import set_aside
from trainables.training.checkpoint import remove_checkpoints
from trainables.trial.folder.trial_files import CHECKPOINT

PLAN: Final = "trial.json"
"""What a trial is; the driver writes it before the trial runs."""
PRUNED: Final = "pruned.json"
FAILED: Final = "failed.json"
FAILURES: Final = "failures.txt"
"""How many attempts at the trial have failed."""

EndState = Literal["finished", "pruned", "failed"]
_ENDS: Final[Mapping[str, EndState]] = {
    RESULT: "finished", PRUNED: "pruned", FAILED: "failed",
}  # fmt: skip
ENDS: Final = (PRUNED, FAILED, RESULT)
"""One of these files says that a trial has ended."""

Rows = Sequence[Mapping[str, float]]
_Content = TypeVar("_Content")


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What a trial is, and what its search must remember of it until it ends."""

    trial: TrialConfig
    validations: Mapping[int, float] = field(default_factory=dict)
    """Selected measure by validation (from 1), so far; kept for a search with a pruner alone."""
    stopped_at: int | None = None
    """The validation after which the pruner gave the trial up; None while it did not."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one trial."""

    state: EndState
    trial: TrialConfig
    history: Rows
    """Rows of its curves."""
    score: float | None = None
    """Selected validation measure; None for a trial that has not finished."""
    attempts: int = 1
    """How often it was tried: its failures, and the attempt that did not fail."""
    traceback: str = ""
    """Text of the error that ended the last attempt of a failed trial."""
    record: Mapping[str, Any]
    """The file's content; see `trainables.trial.work` for that of a finished trial."""

    @property
    def goes_on(self) -> bool:
        """Whether a continued study repeats the trial, from its checkpoint."""
        return self.state == "failed" and self.trial.phase == "confirm"


def read_plan(folder: Path) -> TrialPlan | None:
    """What the trial of a folder is; None where that is not on record."""
    return _read(folder / PLAN, _parse_plan)


def write_plan(folder: Path, plan: TrialPlan) -> None:
    """Record what a trial is."""
    write_atomically(folder / PLAN, json.dumps(asdict(plan)).encode())


def read_outcome(folder: Path) -> Outcome | None:
    """How the trial of a folder ended; None where it has not, or its record is damaged."""
    for name in _ENDS:
        outcome = _read(folder / name, _parse_outcome)
        if outcome is not None:
            return outcome
    return None


def has_ended(folder: Path) -> bool:
    """Whether the trial of a folder has ended."""
    return any((folder / name).exists() for name in _ENDS)


def ended_trials(trials: Path) -> list[tuple[Path, Outcome]]:
    """Folder and end of every trial that has ended, in order of their keys."""
    found = ((folder, read_outcome(folder)) for folder in sorted(trials.glob("*")))
    return [(folder, outcome) for folder, outcome in found if outcome is not None]


def set_damaged_aside(folder: Path) -> list[Path]:
    """Rename the records of a trial that hold something else than this package wrote.

    Returns:
        Their new paths.
    """
    # First the number of failures: an outcome tells it too.
    parsers: dict[str, Callable[[Path], object]] = {FAILURES: _num_failures, PLAN: _parse_plan}
    parsers |= dict.fromkeys(_ENDS, _parse_outcome)
    return [
        set_aside(folder / name)
        for name, parse in parsers.items()
        if (folder / name).exists() and _read(folder / name, parse) is None
    ]


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
    num_failures = _num_failures(folder / FAILURES) + 1
    write_atomically(folder / FAILURES, str(num_failures).encode())


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


def _read(path: Path, parse: Callable[[Path], _Content]) -> _Content | None:
    """What a file says; None where it is missing or damaged."""
    if not path.exists():
        return None
    try:
        return parse(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _parse_outcome(path: Path) -> Outcome:
    state, record = _ENDS[path.name], json.loads(path.read_bytes())
    return Outcome(
        state=state,
        trial=TrialConfig.from_plain(record["trial"]),
        history=record["history"],
        score=float(record["score"]) if state == "finished" else None,
        attempts=_num_failures(path.with_name(FAILURES)) + (state != "failed"),
        traceback=record.get("traceback", ""),
        record=record,
    )


def _parse_plan(path: Path) -> TrialPlan:
    record = json.loads(path.read_bytes())
    return TrialPlan(
        trial=TrialConfig.from_plain(record["trial"]),
        validations={int(number): score for number, score in record["validations"].items()},
        stopped_at=record["stopped_at"],
    )


def _num_failures(path: Path) -> int:
    return int(path.read_text(encoding="utf-8")) if path.exists() else 0
