"""What becomes of a trial by what is told of it: its folder first, then everybody else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from contract.names import RESULT, TRACEBACK
from study.design.arms import confirm_trial, plan_arms, search_trial
from study.errors import StudyHaltedError
from study.machines.storage_sync import StorageSync
from study.trials.listener import TrialListener
from study.trials.study_trials import StudyTrials
from trainables.storage.store import Store
from trainables.trial.folder.outcomes import (
    FAILED,
    FAILURES,
    PLAN,
    PRUNED,
    read_outcome,
    read_plan,
    write_failed,
)

ROWS = [{"step": 2, "train/loss": 1.5}, {"step": 4, "train/loss": 1.0}]
LOST = "ray.exceptions.ActorDiedError: the node died"
AWAY = "The actor 1f is unavailable: The actor is temporarily unavailable: RpcError"


class Recorder(TrialListener):
    """Notes what it is told, and what the trial's folder says meanwhile."""

    def __init__(self, trials_folder):
        self._folder = trials_folder
        self.told = []

    def on_plan(self, trial):
        self.told.append(f"plan {(self._folder / trial.key / PLAN).exists()}")

    def on_start(self, trial, *, is_first):
        self.told.append("begin" if is_first else "start")

    def on_step(self, trial, step, rows):
        self.told.append(("step", step, rows))

    def on_interrupt(self, trial):
        self.told.append("interrupt")

    def on_end(self, outcome, folder):
        on_disk = read_outcome(folder)
        self.told.append(outcome.state if on_disk == outcome else "too early")


class Machines:
    """Notes whose resources are freed."""

    def __init__(self):
        self.released = []

    def release(self, folder):
        self.released.append(folder.name)


@pytest.fixture
def machines():
    return Machines()


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "trials")


@pytest.fixture
def trials(tmp_path, recorder, machines):
    made = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None), machines)
    made.add_listeners(recorder)
    return made


@pytest.fixture
def make_trial(make_config):
    config = make_config(space="w1,label_frac=0.1")

    def make(phase="search"):
        return (search_trial if phase == "search" else confirm_trial)(
            config, plan_arms(config)[0], 1, {}
        )

    return make


@pytest.fixture
def trial(make_trial):
    return make_trial()


@pytest.fixture
def folder(tmp_path, trial):
    return tmp_path / "trials" / trial.key


def leave_result(folder, trial):
    left = {"trial": trial.to_plain(), "score": 0.5, "history": ROWS, "metrics": {}}
    (folder / RESULT).write_text(json.dumps(left))


def test_the_life_of_a_trial(trials, recorder, trial, folder):
    assert trials.state(trial.key) == "planned"
    trials.plan(trial)
    assert trials.state(trial.key) == "interrupted", "no process has it yet"
    trials.start(trial)
    assert trials.state(trial.key) == "running"
    trials.advance(trial.key, 2, ROWS[:1])
    trials.advance(trial.key, 3, [])
    leave_result(folder, trial)
    trials.stop(trial)
    assert trials.state(trial.key) == "finished"
    assert recorder.told == [
        "plan True", "begin", ("step", 2, ROWS[:1]), ("step", 3, []), "finished",
    ]  # fmt: skip
    assert read_plan(folder).trial == trial


def test_the_folder_alone_says_where_a_trial_stands(trials, trial, folder, tmp_path):
    trials.plan(trial)
    trials.start(trial)
    again = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None))
    assert again.state(trial.key) == "interrupted"
    assert again.recorded(trial.key).trial == trial
    (folder / PLAN).unlink()
    assert again.recorded(trial.key) is None
    leave_result(folder, trial)
    assert again.state(trial.key) == "finished"
    assert again.recorded(trial.key).trial == trial


def test_a_trial_of_other_values_does_not_go_on_from_the_checkpoint(trials, make_trial, tmp_path):
    trial = make_trial("confirm")
    trials.plan(trial)
    checkpoint = tmp_path / "trials" / trial.key / "checkpoint.pt"
    checkpoint.write_bytes(b"state")
    trials.plan(trial)
    assert checkpoint.exists()
    other = replace(trial, training=replace(trial.training, lr=0.5))
    trials.plan(other)
    assert not checkpoint.exists()
    assert trials.recorded(trial.key).trial == other


def test_a_trial_that_goes_on_reports_its_rows_once(trials, recorder, trial, folder):
    trials.plan(trial)
    trials.start(trial)
    trials.advance(trial.key, 2, ROWS[:1])
    trials.interrupt(trial, "RuntimeError: out of memory")
    trials.start(trial)
    trials.advance(trial.key, 4, ROWS)
    leave_result(folder, trial)
    trials.stop(trial)
    assert [one[2] for one in recorder.told if one[0] == "step"] == [ROWS[:1], ROWS[1:]]
    assert recorder.told.count("begin") == recorder.told.count("start") == 1
    assert trials.outcome(trial.key).attempts == 2


