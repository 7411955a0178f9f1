"""Trials, run by Ray Tune."""

from __future__ import annotations

import signal
from typing import Final

from ray import tune

from study.settings.config import StudyConfig
from study.tune.scheduler import ArmScheduler
from study.tune.searcher import StudySearcher
from study.tune.trial_callback import TrialCallback
from study.tune.tune_trial import task_of
from trainables.trial.run import run_trial

_COORDINATOR_BYTES: Final = 800 * 2**20
"""Memory of the processes that lead a group of workers; they take no CPU to speak of."""


def run_with_tune(
    config: StudyConfig,
    searcher: StudySearcher,
    scheduler: ArmScheduler,
    callback: TrialCallback,
    gpus: float,
) -> None:
    """Run trials until the searcher has no more, or until somebody stops it.

    Args:
        config: The study.
        searcher: Gives the trials, as many at once as fit.
        scheduler: Says which of them are stopped early.
        callback: Is told how they go.
        gpus: GPUs of one worker.
    """
    in_group = config.worker_range[1] > 0
    # Workers take resources beside their trial's: a trial that held a CPU while its workers wait
    # for one could wait for ever.
    of_group: dict[str, float] = {"memory": _COORDINATOR_BYTES}
    tuner = tune.Tuner(
        tune.with_resources(run_trial, of_group if in_group else {"cpu": config.cpus, "gpu": gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher says when: one that was lost may be served again
            reuse_actors=True,
            trial_dirname_creator=lambda trial: task_of(trial).trial.key,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(config.folder.resolve()),
            callbacks=[callback],
            failure_config=tune.FailureConfig(max_failures=config.retries),
            verbose=0,
        ),
    )
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        tuner.fit()
    finally:  # Tune leaves its own handler, which would swallow the next Ctrl-C
        signal.signal(signal.SIGINT, interrupt)
