"""Every method, and every parameter that changes how is trained, at each of its levels.

A new row of either table is tested too.
"""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from contract.methods import BUILT_FROM, METHODS
from contract.parameters import PARAMETERS
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.label_noise import shift_labels
from trainables.data.budgets.pixel_set import count_classes
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.methods.segmentation import class_weights
from trainables.networks.build import ENCODER_NETWORKS
from trainables.networks.encoders.reading import read_encoder
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrainingConfig, TrialConfig, training_fields
from trainables.settings.process_group import ALONE
from trainables.training import loop
from trainables.training.checkpoint import read_state
from trainables.training.loop import TrainingData, train
from trainables.training.step import Step

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
    pseudo_threshold=0.4,  # or hardly a pixel would be labelled in so few steps
)
_STEPS = {"teacher_decay": 12}
"""Where levels are the same in fewer: a teacher is an even average at first."""
_SIZES = {"lr", "weight_decay", "batch_size", "width", "ema_decay", "patch_px", "warmup_steps"}
"""Tested in `test_loop.py`; their default levels are large."""
_OF_BUDGETS = {"budget_order"}
"""Decided before a trial by what it is given; tested in `test_budgets.py` and `test_tasks.py`."""


def row_levels():
    """(parameter, level) of every row but those of sizes and rates; of equal trials the first."""
    levels, trials = [], []
    for name in row_names():
        for level in _levels(name):
            if _trial(name, level) not in trials:  # as those of all default levels of a method are
                levels.append(pytest.param(name, level, id=f"{name}-{level}"))
                trials.append(_trial(name, level))
    return levels


def row_names():
    names = set(training_fields()) - _SIZES - _OF_BUDGETS
    return [name for name in PARAMETERS if name in names]


def _levels(name):
    return PARAMETERS[name].levels or (PARAMETERS[name].low, PARAMETERS[name].high)


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
        training=replace(SMALL, **{name: level}, steps=_STEPS.get(name, SMALL.steps)),
    )


def _of_method(method, **training):
    return TrialConfig(
        key="t",
        phase="confirm",
        model=method,
        label_frac=0.4,
        seed=3,
        training=replace(SMALL, patch_px=32, **training),
    )


EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


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


def _run(trial, data, checkpoint, report=lambda step, rows: None, every_s=0.0):
    return train(
        trial, data, device=CPU, checkpoint=checkpoint, report=report, checkpoint_every_s=every_s
    )


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """Trains a trial once: its result, and the last state of its teacher; both to be read only."""
    known = []

    def undisturbed(trial):
        for one, found in known:
            if one == trial:
                return found
        checkpoint = tmp_path_factory.mktemp("undisturbed") / "state.pt"
        labels = METHODS[trial.model].labels
        result = _run(trial, data, checkpoint, every_s=0.0 if labels else math.inf)
        teacher = read_state(checkpoint, CPU)["teacher"] if labels else None
        known.append((trial, (result, teacher)))
        return result, teacher

    return undisturbed


def _same(one, other):
    one, other = one.model.state_dict(), other.model.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(("name", "level"), row_levels())
def test_every_parameter_gets_a_gradient(data, name, level):
    _assert_gradients(_trial(name, level), data)


@pytest.mark.numbers
@EVERY_METHOD
def test_every_parameter_of_every_method_gets_a_gradient_and_none_of_its_teacher(data, method):
    state = _assert_gradients(_of_method(method), data)
    assert (state.teacher is not None) == METHODS[method].labels
    if state.teacher is not None:
        assert all(one.grad is None for one in state.teacher.parameters())


def _assert_gradients(trial, data):
    state = loop._new_state(trial, data, CPU, ALONE)
    state.step = 2
    batch = loop.build_sampler(trial, data, CPU, ALONE).draw(2)
    terms = Step(state, trial, CPU, ALONE).take(batch)
    assert all(math.isfinite(term.item()) for term in terms.values())
    for of, one in state.model.named_parameters():
        assert one.grad is not None, of
        assert one.grad.isfinite().all(), of
    return state


