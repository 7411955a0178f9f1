"""What Tune is given to run."""

from types import SimpleNamespace

import cloudpickle
import pytest
from ray.tune.search import Searcher

from study.tune.searcher import StudySearcher


class Trials:
    """Stands for the search, the trials and their tasks."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.num_running = 0
        self.happened: list[str] = []

    def next_trial(self):
        if not self.keys:
            return None
        self.num_running += 1
        return SimpleNamespace(key=self.keys.pop(0))

    def plan(self, trial):
        self.happened.append(f"plan {trial.key}")

    def build(self, trial):
        self.happened.append(f"task {trial.key}")
        return f"task of {trial.key}"


@pytest.fixture
def room():
    return [99]


def open_searcher(trials, room):
    machines = SimpleNamespace(room=lambda: room[0])
    return StudySearcher(trials, trials, trials, machines)


def test_no_more_trials_than_there_is_room_for(room):
    """Room may come and go; a study whose machines have all gone starts one, which waits."""
    trials = Trials("a", "b", "c", "d")
    searcher = open_searcher(trials, room)
    room[0] = 0
    assert searcher.suggest("1") == {"task": "task of a"}
    assert searcher.suggest("2") is None
    room[0] = 3
    assert searcher.suggest("2") == {"task": "task of b"}
    assert searcher.suggest("3") == {"task": "task of c"}
    assert searcher.suggest("4") is None
    trials.num_running -= 1
    assert searcher.suggest("4") == {"task": "task of d"}


def test_a_trial_is_on_record_before_its_task_is_made(room):
    trials = Trials("a")
    open_searcher(trials, room).suggest("1")
    assert trials.happened == ["plan a", "task a"]


def test_finished_only_when_nothing_runs(room):
    trials = Trials("a")
    searcher = open_searcher(trials, room)
    searcher.suggest("1")
    searcher.on_trial_complete("1", {"finished": True})
    assert searcher.suggest("2") is None, "Tune says so before the outcome is on disk"
    trials.num_running = 0
    assert searcher.suggest("2") == Searcher.FINISHED


def test_what_tune_pickles_holds_nothing(room):
    """A login would lie in a file, and a thread cannot be pickled."""
    searcher = open_searcher(Trials("secret"), room)
    assert b"secret" not in cloudpickle.dumps(searcher)
