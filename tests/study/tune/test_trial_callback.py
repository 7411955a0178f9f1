"""What Tune's callback does with what it is told; without Ray and MLflow."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.names import RESULT, TRACEBACK
from study.design.arms import confirm_trial, plan_arms, search_trial
from study.errors import StudyHaltedError
from study.machines.storage_sync import StorageSync
from study.tune.trial_callback import TrackingCallback
from trainables.storage.store import Store
from trainables.trial.folder.outcomes import FAILED, PRUNED, read_outcome

ROWS = [{"step": 2, "train/loss": 1.5}, {"step": 4, "train/loss": 1.0}]


class Recorder:
    """Stands for the searcher, for the runs in MLflow and for their queue."""

    def __init__(self):
        self.calls = []
        self.pruned = set()

    def put(self, send):
        name = send.func.__name__
        self.calls.append((name, send.args[:-1] if name in ("log_rows", "end") else send.args))

    def check(self):
        pass

    def was_pruned(self, key):
        return key in self.pruned

    # `end` is the searcher's; the runs' methods are only named
    def end(self, outcome, *_):
        self.calls.append(("told", outcome.state))

    def requeue(self, trial):
        self.calls.append(("requeued", trial))

    def begin(self, trial):
        raise AssertionError

    def log_rows(self, key, rows, time_ms):
        raise AssertionError


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def callback(recorder):
    return TrackingCallback(recorder, recorder, recorder, StorageSync(Path(), None))


@pytest.fixture
def config(make_config):
    return make_config(space="w1,label_frac=0.1")


@pytest.fixture
def told(config, tmp_path):
    """A trial as Tune shows it."""

    def make(phase="search", error=None):
        arm = plan_arms(config)[0]
        trial = (search_trial if phase == "search" else confirm_trial)(config, arm, 1, {})
        folder = tmp_path / trial.key
        folder.mkdir(exist_ok=True)
        handed = {"trial": trial.to_plain(), "folder": str(folder)}
        file = tmp_path / "error.txt"
        if error is not None:
            file.write_text(str(error))
        counted = {name: {"step": [1]} for name in ("metric_analysis", "metric_n_steps")}
        shown = SimpleNamespace(config=handed, error_file=str(file), **counted)
        return shown, trial, folder

    return make


def leave_result(folder, trial):
    left = {"trial": trial.to_plain(), "score": 0.5, "history": ROWS, "metrics": {}}
    (folder / RESULT).write_text(json.dumps(left))


def names(recorder):
    return [name if name != "told" else f"told {what}" for name, what in recorder.calls]


def test_over_a_trial(callback, recorder, told):
    shown, trial, folder = told()
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"rows": ROWS[:1]})
    callback.on_trial_result(0, [], shown, {"rows": []})
    leave_result(folder, trial)
    callback.on_trial_complete(0, [], shown)
    assert names(recorder) == ["begin", "log_rows", "told finished", "end"]
    assert recorder.calls[1] == ("log_rows", (trial.key, ROWS[:1]))
    assert shown.metric_analysis == shown.metric_n_steps == {}


def test_a_trial_that_goes_on_reports_its_rows_once(callback, recorder, told):
    shown, trial, folder = told(error=RuntimeError("worker lost"))
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"rows": ROWS[:1]})
    callback.on_trial_recover(0, [], shown)
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"rows": ROWS})
    leave_result(folder, trial)
    callback.on_trial_complete(0, [], shown)
    rows = [what[1] for name, what in recorder.calls if name == "log_rows"]
    assert rows == [ROWS[:1], ROWS[1:]]
    assert names(recorder).count("begin") == 1
    assert recorder.calls[-1][1][1].attempts == 2


def test_a_pruned_trial_is_on_disk_before_it_is_told(callback, recorder, told):
    shown, trial, folder = told()
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"rows": ROWS[:1]})
    (folder / "checkpoint.pt").write_bytes(b"no longer needed")
    recorder.pruned.add(trial.key)
    recorder.end = lambda outcome: recorder.calls.append(
        ("told", outcome.state if (folder / PRUNED).exists() else "too early")
    )
    callback.on_trial_complete(0, [], shown)
    assert ("told", "pruned") in recorder.calls
    assert [file.name for file in folder.iterdir()] == [PRUNED]
    assert read_outcome(folder).history == ROWS[:1]


def test_a_complete_trial_without_result_is_refused(callback, told):
    shown, _, _ = told()
    callback.on_trial_start(0, [], shown)
    with pytest.raises(RuntimeError, match=RESULT):
        callback.on_trial_complete(0, [], shown)


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("error", [ValueError("loss must be finite"), None])
@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_a_failed_trial(callback, recorder, told, started, error, phase):
    """Of a trial whose process never came up, Tune tells the end alone."""
    shown, trial, folder = told(phase, error)
    (folder / "checkpoint.pt").write_bytes(b"state")
    if started:
        callback.on_trial_start(0, [], shown)
    callback.on_trial_error(0, [], shown)
    said = str(error) if error else "the trial's process ended without an error"
    assert (folder / TRACEBACK).read_text() == said
    outcome = read_outcome(folder)
    assert (outcome.state, outcome.traceback, outcome.trial) == ("failed", said, trial)
    assert names(recorder) == ["begin", "told failed", "end"]
    # A failed confirmation is repeated when the study is continued, from its checkpoint.
    assert (folder / "checkpoint.pt").exists() == (phase == "confirm")


def test_a_failure_is_forgotten_when_the_trial_is_repeated(callback, told):
    shown, _, folder = told("confirm", ValueError("out of memory"))
    callback.on_trial_error(0, [], shown)
    again = TrackingCallback(Recorder(), Recorder(), Recorder(), StorageSync(Path(), None))
    again.on_trial_start(0, [], shown)
    assert not (folder / FAILED).exists()
    assert not (folder / TRACEBACK).exists()


def test_a_process_lost_after_the_result_was_written_has_finished(callback, recorder, told):
    shown, trial, folder = told(error=RuntimeError("worker lost"))
    callback.on_trial_start(0, [], shown)
    leave_result(folder, trial)
    callback.on_trial_error(0, [], shown)
    assert names(recorder) == ["begin", "told finished", "end"]
    assert not (folder / FAILED).exists()


@pytest.mark.parametrize("method", ["on_trial_recover", "on_trial_error"])
@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 28] No space left on device: 'checkpoint.pt'",
        "OSError: [Errno 122] Disk quota exceeded",
        "ray.exceptions.OutOfDiskError: Local disk is full",
    ],
)
def test_a_full_disk_stops_the_study_and_is_no_failure_of_the_trial(callback, told, method, text):
    shown, _, folder = told(error=RuntimeError(text))
    callback.on_trial_start(0, [], shown)
    callback.on_step_end(0, [])
    getattr(callback, method)(0, [], shown)
    with pytest.raises(StudyHaltedError, match="disk is full"):
        callback.on_step_end(0, [])
    assert read_outcome(folder) is None


@pytest.mark.parametrize("method", ["on_trial_recover", "on_trial_error"])
def test_a_storage_that_is_away_stops_the_study_and_is_no_failure_of_the_trial(
    recorder, told, tmp_path, method
):
    store = Store(str(tmp_path / "storage")).at("tiny")
    callback = TrackingCallback(recorder, recorder, recorder, StorageSync(tmp_path / "tiny", store))
    error = OSError(f"connection refused [{store.at('trials', 'search-x').shown}]")
    shown, _, folder = told("search", error)
    callback.on_trial_start(0, [], shown)
    getattr(callback, method)(0, [], shown)
    with pytest.raises(StudyHaltedError, match="the storage cannot be used: connection refused"):
        callback.on_step_end(0, [])
    assert read_outcome(folder) is None
    assert not list(folder.glob("fail*"))


@pytest.mark.parametrize(
    ("error", "steps", "more"),
    [
        ("ray.exceptions.ActorDiedError: the node died", [2, 4], 1),
        ("The actor 1f is unavailable: The actor is temporarily unavailable: RpcError", [2], 1),
        ("The actor died unexpectedly before finishing this task.", [], 1),
        ("FloatingPointError: loss must be finite", [2, 4], 0),
    ],
)
def test_a_lost_machine_takes_no_retry_where_the_trial_got_further(
    callback, told, error, steps, more
):
    shown, _, folder = told("search", RuntimeError(error))
    shown.max_failures = 2
    callback.on_trial_start(0, [], shown)
    callback.on_trial_result(0, [], shown, {"rows": [{"step": step} for step in steps]})
    callback.on_trial_recover(0, [], shown)
    assert shown.max_failures == 2 + more
    callback.on_trial_start(0, [], shown)
    callback.on_trial_recover(0, [], shown)
    assert shown.max_failures == 2 + more, "it got no further since"
    assert (folder / "failures.txt").read_text() == "2", "both are counted in the record"


def test_a_loss_that_tune_tells_twice_is_counted_once(callback, told):
    """Of the work and, the trial not started again, of the process; what follows is another."""
    shown, _, folder = told("search", RuntimeError("ray.exceptions.ActorDiedError: the node died"))
    shown.max_failures = 2
    callback.on_trial_start(0, [], shown)
    for counted, may_fail in (("1", 3), ("1", 4), ("2", 4)):
        callback.on_trial_recover(0, [], shown)
        assert (folder / "failures.txt").read_text() == counted
        assert shown.max_failures == may_fail


def test_what_a_trial_left_behind_is_released(recorder, told):
    released = []
    callback = TrackingCallback(
        recorder, recorder, recorder, StorageSync(Path(), None), release=released.append
    )
    shown, trial, folder = told("search", RuntimeError("worker lost"))
    shown.max_failures = 2
    callback.on_trial_start(0, [], shown)
    callback.on_trial_recover(0, [], shown)
    assert released == [str(folder)]
    recorder.pruned.add(trial.key)
    callback.on_trial_complete(0, [], shown)
    assert released == [str(folder)] * 2


def test_a_loss_that_tune_tells_twice_is_served_again(callback, recorder, told):
    """Its second word meets a trial that waits, which Tune takes for final."""
    text = "The actor 1f is unavailable: The actor is temporarily unavailable: RpcError"
    shown, trial, folder = told("search", RuntimeError(text))
    shown.max_failures, shown.run_metadata = 3, SimpleNamespace(num_failures=2)
    callback.on_trial_start(0, [], shown)
    callback.on_trial_error(0, [], shown)
    assert recorder.calls[-1] == ("requeued", trial)
    assert read_outcome(folder) is None
    shown.run_metadata.num_failures = 4
    callback.on_trial_error(0, [], shown)
    assert read_outcome(folder).state == "failed", "its retries are used up"


def test_the_next_attempt_of_a_profiled_trial_starts_when_the_last_has_failed(
    callback, told, monkeypatch
):
    """Tune hands it out as it was; its start would count from the first hand-out again."""
    monkeypatch.setattr("study.tune.trial_callback.time.time", lambda: 500.0)
    shown, _, _ = told("search", RuntimeError("worker lost"))
    shown.max_failures = 2
    for since, then in ((100.0, 500.0), (None, None)):
        shown.config["timed_since"] = since
        callback.on_trial_start(0, [], shown)
        callback.on_trial_recover(0, [], shown)
        assert shown.config["timed_since"] == then
