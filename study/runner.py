"""Runs a study: search, select, confirm; continues where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import optuna
import ray
from mlflow.exceptions import MlflowException
from ray import tune

from contract.mlflow_store.logins import hide_logins
from contract.names import BUDGETS, MANIFEST, MODEL_FILE, TRIALS
from study.design.arms import Arm, arm_of, longest_first, num_trials, plan_arms
from study.design.preflight import (
    StudyData,
    check_output,
    find_dataset,
    lock_study,
    read_data,
)
from study.design.preparation import Budgets, budget_warnings, prepare, resolve_steps
from study.errors import StudyHaltedError, is_disk_full
from study.machines.databases import create_optuna_database
from study.machines.machines import Machines, machines_of
from study.machines.session_file import TIMES
from study.machines.storage_sync import DATABASE, StorageSync
from study.mlflow_runs.session import (
    open_records,
    open_tracking,
    repair,
    tracking_uri,
    uploading,
    wait_for,
)
from study.mlflow_runs.upload_queue import now_ms
from study.search.arm_search import ArmSearch
from study.settings.config import StudyConfig
from study.trials.kept_models import keep_best_model
from study.trials.study_outcome import StudyOutcome
from study.trials.tasks import make_hand_out, study_store
from study.tune.progress import ProgressCallback
from study.tune.searcher import StudySearcher
from study.tune.session_times import SessionTimes
from study.tune.trial_callback import TrackingCallback
from study.tune.tuning import run_with_tune
from trainables.training.trace import find_trace
from trainables.trial.folder.outcomes import Outcome, ended_trials, read_outcome, remove_leftovers


def run_study(config: StudyConfig) -> StudyOutcome:
    """Run or continue a study, on this machine or on the cluster that it names.

    Raises:
        ConfigError: For options that cannot be used, before anything is written.
        DataError: For data that cannot be used, before anything is written.
        StudyHaltedError: If it cannot go on, with the reason.
        KeyboardInterrupt: If it was stopped before its end.
    """
    times = SessionTimes(config.folder, is_on=config.profile)
    if config.address is not None:
        _say(f"joining the Ray cluster at {config.address}")
    with _in_one_line(), machines_of(config) as machines:
        if machines.note is not None:
            _say(f"note: {machines.note}")
        arms = plan_arms(config)
        sync = _open_store(config, machines)
        check_output(
            config, 0 if config.storage else machines.slots.concurrent, len(arms) * config.seeds
        )
        if config.data is None:
            _say("reading the built-in scenes")
        spec = find_dataset(config)
        with lock_study(config.folder):
            if config.data is not None:
                _say("reading tiles")
            data = read_data(config, spec)
            for note in data.notes:
                _say(f"note: {note}")
            config = resolve_steps(config, data)
            sync.restore()
            times.restore()
            _say("opening MLflow")
            open_tracking(tracking_uri(config))
            budgets = prepare(config, arms, data)
            for warning in budget_warnings(budgets, [one.name for one in data.spec.classes]):
                _say(f"note: {warning}")
            sync.save(MANIFEST, BUDGETS)
            return _run_trials(config, arms, data, budgets, machines, sync, times)


def _open_store(config: StudyConfig, machines: Machines) -> StorageSync:
    """The study's folder and its place in the storage, which answers.

    Raises:
        ConfigError: If it does not.
    """
    store = study_store(config)
    if store is not None:
        _say(f"opening the storage {store.shown}")
        machines.check_storage(store)
    return StorageSync(config.folder, store)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Say what a machine or a server did wrong in one line instead of a traceback."""
    try:
        yield
    except (
        MlflowException,
        OSError,
        optuna.exceptions.StorageInternalError,
        ray.exceptions.RayError,
        tune.TuneError,
    ) as error:
        text = hide_logins(" ".join(f"{error} {error.__cause__ or ''}".split()))
        reason = "the disk is full; free space" if is_disk_full(text) else text
        raise StudyHaltedError(reason) from None  # the cause may quote a login


