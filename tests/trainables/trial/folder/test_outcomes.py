"""How trials ended, as their folders say."""

import json

import pytest

from contract.names import RESULT, TRACEBACK
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.trial.folder.outcomes import (
    FAILED,
    FAILURES,
    PLAN,
    PRUNED,
    TrialPlan,
    count_failure,
    forget_failure,
    read_outcome,
    read_plan,
    set_damaged_aside,
    write_failed,
    write_plan,
    write_pruned,
)

ROWS = [{"step": 2, "train/loss": 1.5}]


@pytest.fixture
def trial():
    training = TrainingConfig(w1=0.25)
    return TrialConfig(
        key="search-urec-f0.10-t000", phase="search", model="urec", label_frac=0.1, seed=0,
        training=training,
    )  # fmt: skip


def leave_result(folder, trial):
    left = {"trial": trial.to_plain(), "score": 0.5, "history": ROWS}
    (folder / RESULT).write_text(json.dumps(left))


def test_a_trial_that_has_not_ended_has_no_outcome(tmp_path):
    assert read_outcome(tmp_path / "absent") is None
    count_failure(tmp_path)
    assert read_outcome(tmp_path) is None


@pytest.mark.parametrize("num_failures", [0, 1, 2])
def test_attempts_are_the_failures_and_the_one_that_ended(tmp_path, trial, num_failures):
    for _ in range(num_failures):
        count_failure(tmp_path)
    write_pruned(tmp_path, trial, ROWS)
    outcome = read_outcome(tmp_path)
    assert (outcome.state, outcome.attempts) == ("pruned", num_failures + 1)
    assert (outcome.trial, outcome.history, outcome.score) == (trial, ROWS, None)
    leave_result(tmp_path, trial)
    outcome = read_outcome(tmp_path)
    assert (outcome.state, outcome.score) == ("finished", 0.5), "what was finished is finished"
    assert outcome.attempts == num_failures + 1


def test_a_failed_trial_was_tried_as_often_as_it_failed(tmp_path, trial):
    for _ in range(3):
        count_failure(tmp_path)
    write_failed(tmp_path, trial, ROWS, "Traceback: out of memory")
    outcome = read_outcome(tmp_path)
    assert (outcome.state, outcome.attempts) == ("failed", 3)
    assert outcome.traceback == (tmp_path / TRACEBACK).read_text() == "Traceback: out of memory"


def test_only_what_failed_for_good_is_forgotten(tmp_path, trial):
    count_failure(tmp_path)
    forget_failure(tmp_path)  # interrupted after one failure, and gone on with
    (tmp_path / "checkpoint.pt").write_bytes(b"state")
    write_failed(tmp_path, trial, ROWS, "out of memory")
    assert read_outcome(tmp_path).attempts == 1
    forget_failure(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert {FAILED, PRUNED, RESULT}.isdisjoint(file.name for file in tmp_path.iterdir())


def test_a_plan_is_read_as_it_was_written(tmp_path, trial):
    assert read_plan(tmp_path) is None
    plan = TrialPlan(trial=trial, validations={1: 0.25, 2: 0.5}, stopped_at=2)
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]", b"null", b"{}", b'{"trial": 3}'])
@pytest.mark.parametrize("name", [RESULT, PRUNED, FAILED, PLAN])
def test_what_is_no_record_is_set_aside_and_nothing_else(tmp_path, trial, name, content):
    leave_result(tmp_path, trial)
    write_pruned(tmp_path, trial, ROWS)
    write_failed(tmp_path, trial, ROWS, "out of memory")
    write_plan(tmp_path, TrialPlan(trial=trial))
    count_failure(tmp_path)
    before = {file.name for file in tmp_path.iterdir()}
    assert set_damaged_aside(tmp_path) == []
    for number in ("", "-2"):
        (tmp_path / name).write_bytes(content)
        assert set_damaged_aside(tmp_path) == [tmp_path / f"{name}.damaged{number}"]
    assert {file.name for file in tmp_path.iterdir() if "damaged" not in file.name} == (
        before - {name}
    )


def test_failures_that_cannot_be_read_are_counted_anew(tmp_path, trial):
    """They must not take the outcome with them."""
    leave_result(tmp_path, trial)
    (tmp_path / FAILURES).write_bytes(b"\xff")
    assert set_damaged_aside(tmp_path) == [tmp_path / f"{FAILURES}.damaged"]
    assert read_outcome(tmp_path).attempts == 1
