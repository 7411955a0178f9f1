"""Runs a study: search, select, confirm; continues where it stopped."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import optuna
import ray
from ray import tune

from study.arms import Arm, num_trials, plan_arms
from study.config import StudyConfig
from study.preflight import (
    Slots,
    StudyData,
    check_output,
    find_dataset,
    find_slots,
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
from study.record import StudyRecord, check_store
from study.searcher import ArmSearch, StudySearcher
from study.tracking import TrackingCallback
from trainables.config import TrialConfig
from trainables.trial import read_result, run_trial

DEFAULT_TRACKING_URI: Final = "sqlite:///mlflow.db"

HandOut = Callable[[TrialConfig], dict[str, Any]]
"""Turns a trial into everything its process is given."""


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left."""

    name: str
    folder: Path
    tracking_uri: str
    parent_run_id: str
    """The study's run in MLflow."""
    num_trials: int
    num_failed: int


def run_study(config: StudyConfig) -> StudyOutcome:
    """Run or continue a study on this machine.

    Raises:
        ConfigError: For options that cannot be used, before anything is written.
        DataError: For data that cannot be used, before anything is written.
        KeyboardInterrupt: If it was stopped before its end.
    """
    slots = find_slots(config)
    arms = plan_arms(config)
    check_output(config, slots.concurrent, len(arms) * config.seeds)
    if config.data is None:
        _say("reading the built-in scenes")
    spec = find_dataset(config)
    with lock_study(config.folder):
        if config.data is not None:
            _say("reading tiles")
        data = read_data(config, spec)
        config = resolve_steps(config, data)
        _say("opening MLflow")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        check_store(_tracking_uri(config))
        budgets = prepare(config, arms, data)
        for warning in budget_warnings(budgets, [one.name for one in data.spec.classes]):
            _say(f"note: {warning}")
        return _run_trials(config, arms, data, budgets, slots)


def _hand_out(config: StudyConfig, data: StudyData, budgets: Budgets, slots: Slots) -> HandOut:
    """Put tiles and budgets where every trial of the machine shares them."""
    tiles = {split: ray.put(held) for split, held in data.tiles.items()}
    drawn = {
        key: (ray.put(budget.to_plain()), ray.put(pixels))
        for key, (budget, pixels) in budgets.items()
    }
    scaling = data.scaling.to_plain()
    classes = [{"name": one.name, "color": list(one.color)} for one in data.spec.classes]
    bands, excluded = list(data.spec.bands), list(data.spec.exclude_from_mean)

    def hand_out(trial: TrialConfig) -> dict[str, Any]:
        # A search trial is not handed the test tiles: it cannot read them.
        splits = ("train", "val", "test") if trial.phase == "confirm" else ("train", "val")
        return {
            "trial": trial.to_plain(),
            "tiles": {split: tiles[split] for split in splits},
            "budget": drawn[trial.seed, trial.label_frac],
            "study": config.name,
            "bands": bands,
            "scaling": scaling,
            "classes": classes,
            "exclude_from_mean": excluded,
            "folder": str(_trials_folder(config) / trial.key),
            "cpus": config.cpus,
            "gpus": slots.gpus,
        }

    return hand_out


def _run_trials(
    config: StudyConfig, arms: tuple[Arm, ...], data: StudyData, budgets: Budgets, slots: Slots
) -> StudyOutcome:
    """Open the records, take up what is done and run the rest."""
    uri = _tracking_uri(config)
    record = StudyRecord(uri, config.name)
    record.open(config.folder / MANIFEST, config.folder / BUDGETS)
    for folder in sorted(_trials_folder(config).glob("*")):
        done = read_result(folder)
        if done is not None:
            record.add_missing(TrialConfig.from_plain(done["trial"]), folder, done)
    searches = _open_searches(config, arms)
    num_all, num_left = num_trials(config, arms), sum(search.num_left for search in searches)
    if num_left:
        _say("starting Ray")
        _start_ray(slots)
        try:
            progress = ProgressCallback(num_all, num_all - num_left)
            searcher = StudySearcher(searches, _hand_out(config, data, budgets, slots))
            _tune(config, searcher, num_left, slots, [TrackingCallback(record), progress])
            progress.close()
        finally:
            ray.shutdown()
        if not searcher.is_done:  # Tune takes Ctrl-C for an end like any other
            raise KeyboardInterrupt
    record.close(record.num_failed)
    return StudyOutcome(
        name=config.name,
        folder=config.folder,
        tracking_uri=uri,
        parent_run_id=record.parent_id,
        num_trials=num_all,
        num_failed=record.num_failed,
    )


def _open_searches(config: StudyConfig, arms: tuple[Arm, ...]) -> list[ArmSearch]:
    def finished(key: str) -> float | None:
        record = read_result(_trials_folder(config) / key)
        return None if record is None else float(record["score"])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = f"sqlite:///{(config.folder / 'optuna.db').resolve()}"
    return [ArmSearch(config, arm, database, finished) for arm in arms]


def _tune(
    config: StudyConfig,
    searcher: StudySearcher,
    num_left: int,
    slots: Slots,
    callbacks: list[tune.Callback],
) -> None:
    tuner = tune.Tuner(
        tune.with_resources(run_trial, {"cpu": config.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=num_left,
            max_concurrent_trials=slots.concurrent,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: str(trial.config["trial"]["key"]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(config.folder.resolve()),
            callbacks=callbacks,
            verbose=0,
        ),
    )
    tuner.fit()


def _start_ray(slots: Slots) -> None:
    """Start Ray on this machine and leave the terminal to the live line."""
    # Every trial of an actor runs in a new thread; an arena for each would keep its memory.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    ray.init(
        num_cpus=slots.num_cpus,
        num_gpus=slots.num_gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _tracking_uri(config: StudyConfig) -> str:
    return config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI


def _trials_folder(config: StudyConfig) -> Path:
    return (config.folder / "trials").resolve()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
