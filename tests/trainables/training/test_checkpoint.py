import hashlib
import io
import math
import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainables.training.checkpoint import LoopState, read_state, remove_checkpoints
from trainables.training.teacher import follow, new_teacher

CPU = torch.device("cpu")


def _state(seed=0, averaged=True, taught=False):
    """A tiny network with everything a checkpoint must keep: buffers, moments, an average."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator))
    average = None
    if averaged:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    return LoopState(
        model=model,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        averaged=average,
        teacher=new_teacher(model) if taught else None,
    )


def _advance(state, num=3):
    for _ in range(num):
        images = torch.rand(2, 2, 4, 4, generator=torch.Generator().manual_seed(state.step))
        state.optimizer.zero_grad()
        state.model(images).square().sum().backward()
        state.optimizer.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.model)
        if state.teacher is not None:
            follow(state.teacher, state.model, 0.5, state.step)
        state.step += 1
    return state


def _tensors(state):
    found = [*state.model.state_dict().values()]
    if state.averaged is not None:
        found += state.averaged.state_dict().values()
    if state.teacher is not None:
        found += state.teacher.state_dict().values()
    for moments in state.optimizer.state_dict()["state"].values():
        found += moments.values()
    return found


def _same(one, other):
    pairs = list(zip(_tensors(one), _tensors(other), strict=True))
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_restored_teacher_is_the_saved_one_and_goes_on_like_it(tmp_path):
    path = tmp_path / "checkpoint.pt"
    saved = _advance(_state(taught=True))
    saved.save(path)
    restored = _state(seed=1, taught=True)
    restored.restore(path, CPU)
    assert _same(saved, restored)
    assert not _same(_advance(_state(taught=True), 4), restored)
    assert _same(_advance(saved), _advance(restored))


@pytest.mark.parametrize("averaged", [True, False])
def test_a_restored_state_goes_on_like_the_saved_one(tmp_path, averaged):
    path = tmp_path / "checkpoint.pt"
    saved = _advance(_state(averaged=averaged))
    saved.save(path)
    restored = _state(seed=1, averaged=averaged)
    restored.restore(path, CPU)
    assert _same(saved, restored)
    assert _same(_advance(saved), _advance(restored))


def test_plain_values_are_restored(tmp_path):
    path = tmp_path / "checkpoint.pt"
    saved = _advance(_state())
    saved.best_step, saved.best_score = 2, 0.1 + 0.2
    saved.best_weights = {"0.weight": torch.tensor([1.5])}
    saved.history = [{"step": 1, "train/loss": 0.5}, {"step": 3, "val/kappa": math.nan}]
    saved.train_s, saved.eval_s = 1.25, 0.5
    saved.seconds = {"start": 3.5, "data": 0.25}
    saved.save(path)
    restored = _state(seed=1)
    restored.restore(path, CPU)
    assert (restored.step, restored.best_step, restored.best_score) == (3, 2, 0.1 + 0.2)
    assert restored.best_weights["0.weight"].tolist() == [1.5]
    assert restored.history[0] == {"step": 1, "train/loss": 0.5}
    assert math.isnan(restored.history[1]["val/kappa"])
    assert (restored.train_s, restored.eval_s) == (1.25, 0.5)
    assert restored.seconds == {"start": 3.5, "data": 0.25}


def test_a_state_without_validation_is_restored(tmp_path):
    _state().save(tmp_path / "checkpoint.pt")
    restored = _state()
    restored.restore(tmp_path / "checkpoint.pt", CPU)
    assert (restored.best_score, restored.best_weights, restored.history) == (-math.inf, {}, [])


@pytest.mark.parametrize("missing", ["seconds", "teacher"])
def test_a_state_of_before_there_was_a_part_is_restored(tmp_path, monkeypatch, missing):
    path = tmp_path / "checkpoint.pt"
    saved = _advance(_state())
    original = torch.save
    with monkeypatch.context() as older:
        older.setattr(
            torch,
            "save",
            lambda state, file: original({k: state[k] for k in state if k != missing}, file),
        )
        saved.save(path)
    assert missing not in read_state(path, CPU)
    restored = _state(seed=1)
    restored.restore(path, CPU)
    assert (restored.step, restored.seconds) == (3, {})
    assert _same(saved, restored)


def test_nothing_happens_without_a_file(tmp_path):
    state, untouched = _state(), _state()
    state.restore(tmp_path / "absent.pt", CPU)
    assert _same(state, untouched)
    assert state.step == 0


def test_the_evaluated_network_is_the_average_where_there_is_one():
    with_average, without = _state(), _state(averaged=False)
    assert with_average.evaluated is with_average.averaged.module
    assert without.evaluated is without.model


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_keeps_the_older_checkpoint(tmp_path, monkeypatch, failing):
    path = tmp_path / "checkpoint.pt"
    state = _advance(_state(), 1)
    state.save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space left"):
        _advance(state).save(path)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
    restored = _state()
    restored.restore(path, CPU)
    assert restored.step == 1


class _Trap:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_from_elsewhere_runs_no_code(tmp_path):
    sprung = tmp_path / "sprung"
    path = tmp_path / "checkpoint.pt"
    buffer = io.BytesIO()
    torch.save({"model": _Trap(sprung)}, buffer)
    state = buffer.getvalue()
    path.write_bytes(b"urec-checkpoint-1\n" + hashlib.sha256(state).digest() + state)
    with pytest.raises(pickle.UnpicklingError):
        _state().restore(path, CPU)
    assert not sprung.exists()
    torch.load(io.BytesIO(state), weights_only=False)
    assert sprung.exists()  # so the trap works


def test_the_last_two_states_are_kept_and_no_more(tmp_path):
    path, state = tmp_path / "checkpoint.pt", _state()
    for _ in range(4):
        _advance(state, 1).save(path)
    previous = tmp_path / "checkpoint-previous.pt"
    assert sorted(tmp_path.iterdir()) == [previous, path]
    assert [read_state(file, CPU)["step"] for file in (previous, path)] == [3, 4]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_not_read(tmp_path, share):
    path = tmp_path / "checkpoint.pt"
    _state().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert read_state(path, CPU) is None
    state = _state()
    state.restore(path, CPU)
    assert state.damaged == ["checkpoint.pt was damaged and not used"]
    state.save(path)
    again = _state()
    again.restore(path, CPU)
    assert again.damaged == state.damaged, "kept over the next interruption"


def test_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    _state().save(path)
    content = bytearray(path.read_bytes())
    content[-300] ^= 1
    path.write_bytes(content)
    assert read_state(path, CPU) is None


def test_nothing_of_the_states_stays(tmp_path):
    path, state = tmp_path / "checkpoint.pt", _state()
    state.save(path)
    state.save(path)
    (tmp_path / ".checkpoint-new.pt.123.partial").write_bytes(b"left by a crash")
    (tmp_path / "result.json").write_text("{}")
    remove_checkpoints(path)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
