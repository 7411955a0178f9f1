"""The searches of all arms together."""

from pathlib import Path

import pytest

from study.design.arms import confirm_seeds, plan_arms
from study.machines.storage_sync import StorageSync
from study.search.arm_search import ArmSearch
from study.search.optuna_database import OptunaDatabase
from study.search.study_search import StudySearch
from study.settings.config import StudyConfig, build_config
from study.trials.study_trials import StudyTrials
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome


def study(**given: object) -> StudyConfig:
    given = {"space": "w1,label_frac=1", "w1": 0.1, **given}
    return build_config({"name": "s", "trials": 4, "seeds": 2, **given})


@pytest.fixture
def open_search(tmp_path):
    def make(config: StudyConfig) -> StudySearch:
        trials = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None))
        database = OptunaDatabase(tmp_path / "optuna.db")
        return StudySearch([ArmSearch(config, a, database, trials) for a in plan_arms(config)])

    return make


def ended(trial: TrialConfig, score: float | None) -> Outcome:
    """Finished with a score, or failed without one."""
    state = "failed" if score is None else "finished"
    return Outcome(state=state, trial=trial, score=score, history=[], record={})


def end(search: StudySearch, trial: TrialConfig, score: float | None) -> None:
    search.on_end(ended(trial, score), Path())


@pytest.mark.parametrize("phase", ["search", "confirm"])
def test_a_lost_trial_is_served_again_with_its_values(open_search, phase):
    search = open_search(study(models=["urec"], trials=1, seeds=1))
    lost = search.next_trial()
    if phase == "confirm":
        end(search, lost, 0.5)
        lost = search.next_trial()
    left = search.num_left
    search.on_interrupt(lost)
    assert (search.num_left, search.num_running) == (left, 0)
    assert search.next_trial() == lost
    assert search.next_trial() is None
    end(search, lost, 0.5)
    assert (search.num_left == 0) == (phase == "confirm")


def test_nothing_is_left_when_every_trial_has_ended(open_search):
    config = study(models=["unet"], space="label_frac=1")
    search = open_search(config)
    confirm = [search.next_trial() for _ in range(2)]
    assert [trial.key for trial in confirm] == [
        f"confirm-unet-f1.00-s{seed}" for seed in confirm_seeds(config)
    ]
    assert search.next_trial() is None, "the others still run"
    end(search, confirm[0], 0.5)
    assert (search.num_left, search.num_running) == (1, 1)
    end(search, confirm[1], None)
    assert (search.num_left, search.num_running) == (0, 0)


def test_no_arm_waits_for_another(open_search):
    search = open_search(study(space="w1,label_frac=1", trials=1))
    assert search.next_trial().key == "search-urec-f1.00-t000"
    assert search.next_trial().key == "confirm-unet-f1.00-s1"


def test_all_arms_reach_a_look_before_any_goes_beyond_it(tmp_path):
    """An arm that was served to its end first left the look incomplete until the last hours."""
    config = study(models=["unet"], space="label_frac=0.5/1", seeds="1,3")
    trials = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None))
    database = OptunaDatabase(tmp_path / "optuna.db")
    arms = [ArmSearch(config, arm, database, trials) for arm in plan_arms(config)]
    search = StudySearch(arms, look_seeds=(1, 3))
    served = []
    while (trial := search.next_trial()) is not None:
        served.append((trial.seed, trial.label_frac))
    assert served == [(1, 0.5), (1, 1.0), (2, 0.5), (3, 0.5), (2, 1.0), (3, 1.0)]
    assert search.num_left == 6


def test_no_slot_idles_before_a_look(tmp_path):
    """Where the others' trials of a look cannot run yet, later ones do."""
    config = study(space="w1,label_frac=1", trials=1, seeds="1,2")
    trials = StudyTrials(tmp_path / "trials", StorageSync(tmp_path, None))
    database = OptunaDatabase(tmp_path / "optuna.db")
    arms = [ArmSearch(config, arm, database, trials) for arm in plan_arms(config)]
    search = StudySearch(arms, look_seeds=(1, 2))
    assert search.next_trial().phase == "search"
    assert [search.next_trial().key for _ in range(2)] == [
        "confirm-unet-f1.00-s1", "confirm-unet-f1.00-s2",
    ]  # fmt: skip
