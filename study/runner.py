"""Runs a study: search, select, confirm; continues where it stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from study.arms import Arm, confirm_seeds, confirm_trial, num_trials, plan_arms
from study.config import StudyConfig
from study.preflight import (
    Slots,
    StudyData,
    check_disk,
    find_dataset,
    find_slots,
    lock_study,
    read_data,
)
from study.provenance import read_manifest, study_manifest, write_manifest
from trainables.config import TrialConfig
from trainables.data.annotation import Budget, draw_budget, read_budget, write_budget
from trainables.data.positions import patch_grid
from trainables.errors import ConfigError, DataError

MANIFEST: Final = "study.yaml"
DEFAULT_TRACKING_URI: Final = "sqlite:///mlflow.db"


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """What a study left."""

    name: str
    folder: Path
    tracking_uri: str
    num_trials: int
    num_failed: int


def run_study(config: StudyConfig) -> StudyOutcome:
    """Run or continue a study on this machine.

    Raises:
        ConfigError: For options that cannot be used, before anything is written.
        DataError: For data that cannot be used, before anything is written.
    """
    slots = find_slots(config)
    arms = plan_arms(config)
    check_disk(config, slots.concurrent, len(arms) * config.seeds)
    _say("reading tiles" if config.data else "reading the built-in scenes")
    data = read_data(config, find_dataset(config))
    config = resolve_steps(config, data)
    with lock_study(config.folder):
        budgets = prepare(config, arms, data)
        return _run(config, arms, data, budgets, slots)


def resolve_steps(config: StudyConfig, data: StudyData) -> StudyConfig:
    """Replace epochs by optimiser steps: epochs x patches of the grid / batch size."""
    training = config.training
    if training.epochs is None:
        return config
    patches = len(patch_grid(data.tiles["train"], training.patch_px, training.stride_px))
    steps = training.epochs * -(-patches // training.batch_size)
    return replace(config, training=replace(training, steps=steps))


def prepare(
    config: StudyConfig, arms: tuple[Arm, ...], data: StudyData
) -> dict[tuple[int, float], Budget]:
    """Write `study.yaml` and the budgets, or verify those of an earlier run under this name.

    Returns:
        Budgets by seed and annotation fraction.

    Raises:
        ConfigError: If the configuration changed under an old name.
        DataError: If tiles or budgets changed under an old name.
    """
    folder = config.folder
    earlier = read_manifest(folder / MANIFEST)
    if earlier is not None:
        _refuse_changes(config, data, earlier)
    budgets = {}
    for seed in (config.seed, *confirm_seeds(config)):
        for fraction in sorted({arm.label_frac for arm in arms}):
            budget = draw_budget(
                data.tiles["train"],
                fraction=fraction,
                seed=seed,
                block_px=config.training.patch_px,
                num_classes=len(data.spec.classes),
            )
            path = folder / "budgets" / f"s{seed}-f{fraction:g}.json"
            if not path.exists():
                write_budget(path, budget)
            elif read_budget(path) != budget:
                raise DataError(f"{path} must be the budget of these tiles, got another one")
            budgets[seed, fraction] = budget
    if earlier is None:
        manifest = study_manifest(config, data.spec, data.tiles, budgets.values())
        write_manifest(folder / MANIFEST, manifest)
    return budgets


def _refuse_changes(config: StudyConfig, data: StudyData, earlier: Mapping[str, Any]) -> None:
    changes = config.changes(earlier["config"])
    changes += [
        f"{split} tiles: {before[:12]}… -> {data.tiles[split].checksum[:12]}…"
        for split, before in earlier["dataset"]["checksums"].items()
        if data.tiles[split].checksum != before
    ]
    if changes:
        raise ConfigError(
            f"--name must be new when the study changes, got {config.name!r}, which was begun with "
            f"other settings ({'; '.join(changes)}); choose another --name"
        )


def _run(
    config: StudyConfig,
    arms: tuple[Arm, ...],
    data: StudyData,
    budgets: Mapping[tuple[int, float], Budget],
    slots: Slots,
) -> StudyOutcome:
    _quieten_ray()
    import ray
    from ray import tune

    from study.progress import ProgressCallback
    from study.searcher import ArmSearch, StudySearcher
    from study.tracking import StudyRecord, TrackingCallback
    from trainables.trial import read_result, run_trial

    trials_folder = (config.folder / "trials").resolve()

    def finished(key: str) -> float | None:
        record = read_result(trials_folder / key)
        return None if record is None else float(record["score"])

    _say("starting Ray and MLflow")
    ray.init(
        num_cpus=slots.num_cpus,
        num_gpus=slots.num_gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        refs = {split: ray.put(held) for split, held in data.tiles.items()}
        budget_refs = {key: ray.put(held.to_plain()) for key, held in budgets.items()}

        def hand_out(trial: TrialConfig) -> dict[str, Any]:
            """All that a trial gets: a search trial is not handed the test tiles."""
            splits = ("train", "val", "test") if trial.phase == "confirm" else ("train", "val")
            return {
                "trial": trial.to_plain(),
                "tiles": {split: refs[split] for split in splits},
                "budget": budget_refs[trial.seed, trial.label_frac],
                "classes": [{"name": c.name, "color": list(c.color)} for c in data.spec.classes],
                "exclude_from_mean": list(data.spec.exclude_from_mean),
                "folder": str(trials_folder / trial.key),
                "cpus": config.cpus,
            }

        uri = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
        record = StudyRecord(uri, config.name)
        record.open(config.folder / MANIFEST, config.to_plain())
        for path in sorted(trials_folder.glob("*/result.json")):
            done = read_result(path.parent)
            if done is not None:
                record.add_missing(TrialConfig.from_plain(done["trial"]), path.parent, done)
        storage = f"sqlite:///{(config.folder / 'optuna.db').resolve()}"
        searches = [ArmSearch(config, arm, storage, finished) for arm in arms]
        num_all = num_trials(config, arms)
        num_left = sum(search.num_left for search in searches)
        tracking = TrackingCallback(record)
        if num_left:
            progress = ProgressCallback(num_all, num_all - num_left)
            tuner = tune.Tuner(
                tune.with_resources(run_trial, {"cpu": config.cpus, "gpu": config.gpus}),
                tune_config=tune.TuneConfig(
                    search_alg=StudySearcher(searches, hand_out),
                    num_samples=num_left,
                    max_concurrent_trials=slots.concurrent,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: trial.config["trial"]["key"],
                ),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(config.folder.resolve()),
                    callbacks=[tracking, progress],
                    verbose=0,
                ),
            )
            tuner.fit()
            progress.close()
        failed = tracking.num_failed
        record.close("failed" if failed else "finished")
    finally:
        ray.shutdown()
    return StudyOutcome(
        name=config.name,
        folder=config.folder,
        tracking_uri=uri,
        num_trials=num_all,
        num_failed=failed,
    )


def _quieten_ray() -> None:
    """Leave the terminal to the live line; what Ray and Tune would print is in their logs."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
