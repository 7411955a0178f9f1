"""Tune callback: what Ray Tune sees of a trial goes to its folder, to its arm and to MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ray.tune import Callback

from contract.names import RESULT, TRACEBACK
from study.errors import StudyHaltedError, is_disk_full, is_lost
from study.machines.storage_sync import StorageSync
from study.mlflow_runs.trial_runs import TrialRuns
from study.mlflow_runs.upload_queue import UploadQueue, now_ms
from study.tune.searcher import StudySearcher
from trainables.settings.config import TrialConfig
from trainables.training.checkpoint import Row
from trainables.trial.folder.outcomes import (
    FAILED,
    FAILURES,
    PRUNED,
    Outcome,
    count_failure,
    forget_failure,
    read_outcome,
    remove_leftovers,
    write_failed,
    write_pruned,
)


class TrackingCallback(Callback):
    """Takes down how trials go and end; first on disk, then for the search, then for MLflow."""

    def __init__(
        self,
        searcher: StudySearcher,
        runs: TrialRuns,
        queue: UploadQueue,
        sync: StorageSync,
        on_end: Callable[[Outcome], None] = lambda outcome: None,
        release: Callable[[str], None] = lambda folder: None,
    ) -> None:
        """Write to all of these.

        Args:
            searcher: Is told when a trial has ended.
            runs: The trials' runs in MLflow, written in the thread of `queue`.
            queue: Carries records to MLflow.
            sync: Brings what trials left in the storage here.
            on_end: Called after a trial has ended.
            release: Called with the folder of a trial that was stopped or has failed: its process
                may have left resources behind.
        """
        self._searcher = searcher
        self._runs = runs
        self._queue = queue
        self._sync = sync
        self._on_end = on_end
        self._release = release
        self._lost_at: dict[str, float] = {}
        self._told_lost: set[str] = set()
        self._history: dict[str, list[Row]] = {}
        self._halt: str | None = None

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Stop the study where no trial could succeed now.

        Raises:
            StudyHaltedError: If a disk is full or the storage away.
        """
        self._queue.check()
        if self._halt is not None:
            raise StudyHaltedError(self._halt)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begin the run; Tune starts a trial anew after it failed."""
        self._begin(trial)
        self._told_lost.discard(_key(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Log the rows of a validation; a trial that goes on reports all of its rows again."""
        history = self._history[_key(trial)]
        last = history[-1]["step"] if history else -1
        rows = [row for row in result.get("rows") or () if row["step"] > last]
        history += rows
        if rows:
            self._queue.put(partial(self._runs.log_rows, _key(trial), rows, now_ms()))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed and will be started again.

        The loss of its process or machine takes none of its retries where it got further since
        the last one, and the first takes none: on machines that come and go a long trial loses
        many. Nor does a loss that Tune tells a second time.
        """
        if trial.config.get("timed_since") is not None:  # the next attempt starts now
            trial.config["timed_since"] = time.time()
        is_new = self._note_failure(trial)
        history = self._history.get(_key(trial), [])
        reached = history[-1]["step"] if history else 0.0
        got_further = reached > self._lost_at.get(_key(trial), -1.0)
        if is_lost(_error_text(trial)) and (got_further or not is_new):
            self._lost_at[_key(trial)] = reached
            trial.max_failures += 1

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End with what the trial left on disk, or as pruned."""
        folder, key = Path(trial.config["folder"]), _key(trial)
        self._sync.pull(key)
        outcome = read_outcome(folder)
        if outcome is None:
            if not self._searcher.was_pruned(key):
                raise RuntimeError(
                    f"a complete trial must have left {RESULT}, got none in {folder}"
                )
            told = TrialConfig.from_plain(trial.config["trial"])
            self._release(str(folder))
            write_pruned(folder, told, self._history[key])
            self._sync.push(key, PRUNED)
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End as failed, unless the trial's process was lost after it had finished."""
        self._begin(trial)  # whose process may never have come up
        folder, key = Path(trial.config["folder"]), _key(trial)
        self._note_failure(trial)
        if self._halt is not None:
            return  # not the trial's fault: it goes on when the study is continued
        # Tune takes the second word of one loss, which meets a trial that waits already, for final.
        if is_lost(_error_text(trial)) and trial.run_metadata.num_failures <= trial.max_failures:
            self._searcher.requeue(TrialConfig.from_plain(trial.config["trial"]))
            return
        self._sync.pull(key)
        if read_outcome(folder) is None:
            told = TrialConfig.from_plain(trial.config["trial"])
            write_failed(folder, told, self._history[key], _error_text(trial))
            self._sync.push(key, TRACEBACK, FAILED)
        self._end(trial)

    def _begin(self, trial: Any) -> None:
        told = TrialConfig.from_plain(trial.config["trial"])
        if told.key not in self._history:
            if forget_failure(Path(trial.config["folder"])):
                self._sync.drop(told.key, FAILED, FAILURES, TRACEBACK)
            self._history[told.key] = []
            self._queue.put(partial(self._runs.begin, told))

    def _end(self, trial: Any) -> None:
        folder = Path(trial.config["folder"])
        outcome = read_outcome(folder)
        assert outcome is not None
        if not outcome.goes_on:
            remove_leftovers(folder)
            self._sync.drop_checkpoints(_key(trial))
        # Of a thousand trials they would stay in memory; Tune counts every number it was told.
        self._history[_key(trial)] = []
        trial.metric_analysis.clear()
        trial.metric_n_steps.clear()
        self._searcher.end(outcome)
        self._queue.put(partial(self._runs.end, folder, outcome, now_ms()))
        self._on_end(outcome)

    def _note_failure(self, trial: Any) -> bool:
        """Count it, or halt the study for it; whether it is new."""
        self._release(trial.config["folder"])
        text, key = _error_text(trial), _key(trial)
        if is_disk_full(text):
            self._halt = "the disk is full; free space"
        elif self._sync.is_blamed(text):
            self._halt = f"the storage cannot be used: {text.strip().splitlines()[-1]}"
        elif is_lost(text) and self._is_told_again(key):
            return False
        else:
            count_failure(Path(trial.config["folder"]))
            self._sync.push(key, FAILURES)
        return True

    def _is_told_again(self, key: str) -> bool:
        """Whether Tune told of this loss before: it misses a process after the process's work.

        Then the trial has not been started in between. A third time it is another loss.
        """
        self._told_lost ^= {key}
        return key not in self._told_lost


def _key(trial: Any) -> str:
    return str(trial.config["trial"]["key"])


def _error_text(trial: Any) -> str:
    # The file that Tune has just written: `get_error` reads a copy that is made later.
    file = Path(trial.error_file)
    return (
        file.read_text(encoding="utf-8")
        if file.exists()
        else "the trial's process ended without an error"
    )
