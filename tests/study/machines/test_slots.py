"""How many trials fit a machine or a cluster."""

import os
from functools import partial

import pytest
import torch

from study.machines.slots import Node, count_trials, find_slots
from trainables.errors import ConfigError


@pytest.fixture
def make_config(make_config):
    """Studies whose workers may take one patch each."""
    return partial(make_config, patch_px=64)


@pytest.fixture
def machine(monkeypatch):
    """Makes this a machine of so many CPUs and GPUs."""

    def make(cpus: int, gpus: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return make


@pytest.mark.parametrize(
    ("options", "concurrent"),
    [
        ({}, 2),  # one of the two GPUs each
        ({"gpus": 0}, 8),
        ({"cpus": 3, "gpus": 0}, 2),
        ({"cpus": 0.5, "gpus": 0}, 16),
        ({"gpus": 1}, 2),
        ({"gpus": 0.25}, 8),
        ({"gpus": 0.5, "cpus": 4}, 2),
        ({"concurrent": 3, "gpus": 0}, 3),
        ({"concurrent": 99, "gpus": 0}, 8),
    ],
)
def test_trials_that_fit_at_once(make_config, machine, options, concurrent):
    machine(8, 2)
    slots = find_slots(make_config(**options))
    assert (slots.num_cpus, slots.num_gpus, slots.concurrent) == (8, 2, concurrent)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpus": 9}, "--cpus must be at most the 8 of this machine, got 9"),
        ({"gpus": 3}, "--gpus must be at most the 2 of this machine, got 3"),
    ],
)
def test_more_than_the_machine_has_is_refused(make_config, machine, options, said):
    machine(8, 2)
    with pytest.raises(ConfigError, match=said):
        find_slots(make_config(**options))


def test_without_a_gpu_trials_train_on_cpus(make_config, machine):
    machine(8, 0)
    slots = find_slots(make_config())
    assert (slots.gpus, slots.concurrent) == (0, 8)


def test_gpus_without_a_gpu_are_refused(make_config, machine):
    machine(8, 0)
    with pytest.raises(ConfigError, match="--gpus"):
        find_slots(make_config(gpus=0.1))


@pytest.mark.parametrize(
    ("options", "group", "concurrent"),
    [
        ({"workers": 2, "gpus": 0}, 2, 4),
        ({"workers": 2}, 2, 1),  # a GPU each
        ({"workers": 3, "gpus": 0, "batch_size": 3}, 3, 2),
        ({"workers": "2..4", "gpus": 0, "batch_size": 4}, 4, 2),
        ({"workers": "2..12", "gpus": 0, "batch_size": 12}, 8, 1),
        ({"workers": 2, "gpus": 0, "concurrent": 3}, 2, 3),
        ({"workers": 1, "gpus": 0.5, "cpus": 1}, 1, 4),
    ],
)
def test_groups_that_fit_at_once(make_config, machine, options, group, concurrent):
    machine(8, 2)
    slots = find_slots(make_config(**options))
    assert (slots.group, slots.concurrent) == (group, concurrent)


def test_more_workers_than_fit_are_refused_with_the_numbers(make_config, machine):
    machine(8, 2)
    said = r"--workers must be at most the 8 that fit this machine with 8 CPUs and 2 GPUs at 1 CPUs"
    with pytest.raises(ConfigError, match=said + r" each, got 64$"):
        find_slots(make_config(workers=64, gpus=0))
    with pytest.raises(ConfigError, match=r"at most the 2 that fit .* at 1 CPUs and 1 GPUs each"):
        find_slots(make_config(workers="4..8"))


@pytest.mark.parametrize("workers", [3, "1..3", "2..16"])
def test_more_workers_than_patches_are_refused(make_config, machine, workers):
    """Those of a group that may grow too, when machines join later."""
    machine(8, 0)
    with pytest.raises(ConfigError, match="at most the 2 patches of a batch"):
        find_slots(make_config(workers=workers, batch_size=2))


def test_cpus_and_gpus_on_different_machines_are_refused(make_config):
    nodes = (Node(num_cpus=8, num_gpus=0), Node(num_cpus=2, num_gpus=1))
    with pytest.raises(ConfigError, match=r"one machine, got 4 and 1, which .*: 8 and 0, 2 and 1;"):
        find_slots(make_config(cpus=4, gpus=1), nodes)


CLUSTER = (Node(num_cpus=0, num_gpus=0), Node(num_cpus=8, num_gpus=2), Node(num_cpus=8, num_gpus=1))
"""A head without resources, and two machines."""


@pytest.mark.parametrize(
    ("options", "gpus", "concurrent"),
    [
        ({}, 1, 3),
        ({"gpus": 0}, 0, 16),
        ({"gpus": 0.4}, 0.4, 6),  # two to a card
        ({"gpus": 0, "cpus": 3}, 0, 4),  # none lies on two machines
        ({"workers": 3, "batch_size": 3}, 1, 1),  # but the workers of a trial may
        ({"workers": 5, "gpus": 0, "batch_size": 5}, 0, 3),
    ],
)
def test_trials_that_fit_a_cluster(make_config, options, gpus, concurrent):
    slots = find_slots(make_config(**options), CLUSTER)
    assert (slots.num_cpus, slots.num_gpus) == (16, 3)
    assert (slots.gpus, slots.concurrent) == (gpus, concurrent)


def test_more_than_the_cluster_has_is_refused(make_config):
    with pytest.raises(ConfigError, match=r"at most the 16 that fit the cluster .3 machines. with"):
        find_slots(make_config(workers=64, gpus=0), CLUSTER)
    with pytest.raises(ConfigError, match="--cpus must be at most the 8 of the largest machine"):
        find_slots(make_config(cpus=9, gpus=0), CLUSTER)
    with pytest.raises(ConfigError, match="--cpus must be at most the 0"):
        find_slots(make_config(gpus=0), ())


def test_machines_that_went_away_leave_no_room(make_config):
    assert count_trials(make_config(gpus=0), CLUSTER[:1], 0) == 0
