"""What the process of a trial is given; what it is not given it cannot read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from study.arms import confirm_seeds
from study.config import StudyConfig
from study.preflight import Slots, StudyData
from study.preparation import Budgets
from trainables.config import TrialConfig

HandOut = Callable[[TrialConfig], dict[str, Any]]
"""Turns a trial into everything its process is given."""


def trials_folder(config: StudyConfig) -> Path:
    """Folder of the trials' folders, absolute."""
    return (config.folder / "trials").resolve()


def make_hand_out(config: StudyConfig, data: StudyData, budgets: Budgets, slots: Slots) -> HandOut:
    """Put tiles and budgets where every trial of the machine shares them."""
    tiles = {split: ray.put(held) for split, held in data.tiles.items()}
    drawn = {
        key: (ray.put(budget.to_plain()), ray.put(pixels))
        for key, (budget, pixels) in budgets.items()
    }
    scaling = data.scaling.to_plain()
    classes = [{"name": one.name, "color": list(one.color)} for one in data.spec.classes]
    mapped_seed = confirm_seeds(config)[0]  # of the first repeat alone: maps take disk
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
            "folder": str(trials_folder(config) / trial.key),
            "cpus": config.cpus,
            "gpus": slots.gpus,
            "checkpoint_every_s": config.checkpoint_every_s,
            "keep_maps": trial.phase == "confirm" and trial.seed == mapped_seed,
        }

    return hand_out