def test_a_pruned_trial_is_on_disk_before_it_is_told(trials, recorder, trial, folder, machines):
    trials.plan(trial)
    trials.start(trial)
    trials.advance(trial.key, 2, ROWS[:1])
    trials.note_validations(trial.key, {1: 0.25}, stopped_at=1)
    (folder / "checkpoint.pt").write_bytes(b"no longer needed")
    trials.stop(trial)
    assert recorder.told[-1] == "pruned"
    assert sorted(file.name for file in folder.iterdir()) == [PRUNED, PLAN]
    assert trials.outcome(trial.key).history == ROWS[:1]
    assert machines.released == [trial.key], "its process may have left workers behind"


def test_a_complete_trial_without_result_is_refused(trials, trial):
    trials.plan(trial)
    trials.start(trial)
    with pytest.raises(RuntimeError, match=RESULT):
        trials.stop(trial)


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_a_failed_trial(trials, recorder, make_trial, tmp_path, started, phase):
    """Tune tells only the end of a trial whose process never came up."""
    trial = make_trial(phase)
    folder = tmp_path / "trials" / trial.key
    trials.plan(trial)
    (folder / "checkpoint.pt").write_bytes(b"state")
    if started:
        trials.start(trial)
    trials.fail(trial, "loss must be finite", has_retries=False)
    assert (folder / TRACEBACK).read_text() == "loss must be finite"
    outcome = read_outcome(folder)
    assert (outcome.state, outcome.traceback) == ("failed", "loss must be finite")
    assert outcome.trial == trial
    assert recorder.told == ["plan True", "begin", "failed"]
    # A failed confirmation is repeated when the study is continued, from its checkpoint.
    assert (folder / "checkpoint.pt").exists() == (phase == "confirm")


def test_a_failure_is_forgotten_when_the_trial_is_repeated(trials, make_trial, tmp_path):
    trial = make_trial("confirm")
    trials.plan(trial)
    trials.fail(trial, "out of memory", has_retries=False)
    again = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None))
    again.plan(trial)
    folder = tmp_path / "trials" / trial.key
    assert [file.name for file in folder.iterdir()] == [PLAN]


def test_a_process_lost_after_the_result_was_written_has_finished(trials, recorder, trial, folder):
    trials.plan(trial)
    trials.start(trial)
    leave_result(folder, trial)
    trials.fail(trial, "worker lost", has_retries=False)
    assert recorder.told[-1] == "finished"
    assert not (folder / FAILED).exists()


def interrupt(trials, trial, error):
    trials.interrupt(trial, error)


def fail(trials, trial, error):
    trials.fail(trial, error, has_retries=False)


@pytest.mark.parametrize("end", [interrupt, fail])
@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 28] No space left on device: 'checkpoint.pt'",
        "OSError: [Errno 122] Disk quota exceeded",
        "ray.exceptions.OutOfDiskError: Local disk is full",
    ],
)
def test_a_full_disk_stops_the_study_and_is_no_failure_of_the_trial(trials, trial, end, text):
    trials.plan(trial)
    trials.start(trial)
    trials.check()
    end(trials, trial, text)
    with pytest.raises(StudyHaltedError, match="disk is full"):
        trials.check()
    assert trials.outcome(trial.key) is None


@pytest.mark.parametrize("end", [interrupt, fail])
def test_a_storage_that_is_away_stops_the_study_and_is_no_failure_of_the_trial(
    trial, tmp_path, end
):
    store = Store(str(tmp_path / "storage")).at("tiny")
    trials = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, store))
    trials.plan(trial)
    assert store.read(f"trials/{trial.key}/{PLAN}"), "before the trial runs"
    trials.start(trial)
    end(trials, trial, f"connection refused [{store.at('trials', trial.key).shown}]")
    with pytest.raises(StudyHaltedError, match="the storage cannot be used: connection refused"):
        trials.check()
    assert [file.name for file in (tmp_path / "trials" / trial.key).iterdir()] == [PLAN]


@pytest.mark.parametrize(
    ("error", "steps", "is_free"),
    [
        (LOST, [2, 4], True),
        (AWAY, [2], True),
        ("The actor died unexpectedly before finishing this task.", [], True),
        ("FloatingPointError: loss must be finite", [2, 4], False),
    ],
)
def test_a_lost_machine_takes_no_retry_where_the_trial_got_further(
    trials, trial, folder, error, steps, is_free
):
    trials.plan(trial)
    trials.start(trial)
    for step in steps:
        trials.advance(trial.key, step, [{"step": step}])
    assert trials.interrupt(trial, error) == is_free
    trials.start(trial)
    assert not trials.interrupt(trial, error), "it got no further since"
    assert (folder / FAILURES).read_text() == "2", "both are counted in the record"


