"""What is made of Tune's events; without Ray."""

from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import pytest

from study.trials.session_times import SessionTimes
from study.tune.trial_callback import TrialCallback
from trainables.trial.task import TrialTask


class Trials:
    """Notes what it is told."""

    def __init__(self):
        self.told = []
        self.is_free = False

    def check(self):
        self.told.append("check")

    def start(self, trial):
        self.told.append(("start", trial.key))

    def advance(self, key, step, rows):
        self.told.append(("advance", key, step, rows))

    def interrupt(self, trial, error):
        self.told.append(("interrupt", trial.key, error))
        return self.is_free

    def stop(self, trial):
        self.told.append(("stop", trial.key))

    def fail(self, trial, error, *, has_retries):
        self.told.append(("fail", trial.key, error, has_retries))


@pytest.fixture
def trials():
    return Trials()


@pytest.fixture
def callback(trials, tmp_path):
    queue = SimpleNamespace(check=lambda: None)
    return TrialCallback(trials, queue, SessionTimes(tmp_path, is_on=False))


@pytest.fixture
def shown(tmp_path):
    """A trial as Tune shows it."""
    task = TrialTask(
        trial=SimpleNamespace(key="a", phase="search"), study="s", data=None, tiles={},
        budget=None, annotated=None, folder=Path(), store=None, resources=None,
        checkpoint_every_s=1.0,
    )  # fmt: skip
    (tmp_path / "error.txt").write_text("worker lost")
    counted = {name: {"step": [1]} for name in ("metric_analysis", "metric_n_steps")}
    return SimpleNamespace(
        config={"task": task}, error_file=str(tmp_path / "error.txt"), max_failures=2,
        run_metadata=SimpleNamespace(num_failures=2), **counted,
    )  # fmt: skip


def test_every_event_is_passed_on(callback, trials, shown):
    callback.on_step_end(0, [])
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"step": 2, "rows": [{"step": 2}]})
    callback.on_trial_result(0, [], shown, {"step": 4, "rows": []})
    callback.on_trial_recover(0, [], shown)
    callback.on_trial_error(0, [], shown)
    callback.on_trial_complete(0, [], shown)
    assert trials.told == [
        "check",
        ("start", "a"),
        ("advance", "a", 2, [{"step": 2}]),
        ("advance", "a", 4, ()),
        ("interrupt", "a", "worker lost"),
        ("fail", "a", "worker lost", True),
        ("stop", "a"),
    ]


def test_a_process_that_ended_without_an_error_is_told_so(callback, trials, shown):
    Path(shown.error_file).unlink()
    callback.on_trial_error(0, [], shown)
    assert trials.told == [("fail", "a", "the trial's process ended without an error", True)]


@pytest.mark.parametrize("is_free", [True, False])
def test_a_free_attempt_takes_no_retry(callback, trials, shown, is_free):
    trials.is_free = is_free
    callback.on_trial_recover(0, [], shown)
    assert shown.max_failures == 2 + is_free
    assert shown.metric_analysis == {"step": [1]}


def test_numbers_of_a_trial_that_has_ended_leave_the_memory(callback, shown):
    callback.on_trial_complete(0, [], shown)
    assert shown.metric_analysis == shown.metric_n_steps == {}


@pytest.mark.parametrize(("since", "then"), [(100.0, 500.0), (None, None)])
def test_the_next_attempt_of_a_profiled_trial_starts_when_the_last_has_failed(
    callback, shown, monkeypatch, since, then
):
    """Tune gives every attempt the same; its start would count from the first one again."""
    monkeypatch.setattr("study.tune.tune_trial.time.time", lambda: 500.0)
    object.__setattr__(shown.config["task"], "timed_since", since)
    callback.on_trial_recover(0, [], shown)
    assert shown.config["task"].timed_since == then


def test_what_tune_pickles_holds_nothing(callback, trials):
    """A login would lie in a file, and a thread cannot be pickled."""
    trials.told.append("secret")
    assert b"secret" not in cloudpickle.dumps(callback)
