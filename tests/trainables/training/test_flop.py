"""Operations of a step, counted without values: against known ones, and against a real step."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from contract.methods import METHODS
from contract.parameters import PARAMETERS
from trainables.methods import METHODS as OBJECTIVES
from trainables.networks.build import build_network
from trainables.networks.network import trained_part
from trainables.settings.config import TrainingConfig, TrialConfig, training_fields
from trainables.training import flop
from trainables.training.flop import step_flop

TINY = TrainingConfig(
    width=2, patch_px=32, stride_px=32, batch_size=3, steps=4, epochs=None, num_validations=2
)
_NOT_LEVELS = ("patch_px", "label_frac")


def trial_of(method, **fields):
    return TrialConfig(
        key="t", phase="confirm", model=method, label_frac=1.0, seed=0,
        training=replace(TINY, **fields),
    )  # fmt: skip


def rows():
    """Every method as it is, and each level beside the usual one of what is chosen or takes time.

    Levels are of the last method that has their row: what several methods have is one code.
    """
    usual = TrainingConfig()
    levels = [
        (one, level)
        for one in PARAMETERS.values()
        if one.name in training_fields() and one.name not in _NOT_LEVELS
        for level in one.levels
        if (one.kind == "choice" or one.takes_time) and level != getattr(usual, one.name)
    ]
    levels += [(PARAMETERS["w1"], 0.0), (PARAMETERS["rec_mask"], 0.5)]
    methods = [pytest.param(name, {}, id=name) for name in METHODS]
    for one, level in levels:
        having = [method.name for method in METHODS.values() if method.has(one)]
        for name in having[-1:]:  # pretrained encoders alone have some
            methods.append(pytest.param(name, {one.name: level}, id=f"{name}-{one.name}-{level}"))
    return methods


@pytest.mark.parametrize(
    ("method", "gflop"),
    # One patch: 95.4, and 136.2 less the bottom block that is run once instead of twice.
    [("unet", 95.4), ("urec", 136.2 - 0.9)],
)
def test_the_published_networks_take_what_is_known_of_them(method, gflop):
    trial = trial_of(
        method, width=32, patch_px=256, stride_px=64, batch_size=1, reconstruct_on="annotated"
    )
    assert step_flop(trial, 3, 6) / 1e9 == pytest.approx(gflop, abs=0.05)


def test_patches_from_anywhere_are_encoded_and_reconstructed_alone():
    """A step of U-REC with as many patches from anywhere takes less than two steps without."""
    alone, both = (
        step_flop(trial_of("urec", reconstruct_on=level), 3, 6) for level in ("annotated", "all")
    )
    assert 1.3 * alone < both < 2 * alone
    few, many = (step_flop(trial_of("unet", batch_size=num), 3, 6) for num in (3, 6))
    assert many == 2 * few


@pytest.mark.parametrize(("method", "fields"), rows())
def test_a_count_without_values_is_that_of_a_step_that_is_taken(method, fields, monkeypatch):
    trial = trial_of(method, **fields)
    counted = step_flop(trial, 4, 5)

    def refuse(*args):
        raise RuntimeError("no values")

    devices = []
    original = flop._count

    def count(trial, num_bands, num_classes, device):
        devices.append(device.type)
        return (
            refuse() if device.type == "meta" else original(trial, num_bands, num_classes, device)
        )

    monkeypatch.setattr(flop, "_count", count)
    monkeypatch.setattr(flop, "_FEW_PATCHES", trial.training.batch_size)
    assert step_flop(trial, 4, 5) == counted
    assert devices == ["meta", "cpu"]


@pytest.mark.parametrize("method", list(METHODS.values()), ids=lambda method: method.name)
def test_a_count_is_at_least_that_of_its_network(method):
    """Written anew: the network forward and backward, on as many patches as the sampler draws."""
    trial = trial_of(method.name)
    objective = OBJECTIVES[method.unannotated]
    network = build_network(method.network, 3, 6, width=2)
    part = trained_part(network, objective.needs_reconstruction)
    num = 3 + objective.num_anywhere(trial.training)
    with FlopCounterMode(display=False) as counter:
        output = part(torch.rand(num, 3, 32, 32), num_segment=3)
        terms = [one.mean() for one in output if one is not None]
        sum(terms).backward()
    if method.name in ("unet", "urec"):
        assert step_flop(trial, 3, 6) == counter.get_total_flops()
    else:
        assert step_flop(trial, 3, 6) >= counter.get_total_flops()


class Looks(nn.Module):
    """Decides by a value, as no count without values can."""

    def __init__(self, num_channels, num_classes):
        super().__init__()
        self.layer = nn.Conv2d(num_channels, num_classes, 3, padding=1)

    def forward(self, images):
        logits = self.layer(images)
        return logits if logits.mean() > -1e9 else -logits


def test_a_network_that_looks_at_values_is_run_on_two_patches_and_multiplied(monkeypatch):
    module = types.ModuleType("looking")
    module.Looks = Looks
    monkeypatch.setitem(sys.modules, "looking", module)
    trial = replace(trial_of("unet", batch_size=8), model="own", network="looking:Looks")
    # 3 x 3 kernels, 3 bands to 6 classes, a product and a sum each; backward for weights alone
    assert step_flop(trial, 3, 6) == 8 * 32 * 32 * 9 * 3 * 6 * 2 * 2


def test_nothing_is_left_behind():
    before, threads = torch.get_rng_state(), torch.get_default_dtype()
    step_flop(trial_of("urec"), 3, 6)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_default_dtype() == threads
    assert torch.rand(1).device.type == "cpu"