def test_a_process_that_never_came_up_is_begun_by_the_next(trials, recorder, trial):
    trials.plan(trial)
    assert trials.interrupt(trial, LOST)
    trials.start(trial)
    assert recorder.told == ["plan True", "begin"]


def test_a_loss_that_is_told_twice_is_counted_once(trials, trial, folder):
    """It is told of the work and of the process; what follows is another loss."""
    trials.plan(trial)
    trials.start(trial)
    for counted, is_free in (("1", True), ("1", True), ("2", False)):
        assert trials.interrupt(trial, LOST) == is_free
        assert (folder / FAILURES).read_text() == counted


def test_a_loss_told_twice_of_a_process_that_never_came_up_was_counted_twice(trials, trial, folder):
    trials.plan(trial)
    trials.interrupt(trial, LOST)
    trials.fail(trial, LOST, has_retries=True)
    assert (folder / FAILURES).read_text() == "1"


def test_a_pruned_trial_whose_earlier_result_was_damaged_was_a_traceback(trials, trial, folder):
    """The storage still held what had been set aside here."""
    trials.plan(trial)
    trials.start(trial)
    trials.note_validations(trial.key, {1: 0.25}, stopped_at=1)
    (folder / RESULT).write_bytes(b"x")
    trials.stop(trial)
    assert trials.state(trial.key) == "pruned"


def test_a_loss_that_is_told_twice_is_served_again(trials, recorder, trial, machines):
    trials.plan(trial)
    trials.start(trial)
    trials.fail(trial, AWAY, has_retries=True)
    assert recorder.told[-1] == "interrupt"
    assert trials.state(trial.key) == "interrupted"
    trials.plan(trial)
    trials.start(trial)
    assert recorder.told[-1] == "start", "its run in MLflow has begun"
    trials.fail(trial, AWAY, has_retries=False)
    assert trials.state(trial.key) == "failed", "its retries are used up"
    assert machines.released == [trial.key] * 2


def test_damaged_records_are_set_aside_by_name(trials, make_trial, tmp_path):
    for phase in ("search", "confirm"):
        trials.plan(make_trial(phase))
        trials.start(make_trial(phase))
    whole, damaged = make_trial("search"), make_trial("confirm")
    leave_result(tmp_path / "trials" / whole.key, whole)
    write_failed(tmp_path / "trials" / damaged.key, damaged, ROWS, "out of memory")
    assert trials.set_damaged_aside() == []
    for name, content in ((FAILED, b""), (PLAN, b"{}"), (FAILURES, b"\xff")):
        (tmp_path / "trials" / damaged.key / name).write_bytes(content)
    notes = trials.set_damaged_aside()
    assert [Path(note.split()[0]).name for note in notes] == [FAILURES, PLAN, FAILED]
    assert all(damaged.key in note and ".damaged" in note for note in notes)
    assert trials.set_damaged_aside() == []
    assert trials.outcome(damaged.key) is None
    assert trials.outcome(whole.key).state == "finished"


def test_a_trial_that_is_given_up_has_ended_for_everybody_before_it_began(
    trials, recorder, trial, folder
):
    outcome = trials.give_up(trial)
    assert (outcome.state, outcome.trial, outcome.history) == ("pruned", trial, [])
    assert recorder.told == ["begin", "pruned"]
    assert trials.state(trial.key) == "pruned"
    assert sorted(path.name for path in folder.iterdir()) == [PRUNED, PLAN]


def test_a_trial_that_is_given_up_is_so_in_the_storage_too(tmp_path, trial):
    store = Store(str(tmp_path / "store"))
    StudyTrials(tmp_path / "here" / "trials", StorageSync(tmp_path / "here", store)).give_up(trial)
    assert {f"trials/{trial.key}/{PLAN}", f"trials/{trial.key}/{PRUNED}"} <= set(store.names())


def test_a_record_that_says_what_cannot_be_is_set_aside_with_its_checkpoints(tmp_path, trial):
    """It came back from the storage otherwise, at the next start."""
    here, store = tmp_path / "here", Store(str(tmp_path / "store"))
    trials = StudyTrials(here / "trials", StorageSync(here, store))
    trials.plan(trial)
    folder = here / "trials" / trial.key
    (folder / "checkpoint.pt").write_bytes(b"of these values")
    kept = trials.set_record_aside(trial.key)
    assert kept == folder / f"{PLAN}.damaged"
    assert [path.name for path in folder.iterdir()] == [kept.name]
    assert f"trials/{trial.key}/{PLAN}" not in store.names()
    assert trials.recorded(trial.key) is None
