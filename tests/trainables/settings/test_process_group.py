"""Several workers against one: real processes, torch's gloo."""

import math
import multiprocessing
import os
import queue
import socket
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

import trainables.training.loop as loop
from contract.methods import METHODS
from contract.parameters import PARAMETERS
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.networks.build import build_network
from trainables.networks.encoders.reading import read_encoder
from trainables.settings.config import TrainingConfig, TrialConfig, training_fields
from trainables.settings.process_group import ALONE, ProcessGroup
from trainables.settings.seeds import torch_generator
from trainables.training.checkpoint import read_state
from trainables.training.loop import TrainingData, train
from trainables.training.step import Step

CPU = torch.device("cpu")
TRAINING = TrainingConfig(
    width=4,
    patch_px=32,
    sampling="random",
    augment=True,
    batch_size=5,
    steps=8,
    epochs=None,
    lr=1e-3,
    ema_decay=0.8,
    num_validations=4,
    infer_window_px=48,
    infer_step_px=32,
)


def _trial(model="urec", **training):
    return TrialConfig(
        key="t",
        phase="search",
        model=model,
        label_frac=1.0,
        seed=3,
        training=replace(TRAINING, **training),
    )


@pytest.fixture(scope="module")
def data(random_tiles):
    """Tiles of unequal sizes; three validation tiles, so that two workers have unequal shares."""
    tiles = random_tiles()
    unit = Unit(kind="block", size_px=16)
    budget, pixels = draw_budget(tiles, fraction=0.4, seed=0, unit=unit, num_classes=3)
    return TrainingData(
        train=tiles,
        annotated=pixels,
        class_px=budget.class_px,
        scaling=uint8_scaling(3),
        val=random_tiles([(40, 33), (70, 50), (32, 90)], seed=9),
        class_names=("a", "b", "c"),
        exclude_from_mean=(),
    )


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    """One thread here too, whatever the other tests have: counts of pixels are compared."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def _in_worker(rank, size, port, work, arguments, answers):
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=size)
    try:
        answers.put((rank, work(ProcessGroup(rank=rank, size=size), *arguments), None))
    except Exception:  # noqa: BLE001  told to the test, which fails with it
        answers.put((rank, None, traceback.format_exc()))
    finally:
        dist.destroy_process_group()


def _together(size, work, *arguments):
    """What `work(group, *arguments)` returns in each of `size` processes."""
    context = multiprocessing.get_context("fork")  # arguments need not be pickled
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answers = context.Queue()
    processes = [
        context.Process(target=_in_worker, args=(rank, size, port, work, arguments, answers))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    try:
        found = {}
        for _ in processes:
            rank, answer, error = answers.get(timeout=120)
            assert error is None, f"worker {rank}: {error}"
            found[rank] = answer
    except queue.Empty:
        pytest.fail("a worker never answered")
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    return [found[rank] for rank in range(size)]


def _group_norms(*arguments, **named):
    """The network with group in place of batch normalisation, which sees one worker's share."""
    model = build_network(*arguments, **named)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(1, child.num_features, affine=child.affine))
    return _in_double(model)


def _in_double(model):
    """The network in double precision.

    Adam divides by the size of gradients, and where those are all but zero, the order in which
    float32 adds them up decides their sign.
    """
    model.encoder.register_forward_pre_hook(_to_double)
    return model.double()


def _to_double(_, arguments):
    return tuple(argument.double() for argument in arguments)


def _frozen_norms(*arguments, **named):
    """The network with batch normalisation that uses, and keeps, its running statistics."""
    model = build_network(*arguments, **named)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
            module.forward = _by_running_statistics.__get__(module)
    return _in_double(model)


def _by_running_statistics(self, x):
    return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def _train(group, trial, data, checkpoint, build, stop_at=None):
    """Weights, history and reported steps; states are saved where a file for them is named."""
    reports = []

    def report(step, rows):
        reports.append(step)
        if step == stop_at:
            raise KeyboardInterrupt

    original = loop.build_network
    loop.build_network = build
    try:
        result = train(
            trial,
            data,
            device=CPU,
            checkpoint=checkpoint or Path("none.pt"),
            report=report,
            checkpoint_every_s=0.0 if checkpoint else math.inf,
            group=group,
        )
    finally:
        loop.build_network = original
    numbers = {name: value.numpy() for name, value in result.model.state_dict().items()}
    return numbers, result.history, reports


