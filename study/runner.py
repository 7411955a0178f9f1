"""Runs a study: search, select, confirm; continues where it stopped."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import optuna
import ray
from mlflow.exceptions import MlflowException
from ray import tune

from study.arms import Arm, arm_of, longest_first, num_trials, plan_arms
from study.cluster import run_with_tune
from study.config import StudyConfig
from study.databases import create_optuna_database
from study.delivery import Delivery, now_ms
from study.errors import StudyHaltedError, is_disk_full
from study.hand_out import make_hand_out, study_store, trials_folder
from study.machines import Machines, machines_of
from study.mirror import Mirror
from study.outcomes import Outcome, read_outcome
from study.preflight import (
    StudyData,
    check_output,
    find_dataset,
    lock_study,
    read_data,
)
from study.preparation import (
    BUDGETS,
    MANIFEST,
    Budgets,
    budget_warnings,
    prepare,
    resolve_steps,
)
from study.progress import ProgressCallback
from study.provenance import current_commit
from study.quota import keep_best_model
from study.record import StudyRecord, check_store
from study.searcher import ArmSearch, StudySearcher
from study.study_outcome import StudyOutcome
from study.tracking import TrackingCallback
from study.trial_runs import TrialRuns
from trainables.model_file import MODEL_FILE

DEFAULT_TRACKING_URI: Final = "sqlite:///mlflow.db"
_PATIENCE_S: Final = 600.0
"""How long the end of a study waits for a tracking server that is away."""
_PATIENCE_AT_STOP_S: Final = 5.0


def run_study(config: StudyConfig) -> StudyOutcome:
    """Run or continue a study, on this machine or on the cluster that it names.

    Raises:
        ConfigError: For options that cannot be used, before anything is written.
        DataError: For data that cannot be used, before anything is written.
        StudyHaltedError: If it cannot go on, with the reason.
        KeyboardInterrupt: If it was stopped before its end.
    """
    if config.address is not None:
        _say(f"joining the Ray cluster at {config.address}")
    with _in_one_line(), machines_of(config) as machines:
        if machines.note is not None:
            _say(f"note: {machines.note}")
        arms = plan_arms(config)
        mirror = _open_store(config, machines)
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
            config = resolve_steps(config, data)
            mirror.restore()
            _say("opening MLflow")
            _open_tracking(_tracking_uri(config))
            budgets = prepare(config, arms, data)
            for warning in budget_warnings(budgets, [one.name for one in data.spec.classes]):
                _say(f"note: {warning}")
            mirror.save(MANIFEST, BUDGETS)
            return _run_trials(config, arms, data, budgets, machines, mirror)


def _open_store(config: StudyConfig, machines: Machines) -> Mirror:
    """The study's folder and its place in the storage, which answers.

    Raises:
        ConfigError: If it does not.
    """
    store = study_store(config)
    if store is not None:
        _say(f"opening the storage {store.shown}")
        machines.check_storage(store)
    return Mirror(config.folder, store)


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
        text = " ".join(f"{error} {error.__cause__ or ''}".split())
        reason = "the disk is full; free space" if is_disk_full(text) else text
        raise StudyHaltedError(reason) from error


def _open_tracking(uri: str) -> None:
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # A server that is away is waited for, but not with a call that lasts minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a trial
    check_store(uri)


def _run_trials(
    config: StudyConfig,
    arms: tuple[Arm, ...],
    data: StudyData,
    budgets: Budgets,
    machines: Machines,
    mirror: Mirror,
) -> StudyOutcome:
    """Open the records, take up what is done and run the rest."""
    uri, trials = _tracking_uri(config), trials_folder(config)
    record = StudyRecord(uri, config.name, current_commit())
    runs = record.open(config.folder / MANIFEST, config.folder / BUDGETS)
    with _delivering(record, runs) as delivery:
        for folder, outcome in _outcomes(trials):
            delivery.put(partial(runs.add, folder, outcome, now_ms()))
        searches = _open_searches(config, longest_first(arms))
        num_all, num_left = num_trials(config, arms), sum(search.num_left for search in searches)
        if num_left:
            if config.address is None:
                _say("starting Ray")
            with machines.ray():
                searcher = StudySearcher(
                    searches,
                    make_hand_out(config, data, budgets, machines.slots),
                    room=machines.room,
                    on_change=mirror.save_database,
                )

                def on_end(outcome: Outcome) -> None:
                    _tidy(config, {arm.name: arm for arm in arms}, mirror, outcome)
                    machines.expect(searcher.num_left)

                machines.expect(num_left)
                tracking = TrackingCallback(
                    searcher, runs, delivery, mirror, on_end, machines.release
                )
                progress = ProgressCallback(
                    num_all, num_all - num_left, lambda: delivery.num_waiting * delivery.is_away
                )
                run_with_tune(config, searcher, num_left, machines.slots.gpus, [tracking, progress])
                progress.close()
            if not searcher.is_done:  # Tune takes Ctrl-C for an end like any other
                raise KeyboardInterrupt
        mirror.remove_tiles()
        for arm in arms:
            _keep_best_model(config, arm, mirror)
        states = [outcome.state for _, outcome in _outcomes(trials)]
        delivery.put(partial(record.close, states.count("failed")))
        _wait_for(delivery, uri)
    if delivery.refused:
        record = _repair(config, delivery.refused[0], states.count("failed"))
    return StudyOutcome(
        name=config.name,
        folder=config.folder,
        tracking_uri=uri,
        parent_run_id=record.parent_id,
        num_trials=num_all,
        num_failed=states.count("failed"),
        num_left_out=num_all - len(states),
    )


def _wait_for(delivery: Delivery, uri: str) -> None:
    """Wait until all records have arrived.

    Raises:
        StudyHaltedError: If the tracking server stays away.
    """
    if delivery.is_away:
        _say(f"waiting for the tracking server at {uri}; Ctrl-C to leave")
    if not delivery.close(_PATIENCE_S):
        raise StudyHaltedError(
            f"all trials are done, but the tracking server at {uri} does not answer; their "
            "records wait on disk"
        )


@contextmanager
def _delivering(record: StudyRecord, runs: TrialRuns) -> Iterator[Delivery]:
    """Send records to MLflow; where the study stops before its end, its runs say so."""
    delivery = Delivery()
    try:
        yield delivery
    except BaseException:
        if not delivery.is_closed:
            delivery.put(runs.stop)
            delivery.put(record.stop)
            delivery.close(_PATIENCE_AT_STOP_S)
        raise


def _repair(config: StudyConfig, refused: str, num_failed: int) -> StudyRecord:
    """Once more what MLflow refused, a run that somebody deleted, say.

    Raises:
        StudyHaltedError: If it refuses again.
    """
    try:
        record = StudyRecord(_tracking_uri(config), config.name, current_commit())
        runs = record.open(config.folder / MANIFEST, config.folder / BUDGETS)
        for folder, outcome in _outcomes(trials_folder(config)):
            runs.add(folder, outcome, now_ms())
        record.close(num_failed)
    except (MlflowException, OSError) as error:
        raise StudyHaltedError(f"MLflow refused records: {refused}; then {error}") from None
    return record


def _tidy(config: StudyConfig, arms: Mapping[str, Arm], mirror: Mirror, outcome: Outcome) -> None:
    """Keep to the quota when a trial has ended."""
    if outcome.trial.phase == "confirm":
        _keep_best_model(config, arms[arm_of(outcome.trial)], mirror)


def _keep_best_model(config: StudyConfig, arm: Arm, mirror: Mirror) -> None:
    for key in keep_best_model(config, arm, trials_folder(config)):
        mirror.drop(key, MODEL_FILE)


def _outcomes(trials: Path) -> list[tuple[Path, Outcome]]:
    """Folder and end of every trial that has ended, in order of their keys."""
    found = ((folder, read_outcome(folder)) for folder in sorted(trials.glob("*")))
    return [(folder, outcome) for folder, outcome in found if outcome is not None]


def _open_searches(config: StudyConfig, arms: tuple[Arm, ...]) -> list[ArmSearch]:
    trials = trials_folder(config)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = f"sqlite:///{(config.folder / 'optuna.db').resolve()}"
    create_optuna_database(database)
    return [
        ArmSearch(config, arm, database, lambda key: read_outcome(trials / key)) for arm in arms
    ]


def _tracking_uri(config: StudyConfig) -> str:
    return config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
