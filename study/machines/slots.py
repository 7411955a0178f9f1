"""How many trials a machine or a cluster can run at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from study.settings.config import StudyConfig
from trainables.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Node:
    """What one machine offers to trials."""

    num_cpus: float
    num_gpus: float


@dataclass(frozen=True, kw_only=True)
class Slots:
    """What the machines at hand can run at once."""

    num_cpus: float
    num_gpus: float
    gpus: float
    """GPUs of one worker."""
    group: int
    """Workers of one trial; 1 for a trial's own process."""
    concurrent: int
    """Trials at once."""


def find_slots(config: StudyConfig, nodes: Sequence[Node] | None = None) -> Slots:
    """Count the trials that fit at once.

    Args:
        config: The study.
        nodes: Machines of the cluster; None for this machine alone.

    Raises:
        ConfigError: If not even one fits.
    """
    where = "this machine" if nodes is None else f"the cluster ({_nodes_text(nodes)})"
    if nodes is None:
        nodes = (this_machine(),)
    most_gpus = max((node.num_gpus for node in nodes), default=0)
    gpus = min(1, most_gpus) if config.gpus is None else config.gpus
    for name, wanted, available in (
        ("cpus", config.cpus, max((node.num_cpus for node in nodes), default=0)),
        ("gpus", gpus, most_gpus),
    ):
        if wanted > available:
            machine = "this machine" if where == "this machine" else "the largest machine"
            raise ConfigError(
                f"--{name} must be at most the {available:g} of {machine}, got {wanted:g}"
            )
    slots = Slots(
        num_cpus=sum(node.num_cpus for node in nodes),
        num_gpus=sum(node.num_gpus for node in nodes),
        gpus=gpus,
        group=_group(config, _count_workers(config, nodes, gpus)),
        concurrent=count_trials(config, nodes, gpus),
    )
    low, high = config.worker_range
    if slots.concurrent == 0 and low <= 1:
        offers = ", ".join(f"{node.num_cpus:g} and {node.num_gpus:g}" for node in nodes)
        raise ConfigError(
            f"--cpus and --gpus must be on one machine, got {config.cpus:g} and {gpus:g}, which "
            f"the machines have: {offers}; ask for less of one"
        )
    if slots.concurrent == 0:
        each = f"{config.cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        raise ConfigError(
            f"--workers must be at most the {_count_workers(config, nodes, gpus)} that fit {where} "
            f"with {slots.num_cpus:g} CPUs and {slots.num_gpus:g} GPUs at {each} each, got {low}"
        )
    batch_size = config.training.batch_size
    if high > batch_size:
        raise ConfigError(
            f"--workers must be at most the {batch_size} patches of a batch, of which each takes "
            f"one at least, got {high}; raise batch_size or lower --workers"
        )
    return slots


def count_trials(config: StudyConfig, nodes: Sequence[Node], gpus: float) -> int:
    """Trials that fit machines at once; the workers of one may lie on several.

    Args:
        config: The study.
        nodes: The machines, as they are now.
        gpus: GPUs of one worker.
    """
    num_workers = _count_workers(config, nodes, gpus)
    fits = num_workers // _group(config, num_workers)
    return min(fits, config.concurrent or fits)


def _group(config: StudyConfig, num_workers: int) -> int:
    """Workers of one trial, where so many fit in all."""
    low, high = config.worker_range
    return max(low, min(high, num_workers), 1)


def this_machine() -> Node:
    """The CPUs that this process may use, and the GPUs."""
    import torch

    has_affinity = hasattr(os, "sched_getaffinity")
    num_cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return Node(num_cpus=num_cpus, num_gpus=torch.cuda.device_count())


def _count_workers(config: StudyConfig, nodes: Sequence[Node], gpus: float) -> int:
    total = 0
    for node in nodes:
        fits = int(node.num_cpus / config.cpus + 1e-9)
        if gpus >= 1:
            fits = min(fits, int(node.num_gpus / gpus + 1e-9))
        elif gpus > 0:  # a worker's share lies on one card
            fits = min(fits, int(node.num_gpus) * int(1 / gpus + 1e-9))
        total += fits
    return total


def _nodes_text(nodes: Sequence[Node]) -> str:
    return "1 machine" if len(nodes) == 1 else f"{len(nodes)} machines"
