"""Ray: started on this machine, and the trials run in it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import tune

from study.config import StudyConfig
from study.errors import StudyHaltedError
from study.preflight import Slots
from study.scheduler import ArmScheduler
from study.searcher import StudySearcher
from trainables.trial import run_trial


@contextmanager
def ray_on_this_machine(slots: Slots) -> Iterator[None]:
    """Ray on this machine; the terminal is left to the live line.

    Raises:
        StudyHaltedError: If Ray does not start.
    """
    # Every trial of an actor runs in a new thread; an arena for each would keep its memory.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # they are told in the record
    try:
        ray.init(
            address="local",
            num_cpus=slots.num_cpus,
            num_gpus=slots.num_gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyHaltedError(f"Ray did not start: {' '.join(str(error).split())}") from error
    # A scheduler's polite request to end is treated like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        ray.shutdown()


def run_with_tune(
    config: StudyConfig,
    searcher: StudySearcher,
    num_left: int,
    slots: Slots,
    callbacks: list[tune.Callback],
) -> None:
    """Run trials until the searcher has no more, or until somebody stops it.

    Args:
        config: The study.
        searcher: Gives the trials.
        num_left: How many there are at most.
        slots: What the machine can run at once.
        callbacks: Are told how they go.
    """
    tuner = tune.Tuner(
        tune.with_resources(run_trial, {"cpu": config.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=ArmScheduler(searcher),
            num_samples=num_left,
            max_concurrent_trials=slots.concurrent,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["trial"]["key"]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(config.folder.resolve()),
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=config.retries),
            verbose=0,
        ),
    )
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        tuner.fit()
    finally:  # Tune leaves its own handler, which would swallow the next Ctrl-C
        signal.signal(signal.SIGINT, interrupt)