@pytest.mark.parametrize(("name", "level"), row_levels())
def test_repeated_and_continued_runs_are_the_same_and_what_they_leave_predicts(
    data, undisturbed, tmp_path, name, level
):
    trial = _trial(name, level)
    _assert_repeated_continued_kept(trial, data, *undisturbed(trial), tmp_path)


_TOGETHER = {
    "precision": "bf16", "ema_decay": 0.5, "rec_mask": 0.5, "rec_patches": 2,
    "seg_loss": "ce_dice", "class_weights": "sqrt_inverse", "branch_norm": "separate",
}  # fmt: skip


@pytest.mark.numbers
@pytest.mark.parametrize("training", [{}, _TOGETHER], ids=["defaults", "together"])
@EVERY_METHOD
def test_every_method_repeats_continues_and_predicts(data, undisturbed, tmp_path, method, training):
    """With its teacher, which a checkpoint keeps; alone, and with much else that is trained."""
    trial = _of_method(method, **training)
    result, teacher = undisturbed(trial)
    _assert_repeated_continued_kept(trial, data, result, teacher, tmp_path)
    shares = [row["train/pseudo_share"] for row in result.history if "train/pseudo_share" in row]
    assert bool(shares) == METHODS[method].labels
    assert not shares or 0 < max(shares) <= 1


def _assert_repeated_continued_kept(trial, data, first, teacher, tmp_path):
    """The same weights again and after an interruption, and a model file that predicts."""
    stop_at = trial.training.validation_steps()[0]

    def stop(step, rows):
        if step == stop_at:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        _run(trial, data, checkpoint, stop)
    torch.rand(5)  # as another trial of this process may draw
    continued = _run(trial, data, checkpoint)
    assert _same(first, continued)
    assert json.dumps(first.history) == json.dumps(continued.history)
    assert (teacher is None) == (not METHODS[trial.model].labels)
    if teacher is not None:
        saved = read_state(checkpoint, CPU)["teacher"]
        assert all(torch.equal(one, saved[name]) for name, one in teacher.items())

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
        expected = copy.deepcopy(first.model).double().segment(images)
        torch.testing.assert_close(built.double().segment(images), expected)


@pytest.mark.numbers
@pytest.mark.parametrize("told", ["another class", "no class"])
@EVERY_METHOD
def test_labels_outside_of_the_budget_change_nothing(data, undisturbed, tmp_path, method, told):
    """What is not annotated is not known: neither to losses nor to patches, weights or teachers."""
    trial = _of_method(
        method, steps=2, num_validations=1, seg_loss="ce_dice", class_weights="sqrt_inverse"
    )
    original = data.train.masks
    inside = np.concatenate([data.annotated.tile(tile).ravel() for tile in range(2)])
    other = (original + 1) % 3 if told == "another class" else np.full_like(original, 200)
    other = np.where(inside, original, other).astype(original.dtype)
    assert (original[~inside] != other[~inside]).mean() > 0.7
    assert (original[inside] == other[inside]).all()
    changed = replace(data, train=replace(data.train, masks=other))
    one, two = undisturbed(trial)[0], _run(trial, changed, tmp_path / "2.pt", every_s=math.inf)
    assert _same(one, two)
    assert json.dumps(one.history) == json.dumps(two.history)
    # It can fail: labels inside of the budget do change the weights.
    other = np.where(inside, (original + 1) % 3, original).astype(original.dtype)
    changed = replace(data, train=replace(data.train, masks=other))
    assert not _same(one, _run(trial, changed, tmp_path / "3.pt", every_s=math.inf))