def _assert_close(one, other, tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        expected, found = torch.from_numpy(value).double(), torch.from_numpy(other[name]).double()
        error = (found - expected).norm() / expected.norm().clamp(min=1e-12)
        assert error <= tolerance, f"{name}: {error:.2e}"


@pytest.mark.parametrize(
    ("trial", "build"),
    [(_trial(), _group_norms), (_trial(), _frozen_norms), (_trial("unet"), _frozen_norms)],
    ids=["urec-group", "urec-frozen", "unet-frozen"],
)
def test_two_workers_train_to_the_weights_of_one(data, trial, build):
    """Five patches a step, so that their shares differ; 8 steps; within 1e-5.

    Below, every method and every level is trained as well, for fewer steps.
    """
    alone, history, reports = _train(ALONE, trial, data, None, build)
    first, second = _together(2, _train, trial, data, None, build)
    _assert_close(alone, first[0], 1e-5)
    assert all((first[0][name] == second[0][name]).all() for name in first[0])
    assert (first[2], second[2]) == (reports, [])
    for one, other in zip(history, first[1], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if name.startswith("train/"):
                assert math.isclose(one[name], other[name], rel_tol=1e-4), name


def _levels_besides_the_default():
    """(parameter, level) of every row that decides what is learned, but the published level."""
    decides = [
        one
        for one in PARAMETERS.values()
        if one.name in training_fields()
        and (one.kind == "choice" or one.name.startswith("rec_"))
        and METHODS["urec"].has(one)  # what encoders have is trained below
    ]
    return [
        pytest.param(one.name, level, id=f"{one.name}-{level}")
        for one in decides
        for level in one.levels
        if level != getattr(TrainingConfig(), one.name)
    ]


@pytest.mark.parametrize(("name", "level"), _levels_besides_the_default())
def test_two_workers_train_every_level_to_the_weights_of_one(data, name, level):
    """Shares of 2 and 3 of five patches, with unequal numbers of pixels that count."""
    trial = _trial(steps=3, num_validations=1, ema_decay=0.0, **{name: level})
    alone, history, _ = _train(ALONE, trial, data, None, _group_norms)
    first, second = _together(2, _train, trial, data, None, _group_norms)
    _assert_close(alone, first[0], 1e-5)
    assert all((first[0][key] == second[0][key]).all() for key in first[0])
    for one, other in zip(history, first[1], strict=True):
        for key in one:
            if key.startswith("train/"):
                assert math.isclose(one[key], other[key], rel_tol=1e-4), key


@pytest.mark.parametrize("method", METHODS)
def test_two_workers_train_every_method_to_the_weights_of_one(data, tmp_path, method):
    """A new row is tested too; the teacher, where there is one, is that of one worker as well."""
    trial = _trial(method, steps=3, num_validations=1, pseudo_threshold=0.4)
    alone, history, _ = _train(ALONE, trial, data, tmp_path / "1.pt", _group_norms)
    first, second = _together(2, _train, trial, data, tmp_path / "2.pt", _group_norms)
    _assert_close(alone, first[0], 1e-5)
    assert all((first[0][name] == second[0][name]).all() for name in first[0])
    for one, other in zip(history, first[1], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if name.startswith("train/"):
                assert math.isclose(one[name], other[name], rel_tol=1e-4), name
    teachers = [read_state(tmp_path / f"{number}.pt", CPU)["teacher"] for number in (1, 2)]
    assert (teachers[0] is None) == (not METHODS[method].labels)
    if teachers[0] is not None:
        _assert_close(*({k: v.numpy() for k, v in one.items()} for one in teachers), 1e-5)
        assert any(row.get("train/pseudo_share", 0.0) > 0 for row in history)


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.labels])
def test_all_workers_have_one_teacher(data, method):
    """With batch normalisation, whose statistics on a CPU are those of each worker's patches."""
    trial = _trial(method, steps=3, num_validations=1)
    first, second = _together(2, _teacher_after, trial, data)
    assert any("running_mean" in name for name in first)
    assert all((first[name] == second[name]).all() for name in first)


def _teacher_after(group, trial, data):
    state = loop._new_state(trial, data, CPU, group)
    sampler = loop.build_sampler(trial, data, CPU, group)
    step = Step(state, trial, CPU, group)
    while state.step < trial.training.steps:
        step.take(sampler.draw(state.step))
        state.step += 1
    return {name: one.numpy() for name, one in state.teacher.state_dict().items()}


OWN = """
from torch import nn

class Plain(nn.Module):
    def __init__(self, num_channels, num_classes):
        super().__init__()
        self.shared = nn.Sequential(nn.Conv2d(num_channels, 6, 3, padding=1), nn.GroupNorm(2, 6))
        self.head = nn.Conv2d(6, num_classes, 1)

    def forward(self, images):
        return self.head(self.shared(images).relu())

class Both(Plain):
    def __init__(self, num_channels, num_classes):
        super().__init__(num_channels, num_classes)
        self.back = nn.Conv2d(6, num_channels, 1)

    def forward(self, images):
        return super().forward(images), self.back(self.shared(images).relu())
"""


def _own_in_double(*arguments, **named):
    model = build_network(*arguments, **named)
    model.own.register_forward_pre_hook(_to_double)
    return model.double()


@pytest.mark.parametrize(
    ("network", "unannotated", "build"),
    [
        ("Plain", "nothing", _own_in_double),
        ("Both", "reconstruction", _own_in_double),
        ("Both", "nothing", _own_in_double),
        ("urec", "nothing", _group_norms),
    ],
)
def test_two_workers_train_any_network_to_the_weights_of_one(
    data, own_module, network, unannotated, build
):
    """A branch that is not trained keeps its weights, also from their decay."""
    trial = replace(
        _trial(weight_decay=0.1, steps=4, num_validations=1),
        network="urec" if network == "urec" else f"{own_module(OWN)}:{network}",
        unannotated=unannotated,
    )
    alone, history, _ = _train(ALONE, trial, data, None, build)
    first, second = _together(2, _train, trial, data, None, build)
    _assert_close(alone, first[0], 1e-5)
    assert all((first[0][name] == second[0][name]).all() for name in first[0])
    started = build(
        trial.network, 3, 3, width=TRAINING.width, generator=torch_generator(trial.seed, "weights")
    ).state_dict()
    left = {name for name, value in started.items() if (value.numpy() == alone[name]).all()}
    branch = {name for name in started if name.startswith(("own.back", "reconstruction."))}
    assert left == (branch if unannotated == "nothing" else set())
    assert ("train/loss_rec" in history[-1]) == (unannotated == "reconstruction")


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("resnet", "pretrained"), ("convnextv2", "pretrained"), ("convnextv2", "random")],
)
def test_two_workers_train_an_encoder_to_the_weights_of_one(data, write_encoder, kind, weights):
    """Without drop path, whose draws are of the worker: without it nothing is drawn."""
    folder = write_encoder(kind, **({} if kind == "resnet" else {"drop_path_rate": 0.0}))
    data = replace(data, encoder=read_encoder(str(folder)))
    training = {"steps": 3, "num_validations": 1, "encoder_weights": weights, "encoder_lr": 0.5}
    trial = replace(_trial(**training), network="encoder-urec")
    alone, history, _ = _train(ALONE, trial, data, None, _group_norms)
    first, second = _together(2, _train, trial, data, None, _group_norms)
    _assert_close(alone, first[0], 1e-5)
    assert all((first[0][key] == second[0][key]).all() for key in first[0])
    assert math.isclose(history[-1]["train/loss"], first[1][-1]["train/loss"], rel_tol=1e-4)


