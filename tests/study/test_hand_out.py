"""Which trials keep their maps; what else is handed out is tested with the runner."""

import pytest
import ray

from study.arms import confirm_seeds, confirm_trial, plan_arms, search_trial
from study.hand_out import make_hand_out
from study.preflight import find_dataset, find_slots, read_data
from study.preparation import prepare


@pytest.fixture
def study(make_config, monkeypatch):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space="w1,label_frac=0.25/1", seeds=3, seed=4, cpus=0.5)
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, plan_arms(config), data)
    return config, make_hand_out(config, data, budgets, find_slots(config))


def test_the_first_confirmation_of_every_arm_keeps_its_maps(study):
    config, hand_out = study
    assert confirm_seeds(config) == (5, 6, 7)
    for arm in plan_arms(config):
        kept = [hand_out(confirm_trial(config, arm, s, {}))["keep_maps"] for s in (5, 6, 7)]
        assert kept == [True, False, False]


def test_no_search_trial_does(study):
    config, hand_out = study
    for arm in plan_arms(config):
        assert hand_out(search_trial(config, arm, 0, {}))["keep_maps"] is False
