"""Ray Tune's object of a trial: what a study reads of it, and the little that it changes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainables.trial.run import TASK
from trainables.trial.task import TrialTask


def task_of(trial: Any) -> TrialTask:
    """What the process of a trial is given."""
    task: TrialTask = trial.config[TASK]
    return task


def error_text(trial: Any) -> str:
    """The last error of a trial, from the file that Tune has just written.

    Tune's `get_error` reads a copy that is made later.
    """
    file = Path(trial.error_file)
    return (
        file.read_text(encoding="utf-8")
        if file.exists()
        else "the trial's process ended without an error"
    )


def adjust(trial: Any, *, is_free: bool = False, has_ended: bool = False) -> None:
    """Change Tune's object of a trial; nothing else in this package does.

    Tune has no interface for what a study needs of it. It gives every attempt the same `config`,
    in which the moment stands from which a profiled attempt is timed. It counts every attempt
    against `max_failures`, also those that are the machine's fault. And it keeps numbers of every
    report until the study ends, which no study reads, and which would fill the driver's memory
    over a thousand trials.

    Args:
        trial: Tune's object.
        is_free: Whether the attempt that failed takes none of its retries.
        has_ended: Whether the trial has ended; otherwise its next attempt follows.
    """
    if has_ended:
        trial.metric_analysis.clear()
        trial.metric_n_steps.clear()
        return
    if task_of(trial).timed_since is not None:
        trial.config[TASK] = replace(task_of(trial), timed_since=time.time())
    if is_free:
        trial.max_failures += 1