@pytest.mark.parametrize("steps", [3, 8])
def test_workers_train_differently_where_batches_differ(data, steps):
    """The comparisons above can fail: another batch size is seen."""
    alone = _train(ALONE, _trial(steps=steps, num_validations=1), data, None, _group_norms)[0]
    six = _trial(steps=steps, num_validations=1, batch_size=6)
    other = _train(ALONE, six, data, None, _group_norms)[0]
    with pytest.raises(AssertionError):
        _assert_close(alone, other, 1e-5)


def test_an_interrupted_group_goes_on_to_the_undisturbed_result(data, tmp_path):
    """Of batch normalisation too, whose running statistics are those of the first worker."""
    trial = _trial()
    undisturbed = _together(2, _train, trial, data, None, build_network)
    for stopped in _together(2, _stopped, trial, data, tmp_path / "2.pt", build_network):
        assert stopped
    resumed = _together(2, _train, trial, data, tmp_path / "2.pt", build_network)
    for name, value in undisturbed[0][0].items():
        assert (value == resumed[0][0][name]).all(), name
    assert [row["step"] for row in resumed[0][1]] == [row["step"] for row in undisturbed[0][1]]


def _stopped(group, trial, data, checkpoint, build):
    """Train until the second report, as if the worker was lost then."""
    try:
        _train(group, trial, data, checkpoint, build, stop_at=4)
    except KeyboardInterrupt:
        return True
    except RuntimeError:  # the other worker, whose peer is gone
        return True
    return False


