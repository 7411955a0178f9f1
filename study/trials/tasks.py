"""Tasks: what the process of each trial is given."""

from __future__ import annotations

import time
from typing import Any

import ray

from contract.names import TRIALS
from study.design.arms import confirm_seeds
from study.design.budgets.study_budgets import Budgets, Drawn
from study.design.preflight import StudyData
from study.machines.slots import Slots
from study.settings.config import StudyConfig
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.node_tiles import NodeTiles, upload_tiles
from trainables.data.tilesets.tileset import TileSet
from trainables.networks.encoders.reading import read_encoder
from trainables.settings.config import TrialConfig
from trainables.storage.store import Store
from trainables.training.trace import find_trace
from trainables.trial.task import TaskData, TaskResources, TrialTask


def study_store(config: StudyConfig) -> Store | None:
    """The study's place in the storage; None where its state lies in its folder.

    Raises:
        ConfigError: If `--storage` names nothing that can be opened.
    """
    return None if config.storage is None else Store(config.storage).at(config.name)


class TaskBuilder:
    """Makes of a trial what its process is given."""

    def __init__(
        self, config: StudyConfig, data: StudyData, budgets: Budgets, slots: Slots
    ) -> None:
        """Put tiles, budgets and encoders where all trials of a machine share them.

        Tiles in memory reach every machine once, by Ray; mapped ones by the storage. So do
        pretrained encoders: other machines need neither their folders nor the hub.

        Args:
            config: The study.
            data: Its data set.
            budgets: Its annotation budgets.
            slots: What a trial gets of the machines.
        """
        self._config = config
        self._store = study_store(config)
        self._tiles = {split: ray.put(self._shared(held)) for split, held in data.tiles.items()}
        self._budgets = {key: _put(drawn) for key, drawn in budgets.train.items()}
        self._minutes = budgets.minutes
        self._val_budgets = {key: _put(drawn) for key, drawn in budgets.val.items()}
        names = {one.encoder for one in config.methods if one.encoder is not None}
        self._encoders = {name: ray.put(read_encoder(name)) for name in names}
        self._data = TaskData(
            bands=tuple(data.spec.bands),
            nodata=tuple(data.spec.nodata),
            classes=tuple(ClassSpec(name=one.name, color=one.color) for one in data.spec.classes),
            exclude_from_mean=tuple(data.spec.exclude_from_mean),
            scaling=data.scaling,
        )
        self._resources = TaskResources(
            workers=config.worker_range, cpus=config.cpus, gpus=slots.gpus
        )
        self._has_trace = find_trace(config.trials_folder) is not None
        self._traced: str | None = None

    def build(self, trial: TrialConfig) -> TrialTask:
        """What the process of a trial is given; a search trial cannot read the test tiles."""
        is_confirmed = trial.phase == "confirm"
        splits = ("train", "val", "test") if is_confirmed else ("train", "val")
        drawn = trial.seed, trial.label_frac, trial.training.budget_order
        budget, annotated = self._budgets[drawn]
        val_fraction = self._config.val_fraction(trial.label_frac)
        val_budget, val_annotated = (
            (None, None) if val_fraction is None else self._val_budgets[trial.seed, val_fraction]
        )
        return TrialTask(
            trial=trial,
            study=self._config.name,
            data=self._data,
            tiles={split: self._tiles[split] for split in splits},
            budget=budget,
            annotated=annotated,
            annotation_minutes=self._minutes.get(drawn),
            val_budget=val_budget,
            val_annotated=val_annotated,
            encoder=None if trial.encoder is None else self._encoders[trial.encoder],
            folder=self._config.trials_folder / trial.key,
            store=None if self._store is None else self._store.at(TRIALS, trial.key),
            resources=self._resources,
            checkpoint_every_s=self._config.checkpoint_every_s,
            # The maps of the first repeat alone are kept: they take disk.
            keep_maps=is_confirmed and trial.seed == confirm_seeds(self._config)[0],
            timed_since=time.time() if self._config.profile else None,
            trace=self._is_traced(trial),
        )

    def _is_traced(self, trial: TrialConfig) -> bool:
        """Whether it is the first trial of a profiled study, also when it is given out again."""
        if self._config.profile and not self._has_trace and self._traced is None:
            self._traced = trial.key
        return trial.key == self._traced

    def _shared(self, tiles: TileSet) -> TileSet | NodeTiles:
        if self._store is None or self._config.address is None or tiles.folder is None:
            return tiles
        return upload_tiles(tiles, self._store)


def _put(drawn: Drawn) -> tuple[ray.ObjectRef[Any], ray.ObjectRef[Any]]:
    """A budget and its pixels where all trials of a machine share them."""
    budget, pixels = drawn
    return ray.put(budget.to_plain()), ray.put(pixels)
