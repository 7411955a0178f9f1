"""Every parameter that changes how is trained, at each of its levels: a new row is tested too."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from contract.methods import BUILT_FROM, METHODS
from contract.parameters import PARAMETERS
from trainables.data.budgets.annotation import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.networks.build import ENCODER_NETWORKS
from trainables.networks.encoders.reading import read_encoder
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrainingConfig, TrialConfig, training_fields
from trainables.settings.process_group import ALONE
from trainables.training import loop
from trainables.training.loop import TrainingData, train
from trainables.training.step import Step

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
SMALL = TrainingConfig(
    width=1,
    patch_px=64,
    sampling="random",
    augment=True,
    batch_size=2,
    steps=4,
    epochs=None,
    lr=1e-2,
    num_validations=2,
    infer_window_px=64,
    infer_step_px=64,
)
_SIZES = {"lr", "weight_decay", "batch_size", "width", "ema_decay", "patch_px", "warmup_steps"}
"""Tested in `test_loop.py`; their default levels are large."""


def row_levels():
    """(parameter, level) of every row but those of sizes and rates."""
    return [
        pytest.param(one.name, level, id=f"{one.name}-{level}")
        for one in PARAMETERS.values()
        if one.name in training_fields() and one.name not in _SIZES
        for level in (one.levels or (one.low, one.high))
    ]


def _trial(name, level, seed=3):
    """Of a method that has the row, or of the network that does where no method alone has it."""
    models = [method.name for method in METHODS.values() if method.has(PARAMETERS[name])]
    networks = [network for network in ENCODER_NETWORKS if name in BUILT_FROM[network]]
    return TrialConfig(
        key="t",
        phase="confirm",
        model=models[0] if models else "urec",
        network="" if models else networks[-1],
        label_frac=0.4,
        seed=seed,
        training=replace(SMALL, **{name: level}),
    )


@pytest.fixture(scope="module")
def data(random_tiles, write_encoder):
    tiles = random_tiles([(80, 90), (50, 70)])
    unit = Unit(kind="block", size_px=16)
    budget, pixels = draw_budget(tiles, fraction=0.4, seed=0, unit=unit, num_classes=3)
    return TrainingData(
        train=tiles,
        annotated=pixels,
        class_px=budget.class_px,
        scaling=uint8_scaling(3),
        val=random_tiles([(40, 33)], seed=9),
        class_names=("a", "b", "c"),
        exclude_from_mean=(),
        encoder=read_encoder(str(write_encoder("convnextv2"))),
    )


def _run(trial, data, checkpoint, report=lambda step, rows: None):
    return train(trial, data, device=CPU, checkpoint=checkpoint, report=report)


def _same(one, other):
    one, other = one.model.state_dict(), other.model.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(("name", "level"), row_levels())
def test_every_parameter_gets_a_gradient(data, name, level):
    trial = _trial(name, level)
    state = loop._new_state(trial, data, CPU, ALONE)
    state.step = 2
    batch = loop._build_sampler(trial, data, CPU, ALONE).draw(2)
    terms = Step(state, trial, CPU, ALONE).take(batch)
    assert all(math.isfinite(term.item()) for term in terms.values())
    for of, one in state.model.named_parameters():
        assert one.grad is not None, of
        assert one.grad.isfinite().all(), of


@pytest.mark.parametrize(("name", "level"), row_levels())
def test_repeated_and_continued_runs_are_the_same_and_what_they_leave_predicts(
    data, tmp_path, name, level
):
    trial = _trial(name, level)
    first = _run(trial, data, tmp_path / "1.pt")

    def stop(step, rows):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(trial, data, tmp_path / "2.pt", stop)
    torch.rand(5)  # as another trial of this process may draw
    continued = _run(trial, data, tmp_path / "2.pt")
    assert _same(first, continued)
    assert json.dumps(first.history) == json.dumps(continued.history)

    classes = [ClassSpec(name=one, color=(index, 0, 0)) for index, one in enumerate("abc")]
    kept = TrainedModel.from_trial(
        first.model,
        trial,
        classes=classes,
        bands=("r", "g", "b"),
        scaling=data.scaling,
        encoder=data.encoder if trial.network in ENCODER_NETWORKS else None,
    )
    kept.save(tmp_path / "model.pt")
    images = torch.rand(1, 3, 50, 40, generator=torch.Generator().manual_seed(0)).double()
    built = TrainedModel.load(tmp_path / "model.pt").build()
    with torch.no_grad():
        expected = first.model.double().segment(images)
        torch.testing.assert_close(built.double().segment(images), expected)


@pytest.mark.parametrize(
    "name", dict.fromkeys(one.values[0] for one in row_levels()), ids=lambda name: name
)
def test_levels_train_to_different_weights(data, tmp_path, name):
    """A level that nothing reads would be compared with itself."""
    levels = PARAMETERS[name].levels or (PARAMETERS[name].low, PARAMETERS[name].high)
    results = []
    for number, level in enumerate(levels):
        results.append(_run(_trial(name, level), data, tmp_path / f"{number}.pt").model)
    weights = [torch.cat([p.detach().flatten() for p in one.parameters()]) for one in results]
    for number, one in enumerate(weights):
        for other in weights[:number]:
            assert one.shape != other.shape or not torch.equal(one, other)
