"""How trials ended, as their folders say."""

import json

import pytest

from contract.names import RESULT, TRACEBACK
from study.design.arms import plan_arms, search_trial
from trainables.trial.folder.outcomes import (
    FAILED,
    PRUNED,
    count_failure,
    forget_failure,
    read_outcome,
    write_failed,
    write_pruned,
)

ROWS = [{"step": 2, "train/loss": 1.5}]


@pytest.fixture
def trial(make_config):
    config = make_config(space="w1,label_frac=0.1")
    return search_trial(config, plan_arms(config)[0], 0, {"w1": 0.25})


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
