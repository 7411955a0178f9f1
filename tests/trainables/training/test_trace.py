"""Which steps are traced, however few there are, and what is written of them."""

import gzip
import json
from collections import Counter

import numpy as np
import pytest
import torch

from trainables.settings.config import TrainingConfig
from trainables.training.stopwatch import Stopwatch
from trainables.training.trace import OPERATORS, TRACE, Tracer, find_trace, validation_batches

CPU = torch.device("cpu")


@pytest.fixture
def watch():
    return Stopwatch(CPU, 0.0)


def _run(tracer, watch, num_steps, num_batches, then=2):
    """Steps up to a validation, and some after it."""
    tracer.begin(num_steps, num_batches)
    for step in range(1, num_steps + then + 1):
        with watch.part("forward_backward"):
            torch.ones(3).sum()
        if step != num_steps:
            tracer.step()
            continue
        tracer.before_validation()
        with watch.part("validation"):
            torch.ones(3).prod()
        tracer.after_validation()


def _ranges(folder):
    events = json.loads(gzip.decompress((folder / TRACE).read_bytes()))["traceEvents"]
    return Counter(e["name"] for e in events if e.get("cat") == "user_annotation")


@pytest.mark.parametrize(("num_steps", "traced"), [(1, 1), (2, 1), (4, 1), (5, 2), (6, 3), (31, 3)])
def test_the_last_steps_before_a_validation_are_traced(tmp_path, watch, num_steps, traced):
    _run(Tracer(tmp_path, CPU, watch), watch, num_steps, 1)
    ranges = _ranges(tmp_path)
    assert ranges["forward_backward"] == traced
    assert ranges["validation"] == 1
    assert "aten::sum" in (tmp_path / OPERATORS).read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([OPERATORS, TRACE])
    assert watch.seconds["trace"] > 0


def test_a_large_validation_is_left_out(tmp_path, watch):
    _run(Tracer(tmp_path, CPU, watch), watch, 6, 65)
    assert _ranges(tmp_path)["forward_backward"] == 3
    assert _ranges(tmp_path)["validation"] == 0


def test_both_files_are_there_when_it_says_so(tmp_path, watch):
    seen = []
    tracer = Tracer(tmp_path, CPU, watch, lambda: seen.append(len(list(tmp_path.iterdir()))))
    _run(tracer, watch, 3, 1)
    assert seen == [2]


@pytest.mark.parametrize("num_steps", [0, 3])
def test_nothing_is_traced_without_a_folder_or_a_step(tmp_path, watch, monkeypatch, num_steps):
    monkeypatch.setattr("trainables.training.trace.profile", lambda **_: pytest.fail("traced"))
    tracer = Tracer(tmp_path if num_steps == 0 else None, CPU, watch)
    tracer.begin(num_steps, 1)
    tracer.step()
    tracer.before_validation()
    tracer.after_validation()
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_fails_leaves_no_profiler_to_the_next(tmp_path, watch):
    def failing():
        with Tracer(tmp_path / "failed", CPU, watch) as tracer:
            tracer.begin(2, 1)
            tracer.step()
            assert torch.autograd._profiler_enabled()
            raise FloatingPointError

    with pytest.raises(FloatingPointError):
        failing()
    assert not torch.autograd._profiler_enabled()
    assert not (tmp_path / "failed").exists()
    _run(Tracer(tmp_path / "next", CPU, watch), watch, 3, 1)
    assert _ranges(tmp_path / "next")["forward_backward"] == 1


def test_an_error_while_writing_is_told(tmp_path, watch, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainables.training.trace.write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        _run(Tracer(tmp_path, CPU, watch), watch, 3, 1)


def test_batches_of_a_validation():
    training = TrainingConfig(batch_size=2, infer_step_px=32, infer_window_px=32)
    assert validation_batches(np.array([[64, 64], [32, 32]]), training) == 3


def test_the_trace_of_a_study_is_found(tmp_path):
    assert find_trace(tmp_path) is None
    (tmp_path / "a" / "profile").mkdir(parents=True)
    assert find_trace(tmp_path) is None
    (tmp_path / "a" / "profile" / TRACE).write_bytes(b"")
    assert find_trace(tmp_path) == tmp_path / "a" / "profile" / TRACE
