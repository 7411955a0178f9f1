"""Where a study's trials run: on this machine, or on the cluster that it joins."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract.methods import Method
from study.machines.cluster import (
    ask_for_nodes,
    check_nodes,
    cluster_nodes,
    ray_cluster,
    ray_on_this_machine,
    sole_driver,
)
from study.machines.own_code import own_code
from study.machines.ray_folder import ray_folder
from study.machines.slots import Slots, count_trials, find_slots
from study.settings.config import StudyConfig
from trainables.storage.store import Store
from trainables.trial.group_resources import release_group

_COUNT_EVERY_S: Final = 2.0
"""How often the machines of a cluster, which come and go, are counted."""


class Machines:
    """The machines of one study; see `machines_of`."""

    def __init__(self, config: StudyConfig) -> None:
        """Count them.

        Raises:
            ConfigError: If not one trial fits, or Ray has no place for its sockets.
        """
        if config.address is None:
            ray_folder()
        self._config = config
        self._is_cluster = config.address is not None
        self.slots: Slots = find_slots(config, cluster_nodes() if self._is_cluster else None)
        self._room, self._counted_at = self.slots.concurrent, time.monotonic()

    @property
    def note(self) -> str | None:
        """What a person should know of the way in which trials will run."""
        if self._config.worker_range[1] > 1 and self.slots.gpus == 0:
            return (
                "on CPUs each of several workers normalises by its own share of a batch: scores "
                "differ from those of one worker; see docs/cluster.md"
            )
        return None

    @contextmanager
    def ray(self) -> Iterator[None]:
        """Ray, for the time of the trials, on this machine; the cluster's runs already.

        Raises:
            StudyHaltedError: If it does not start.
        """
        if self._is_cluster:
            try:
                yield
            finally:
                self.expect(0)
        else:
            with ray_on_this_machine(self.slots):
                yield

    def room(self) -> int:
        """Trials that may run at once now.

        Of groups on a cluster one more: it waits for machines, which tells an autoscaler.
        """
        if self._is_cluster and time.monotonic() - self._counted_at >= _COUNT_EVERY_S:
            fits = count_trials(self._config, cluster_nodes(), self.slots.gpus)
            if self._config.worker_range[1] and self._config.concurrent is None:
                fits += 1
            self._room, self._counted_at = fits, time.monotonic()
        return self._room

    def release(self, folder: Path) -> None:
        """Free what the workers of a trial hold if its process was lost.

        Args:
            folder: The trial's folder, as its task names it.
        """
        if self._config.worker_range[1]:
            release_group(folder)

    def check_storage(self, store: Store) -> None:
        """Refuse a storage that does not answer, here or on a machine of the cluster.

        Raises:
            ConfigError: If it does not.
        """
        store.check()
        if self._is_cluster:
            check_nodes(store)

    def expect(self, num_left: int) -> None:
        """Say how many trials have not ended, so that a cluster that can grows or shrinks."""
        if self._is_cluster:
            ask_for_nodes(self._config, self.slots.gpus, num_left)


@contextmanager
def machines_of(config: StudyConfig, methods: Sequence[Method] = ()) -> Iterator[Machines]:
    """The machines of a study; a cluster is joined meanwhile, and other drivers kept away.

    Args:
        config: The study.
        methods: What it compares; the code of networks of one's own is sent to a cluster. This
            machine's processes find it where this one did.

    Raises:
        ConfigError: If there is no such cluster, another driver runs the study on it, not one
            trial fits, or code cannot be sent.
    """
    if config.address is None:
        yield Machines(config)
        return
    with ray_cluster(config.address, own_code(methods)), sole_driver(config):
        yield Machines(config)