@pytest.mark.numbers
def test_another_number_of_workers_goes_on_with_the_same_patches(data, tmp_path):
    """Three workers after two after one: the weights of one worker throughout."""
    trial = _trial()
    alone = _train(ALONE, trial, data, None, _group_norms)[0]
    checkpoint = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        _train(ALONE, trial, data, checkpoint, _group_norms, stop_at=2)
    for stopped in _together(2, _stopped, trial, data, checkpoint, _group_norms):
        assert stopped
    found = _together(3, _train, trial, data, checkpoint, _group_norms)
    _assert_close(alone, found[0][0], 1e-5)


@pytest.mark.numbers
@pytest.mark.parametrize("size", [1, 2, 3])
def test_confusion_over_tiles_of_unequal_size_is_that_of_one_process(random_tiles, size):
    """Seven tiles, one much larger than the rest; each counted once, by whomever."""
    sizes = [(40, 33), (150, 120), (32, 90), (20, 20), (64, 64), (33, 47), (90, 30)]
    tiles = random_tiles(sizes, eroded=True)
    model = build_network(
        "urec", num_channels=3, num_classes=3, width=2, generator=torch_generator(0, "weights")
    )
    expected = evaluate_tiles(model, tiles, TRAINING, 3, uint8_scaling(3), CPU)
    assert sum(int(tile["full"].sum()) for tile in expected) == int((tiles.masks != 255).sum())
    for found in _together(size, _evaluate, model, tiles):
        assert len(found) == len(sizes)
        for one, other in zip(expected, found, strict=True):
            assert one.keys() == other.keys() == {"full", "eroded"}
            for name in one:
                assert other[name].dtype == "int64"
                assert (other[name] == one[name].numpy()).all()


def _evaluate(group, model, tiles):
    matrices = evaluate_tiles(model, tiles, TRAINING, 3, uint8_scaling(3), CPU, group=group)
    return [{name: matrix.numpy() for name, matrix in tile.items()} for tile in matrices]


def test_more_workers_than_tiles_do_not_hang(random_tiles):
    tiles = random_tiles([(40, 40)])
    model = build_network(
        "unet", num_channels=3, num_classes=3, width=1, generator=torch_generator(0, "weights")
    )
    one, other = _together(2, _evaluate, model, tiles)
    assert (one[0]["full"] == other[0]["full"]).all()
    assert one[0]["full"].sum() == (tiles.masks != 255).sum()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tasks_are_spread_without_padding(size):
    costs = [5, 5, 40, 1, 1, 9, 2, 2, 30]
    parts = [ProcessGroup(rank=rank, size=size).assigned(costs) for rank in range(size)]
    assert sorted(index for part in parts for index in part) == list(range(len(costs)))
    loads = [sum(costs[index] for index in part) for part in parts]
    assert max(loads) <= max(40, -(-sum(costs) // size) + 9)


@pytest.mark.parametrize("num", [1, 5, 8, 14])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_shares_follow_each_other_and_differ_by_one_at_most(num, size):
    shares = [range(num)[ProcessGroup(rank=rank, size=size).share(num)] for rank in range(size)]
    assert [index for share in shares for index in share] == list(range(num))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_value_that_only_the_first_worker_has_reaches_all():
    assert _together(3, _ask_first) == ["of 0"] * 3


def _ask_first(group):
    group.wait()
    return group.from_first(f"of {group.rank}" if group.is_first else None)


@pytest.mark.gpu
def test_norms_are_synchronised_on_cuda():
    model = ProcessGroup(rank=0, size=2).synchronise_norms(nn.BatchNorm2d(3), torch.device("cuda"))
    assert isinstance(model, nn.SyncBatchNorm)