def _run_trials(
    config: StudyConfig,
    arms: tuple[Arm, ...],
    data: StudyData,
    budgets: Budgets,
    machines: Machines,
    sync: StorageSync,
    times: SessionTimes,
) -> StudyOutcome:
    """Open the records, take up what is done and run the rest."""
    uri, trials = tracking_uri(config), config.trials_folder
    record, runs = open_records(config)
    for note in record.notes:
        _say(f"note: {note}")
    with (
        uploading(record, runs, times.total) as queue,
        times.kept(machines.slots.concurrent, queue),
    ):
        for folder, outcome in ended_trials(trials):
            if not outcome.goes_on:
                remove_leftovers(folder)  # who should have was lost before
            queue.put(partial(runs.add, folder, outcome, now_ms()))
        searches = _open_searches(config, longest_first(arms))
        num_all, num_left = num_trials(config, arms), sum(search.num_left for search in searches)
        if num_left:
            if config.address is None:
                _say("starting Ray")
            with machines.ray():
                hand_out = times.around(make_hand_out(config, data, budgets, machines.slots))
                searcher = StudySearcher(
                    searches, hand_out, room=machines.room, on_change=sync.save_database
                )
                progress = ProgressCallback(
                    num_all,
                    num_all - num_left,
                    lambda: queue.num_waiting * queue.is_away,
                    lambda key: read_outcome(trials / key) is None,
                )
                on_end = partial(_after_trial, config, arms, machines, sync, searcher, times)
                tracking = TrackingCallback(searcher, runs, queue, sync, on_end, machines.release)
                machines.expect(num_left)
                callbacks = times.callbacks([tracking, progress])
                run_with_tune(config, searcher, machines.slots.gpus, callbacks)
                progress.close()
            if not searcher.is_done:  # Tune takes Ctrl-C for an end like any other
                raise KeyboardInterrupt
        sync.remove_tiles()
        for arm in arms:
            _keep_best_model(config, arm, sync)
        states = [outcome.state for _, outcome in ended_trials(trials)]
        queue.put(partial(record.log_times, times.total, now_ms()))
        queue.put(partial(record.close, states.count("failed")))
        wait_for(queue, uri, _say)
    if queue.refused:
        record = repair(config, queue.refused[0], states.count("failed"), times.total)
    if (config.folder / TIMES).exists():
        sync.save(TIMES)
    return StudyOutcome(
        name=config.name,
        folder=config.folder,
        tracking_uri=uri,
        parent_run_id=record.parent_id,
        num_trials=num_all,
        num_failed=states.count("failed"),
        num_left_out=num_all - len(states),
        is_profiled=config.profile,
        trace=find_trace(config.folder / TRIALS) if config.profile else None,
    )


def _after_trial(
    config: StudyConfig,
    arms: tuple[Arm, ...],
    machines: Machines,
    sync: StorageSync,
    searcher: StudySearcher,
    times: SessionTimes,
    outcome: Outcome,
) -> None:
    """Keep to the quota of networks, and tell the cluster what is left."""
    times.ended(outcome.trial.key)
    if config.profile:
        sync.save(TIMES)
    if outcome.trial.phase == "confirm":
        (arm,) = (arm for arm in arms if arm.name == arm_of(outcome.trial))
        _keep_best_model(config, arm, sync)
    machines.expect(searcher.num_left)


def _keep_best_model(config: StudyConfig, arm: Arm, sync: StorageSync) -> None:
    for key in keep_best_model(config, arm, config.trials_folder):
        sync.drop(key, MODEL_FILE)


def _open_searches(config: StudyConfig, arms: tuple[Arm, ...]) -> list[ArmSearch]:
    trials = config.trials_folder
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = create_optuna_database((config.folder / DATABASE).resolve())
    return [
        ArmSearch(config, arm, database, lambda key: read_outcome(trials / key)) for arm in arms
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
