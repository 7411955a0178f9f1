"""Where every trial of a study stands: its folder is the truth, and one class advances it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from contract.names import RESULT, TRACEBACK
from study.errors import StudyHaltedError, is_disk_full, is_lost
from study.machines.storage_sync import StorageSync
from study.trials.listener import TrialListener
from trainables.settings.config import TrialConfig
from trainables.storage.folder_files import set_aside
from trainables.trial.folder.outcomes import (
    ENDS,
    FAILED,
    FAILURES,
    PLAN,
    PRUNED,
    EndState,
    Outcome,
    Rows,
    TrialPlan,
    count_failure,
    ended_trials,
    forget_failure,
    read_outcome,
    read_plan,
    remove_leftovers,
    set_damaged_aside,
    write_failed,
    write_plan,
    write_pruned,
)

TrialState = Literal["planned", "running", "interrupted"] | EndState
"""`planned` is a trial that has not begun, `interrupted` one that no process runs now."""


class Releaser(Protocol):
    """Knows what a trial holds of the machines."""

    def release(self, folder: Path) -> None:
        """Free what the process of a trial, which was lost or stopped, has left behind."""


@dataclass(kw_only=True)
class _Unfinished:
    """What this session has seen of a trial that has not ended."""

    trial: TrialConfig
    history: list[Mapping[str, float]] = field(default_factory=list)
    """Rows of its curves, of all its attempts together."""
    lost_at: float = -1.0
    """Step that it had reached when its process was lost the last time that cost no retry."""
    is_started: bool = False
    """Whether a process of this session has run it."""
    is_running: bool = False
    """Whether a process runs it, or will at once."""
    is_loss_known: bool = False
    """Whether its process is known to be lost, and no other has run it since."""


class StudyTrials:
    """Reads where trials stand, advances them, and tells everybody else.

    Whatever happens to a trial is written to its folder first, then to the storage; then the
    listeners are told, in the order in which they were added.
    """

    def __init__(self, folder: Path, sync: StorageSync, machines: Releaser | None = None) -> None:
        """Take the trials that the folder holds.

        Args:
            folder: Folder of the trials' folders.
            sync: Keeps the storage like the folder.
            machines: Where the trials run; None where they leave nothing behind.
        """
        self._folder = folder
        self._sync = sync
        self._machines = machines
        self._listeners: list[TrialListener] = []
        self._unfinished: dict[str, _Unfinished] = {}
        self._halt: str | None = None

    def add_listeners(self, *listeners: TrialListener) -> None:
        """Tell these too from now on."""
        self._listeners += listeners

    def set_damaged_aside(self) -> list[str]:
        """Rename records that cannot be read, so that their trials are run again.

        Returns:
            A line for each.
        """
        said = {
            PLAN: "its values are looked up elsewhere",
            FAILURES: "its failures are counted anew",
        }
        return [
            f"{path.with_name(name)} was damaged and is kept as {path.name}; "
            f"{said.get(name, 'the trial is run again')}"
            for folder in sorted(self._folder.glob("*"))
            for path in set_damaged_aside(folder)
            for name in [path.name.partition(".damaged")[0]]
        ]

    def state(self, key: str) -> TrialState:
        """Where a trial stands."""
        outcome = read_outcome(self._folder / key)
        if outcome is not None:
            return outcome.state
        if key in self._unfinished and self._unfinished[key].is_running:
            return "running"
        return "interrupted" if (self._folder / key).exists() else "planned"

    def outcome(self, key: str) -> Outcome | None:
        """How a trial ended; None where it has not."""
        return read_outcome(self._folder / key)

    def recorded(self, key: str) -> TrialPlan | None:
        """What a trial is, by the record of its plan or of its end; None where neither says so."""
        plan = read_plan(self._folder / key)
        if plan is None:
            outcome = read_outcome(self._folder / key)
            plan = None if outcome is None else TrialPlan(trial=outcome.trial)
        return plan

    def ended(self) -> list[tuple[Path, Outcome]]:
        """Folder and end of every trial that has ended, in order of their keys."""
        return ended_trials(self._folder)

    def keys(self) -> Iterable[str]:
        """Keys of all trials that have a folder."""
        return (folder.name for folder in self._folder.glob("*"))

    def take_up(self) -> list[tuple[Path, Outcome]]:
        """At the start of a session, do what an earlier one left undone for trials that ended.

        Returns:
            Folder and end of each.
        """
        ended = self.ended()
        for folder, outcome in ended:
            if not outcome.goes_on:
                remove_leftovers(folder)
        return ended

    def record(self, plan: TrialPlan) -> None:
        """Put on record what a trial is, here and in the storage."""
        write_plan(self._folder / plan.trial.key, plan)
        self._sync.push(plan.trial.key, PLAN)

    def begin_again(self, trial: TrialConfig) -> None:
        """Put a trial on record whose earlier values are lost or others: it begins at step 0."""
        remove_leftovers(self._folder / trial.key)
        self._sync.drop_checkpoints(trial.key)
        self.record(TrialPlan(trial=trial))

    def set_record_aside(self, key: str) -> Path:
        """Rename the record by which `recorded` knows a trial: it says what cannot be.

        Its checkpoints, which are of what it says, go.

        Returns:
            Its new path.
        """
        folder = self._folder / key
        name = next(name for name in (PLAN, *ENDS) if (folder / name).exists())
        self._sync.drop(key, name)
        self._sync.drop_checkpoints(key)
        remove_leftovers(folder)
        return set_aside(folder / name)

    def give_up(self, trial: TrialConfig) -> Outcome:
        """Let a trial end as pruned before it has begun, since nothing depends on it any more."""
        folder = self._folder / trial.key
        self.record(TrialPlan(trial=trial))
        write_pruned(folder, trial, [])
        self._sync.push(trial.key, PRUNED)
        outcome = read_outcome(folder)
        assert outcome is not None, trial.key
        for listener in self._listeners:
            listener.on_start(trial, is_first=True)
            listener.on_end(outcome, folder)
        return outcome

    def plan(self, trial: TrialConfig) -> None:
        """Prepare a trial that a process is about to get; an earlier failure is forgotten."""
        if forget_failure(self._folder / trial.key):
            self._sync.drop(trial.key, FAILED, FAILURES, TRACEBACK)
        known = read_plan(self._folder / trial.key)
        if known is None:
            self.record(TrialPlan(trial=trial))
        elif known.trial != trial:
            self.begin_again(trial)
        for listener in self._listeners:
            listener.on_plan(trial)

    def start(self, trial: TrialConfig) -> None:
        """A process runs a trial, for the first time or after it was interrupted."""
        unfinished = self._seen(trial)
        is_first, unfinished.is_started = not unfinished.is_started, True
        unfinished.is_running, unfinished.is_loss_known = True, False
        for listener in self._listeners:
            listener.on_start(trial, is_first=is_first)

    def advance(self, key: str, step: int, rows: Rows) -> None:
        """A running trial reports; one that goes on from a checkpoint reports all rows again."""
        unfinished = self._unfinished[key]
        last = unfinished.history[-1]["step"] if unfinished.history else -1
        new = [row for row in rows if row["step"] > last]
        unfinished.history += new
        for listener in self._listeners:
            listener.on_step(unfinished.trial, step, new)

    def interrupt(self, trial: TrialConfig, error: str) -> bool:
        """An attempt at a trial failed, and the next one follows.

        The loss of its process or machine takes none of its retries where it got further since
        the last one, and the first takes none: on machines that come and go a long trial loses
        many. Nor does a loss that is told a second time.

        Args:
            trial: The trial.
            error: Text of the error.

        Returns:
            Whether the attempt takes none of its retries.
        """
        is_new = self._note_failure(trial, error)
        unfinished = self._seen(trial)
        reached = unfinished.history[-1]["step"] if unfinished.history else 0.0
        is_free = is_lost(error) and (reached > unfinished.lost_at or not is_new)
        if is_free:
            unfinished.lost_at = reached
        return is_free

    def fail(self, trial: TrialConfig, error: str, *, has_retries: bool) -> None:
        """The last attempt at a trial failed, unless its process was lost after it had finished.

        Args:
            trial: The trial.
            error: Text of the error.
            has_retries: Whether the trial may be tried again, although nobody is about to.
        """
        self._note_failure(trial, error)
        if self._halt is not None:
            return  # not the trial's fault: it goes on when the study is continued
        if not self._seen(trial).is_started:
            self.start(trial)  # its process never came up
        if is_lost(error) and has_retries:
            self._unfinished[trial.key].is_running = False
            for listener in self._listeners:
                listener.on_interrupt(trial)
            return
        folder = self._folder / trial.key
        self._sync.pull(trial.key)
        if read_outcome(folder) is None:
            write_failed(folder, trial, self._unfinished[trial.key].history, error)
            self._sync.push(trial.key, TRACEBACK, FAILED)
        self._end(trial.key)

    def stop(self, trial: TrialConfig) -> None:
        """A trial's process stopped without an error: it has finished, or the pruner stopped it.

        Raises:
            RuntimeError: If it was not to be stopped and has left no result.
        """
        folder = self._folder / trial.key
        self._sync.pull(trial.key)
        if read_outcome(folder) is None:  # what the storage holds may be damaged
            plan = read_plan(folder)
            if plan is None or plan.stopped_at is None:
                raise RuntimeError(
                    f"a complete trial must have left {RESULT}, got none in {folder}"
                )
            self._release(folder)
            write_pruned(folder, trial, self._unfinished[trial.key].history)
            self._sync.push(trial.key, PRUNED)
        self._end(trial.key)

    def note_validations(
        self, key: str, validations: Mapping[int, float], stopped_at: int | None
    ) -> None:
        """Put on record what the pruner knows of a running trial, and its verdict."""
        plan = read_plan(self._folder / key)
        assert plan is not None, key
        self.record(replace(plan, validations=validations, stopped_at=stopped_at))

    def check(self) -> None:
        """Stop the study where no trial could succeed now.

        Raises:
            StudyHaltedError: If a disk is full or the storage away.
        """
        if self._halt is not None:
            raise StudyHaltedError(self._halt)

    def _seen(self, trial: TrialConfig) -> _Unfinished:
        return self._unfinished.setdefault(trial.key, _Unfinished(trial=trial))

    def _end(self, key: str) -> None:
        folder = self._folder / key
        outcome = read_outcome(folder)
        assert outcome is not None, key
        if not outcome.goes_on:
            remove_leftovers(folder)
            self._sync.drop_checkpoints(key)
        del self._unfinished[key]
        for listener in self._listeners:
            listener.on_end(outcome, folder)

    def _note_failure(self, trial: TrialConfig, error: str) -> bool:
        """Count a failed attempt, or halt the study for it; returns whether it is a new one.

        Tune may tell the loss of a process twice: once of the work that it did, and once of the
        process itself. The second word comes before another process has run the trial.
        """
        folder, unfinished = self._folder / trial.key, self._seen(trial)
        self._release(folder)
        if is_disk_full(error):
            self._halt = "the disk is full; free space"
        elif self._sync.is_blamed(error):
            self._halt = f"the storage cannot be used: {error.strip().splitlines()[-1]}"
        else:
            unfinished.is_loss_known = is_lost(error) and not unfinished.is_loss_known
            if is_lost(error) and not unfinished.is_loss_known:
                return False
            count_failure(folder)
            self._sync.push(trial.key, FAILURES)
        return True

    def _release(self, folder: Path) -> None:
        if self._machines is not None:
            self._machines.release(folder)
