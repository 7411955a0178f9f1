"""What the process of a trial is given; what it is not given it cannot read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from contract.names import TRIALS
from study.design.arms import confirm_seeds
from study.design.preflight import StudyData
from study.design.preparation import Budgets
from study.machines.slots import Slots
from study.settings.config import StudyConfig
from trainables.data.tilesets.node_tiles import NodeTiles, upload_tiles
from trainables.data.tilesets.tileset import TileSet
from trainables.settings.config import TrialConfig
from trainables.storage.store import Store
from trainables.training.trace import find_trace

HandOut = Callable[[TrialConfig], dict[str, Any]]
"""Turns a trial into everything its process is given."""


def study_store(config: StudyConfig) -> Store | None:
    """The study's place in the storage; None where its state lies in its folder.

    Raises:
        ConfigError: If `--storage` names nothing that can be opened.
    """
    return None if config.storage is None else Store(config.storage).at(config.name)


def make_hand_out(config: StudyConfig, data: StudyData, budgets: Budgets, slots: Slots) -> HandOut:
    """Put tiles and budgets where all trials of a machine share them.

    Tiles in memory reach every machine once, by Ray; mapped ones by the storage.
    """
    store = study_store(config)

    def send(held: TileSet) -> TileSet | NodeTiles:
        if store is None or config.address is None or held.folder is None:
            return held
        return upload_tiles(held, store)

    tiles = {split: ray.put(send(held)) for split, held in data.tiles.items()}
    drawn = {
        key: (ray.put(budget.to_plain()), ray.put(pixels))
        for key, (budget, pixels) in budgets.items()
    }
    scaling = data.scaling.to_plain()
    classes = [{"name": one.name, "color": list(one.color)} for one in data.spec.classes]
    mapped_seed = confirm_seeds(config)[0]  # of the first repeat alone: maps take disk
    # The first that is handed out is traced, also when it is handed out again.
    traced: str | None = None
    is_traced = not config.profile or find_trace(config.trials_folder) is not None
    bands, excluded = list(data.spec.bands), list(data.spec.exclude_from_mean)

    def hand_out(trial: TrialConfig) -> dict[str, Any]:
        nonlocal traced
        if traced is None and not is_traced:
            traced = trial.key
        # A search trial is not handed the test tiles: it cannot read them.
        splits = ("train", "val", "test") if trial.phase == "confirm" else ("train", "val")
        return {
            "trial": trial.to_plain(),
            "tiles": {split: tiles[split] for split in splits},
            "budget": drawn[trial.seed, trial.label_frac],
            "study": config.name,
            "bands": bands,
            "nodata": data.spec.nodata,
            "scaling": scaling,
            "classes": classes,
            "exclude_from_mean": excluded,
            "folder": str(config.trials_folder / trial.key),
            "store": None if store is None else store.at(TRIALS, trial.key),
            "workers": config.worker_range,
            "cpus": config.cpus,
            "gpus": slots.gpus,
            "checkpoint_every_s": config.checkpoint_every_s,
            "keep_maps": trial.phase == "confirm" and trial.seed == mapped_seed,
            "timed_since": time.time() if config.profile else None,
            "trace": trial.key == traced,
        }

    return hand_out