@EVERY_METHOD
def test_label_noise_shifts_training_labels_alone_and_none_where_it_is_0(
    data, undisturbed, tmp_path, method, monkeypatch
):
    """One draw of a seed for all methods; class weights count the labels that are learned."""
    shifted = []

    def spy(tiles, annotated, **given):
        shifted.append((tiles, shift_labels(tiles, annotated, **given)))
        return shifted[-1][1]

    monkeypatch.setattr(loop, "shift_labels", spy)
    loop.build_sampler(_of_method(method), data, CPU, ALONE).draw(0)
    assert shifted == []
    noisy = _of_method(method, label_noise_px=2.0, class_weights="sqrt_inverse")
    batch = loop.build_sampler(noisy, data, CPU, ALONE).draw(0)
    ((tiles, labels),) = shifted
    assert tiles is data.train
    assert batch.class_weights.tolist() == pytest.approx(
        class_weights("sqrt_inverse", count_classes(tiles, labels, 3)).tolist()
    )
    expected = shift_labels(data.train, data.annotated, std_px=2.0, seed=3, num_classes=3)
    assert labels.checksum == expected.checksum
    noisy = _of_method(method, label_noise_px=2.0)
    result = _run(noisy, data, tmp_path / "2.pt", every_s=math.inf)
    assert not _same(undisturbed(_of_method(method))[0], result)


@pytest.mark.numbers
def test_with_neither_weight_nor_shared_statistics_the_reconstruction_changes_nothing(undisturbed):
    """As U-REC is U-Net then, both together are FixMatch: logits of the student and the teacher."""
    alone, _ = undisturbed(_of_method("fixmatch"))
    both, _ = undisturbed(_of_method("fixmatch-urec", w1=0.0, branch_norm="separate"))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(alone.model.segment(images), both.model.segment(images))
    for name in ("train/loss_seg", "train/loss_pseudo", "train/pseudo_share"):
        assert [row[name] for row in alone.history] == [row[name] for row in both.history]


@EVERY_METHOD
def test_shares_in_the_gradient_are_measured_and_change_nothing(
    data, undisturbed, tmp_path, method, monkeypatch
):
    trial = _of_method(method)
    probed, _ = undisturbed(trial)
    found = {name for name in probed.history[-1] if name.startswith("train/grad_share_")}
    has = METHODS[method]
    expected = {"rec": has.reconstructs, "pseudo": has.labels}
    assert found == {f"train/grad_share_{name}" for name, there in expected.items() if there}
    assert all(0 <= probed.history[-1][name] < 1 for name in found)
    monkeypatch.setattr(loop, "probed_steps", lambda validations: frozenset())
    assert _same(probed, _run(trial, data, tmp_path / "2.pt", every_s=math.inf))


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.labels])
def test_the_teacher_sees_patches_as_they_are_and_the_student_learns_from_views(
    data, method, monkeypatch
):
    """Both as the convolutions want their memory; teacher in evaluation mode, also in a probe."""
    trial = _of_method(method, rec_mask=0.5 if METHODS[method].reconstructs else 0.0)
    state = loop._new_state(trial, data, CPU, ALONE)
    batch = loop.build_sampler(trial, data, CPU, ALONE).draw(0)
    seen = {"teacher": [], "student": []}
    for name, network in (("teacher", state.teacher), ("student", state.model)):
        network.encoder.register_forward_pre_hook(
            lambda module, given, name=name: seen[name].append((given[0], module.training))
        )
    step = Step(state, trial, CPU, ALONE)
    step.gradient_shares(batch)
    step.take(batch)
    assert len(seen["teacher"]) == len(seen["student"]) == 2
    for name, expected, trains in (
        ("teacher", batch.views.patches, False),
        ("student", batch.inputs, True),
    ):
        for images, training in seen[name]:
            torch.testing.assert_close(images, expected)
            assert training == trains
            assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", row_names())
def test_levels_train_to_different_weights(undisturbed, name):
    """Of the network or its teacher: a level that nothing reads would be compared with itself."""
    weights = []
    for level in _levels(name):
        result, teacher = undisturbed(_trial(name, level))
        learned = [*result.model.parameters(), *(teacher or {}).values()]
        weights.append(torch.cat([one.detach().flatten() for one in learned]))
    for number, one in enumerate(weights):
        for other in weights[:number]:
            assert one.shape != other.shape or not torch.equal(one, other)
