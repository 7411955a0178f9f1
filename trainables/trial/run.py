"""What Ray Tune runs for one trial: in the trial's own process, or as a group of workers."""

from __future__ import annotations

import gc
from typing import Final

import torch
from ray import tune

from trainables.settings.process_group import ALONE
from trainables.trial.task import TrialTask
from trainables.trial.work import do_trial

TASK: Final = "task"
"""The one key of Tune's `config` of a trial; its value is a `TrialTask`."""


def run_trial(config: dict[str, TrialTask]) -> None:
    """Train, evaluate and record one trial; the function Ray Tune calls.

    Args:
        config: Tune's `config` of the trial, with the trial's task.
    """
    task = config[TASK]
    _collect_garbage()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()  # and its memory to the other trials on the card
    if task.resources.workers[1] > 0:
        from trainables.trial.worker_group import run_group  # Ray Train takes a while to import

        run_group(task, tune.report)
    else:
        device = torch.device("cuda" if task.resources.gpus > 0 else "cpu")
        do_trial(task, ALONE, device, tune.report)


def _collect_garbage() -> None:
    """Free what the last trial of this process left in cycles.

    What is there before the first one, libraries above all, stays and is not looked through again,
    which would take more than all else at the start of a trial.
    """
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()
