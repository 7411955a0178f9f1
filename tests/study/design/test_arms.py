"""Arms, their trials, trial keys and paired seeds."""

import pytest

from study.design.arms import (
    confirm_seeds,
    confirm_trial,
    longest_first,
    num_trials,
    plan_arms,
    search_trial,
)
from study.settings.config import StudyConfig, build_config


def study(**given: object) -> StudyConfig:
    return build_config({"name": "s", "trials": 4, "seeds": 3, **given})


def test_every_model_at_every_fraction():
    arms = plan_arms(study(space="w1,label_frac=1/0.1"))
    assert [arm.name for arm in arms] == ["urec-f0.10", "unet-f0.10", "urec-f1.00", "unet-f1.00"]


def test_without_label_frac_all_is_annotated():
    assert [arm.name for arm in plan_arms(study(space="w1"))] == ["urec-f1.00", "unet-f1.00"]


def test_what_is_searched_is_what_the_model_has():
    urec, unet = plan_arms(study(space="w1,lr,label_frac=1"))
    assert [one.name for one in urec.searched] == ["w1", "lr"]
    assert [one.name for one in unet.searched] == ["lr"]
    assert urec.num_search == unet.num_search == 4


def test_an_arm_with_nothing_to_search_gets_one_trial():
    urec, unet = plan_arms(study(space="w1,label_frac=1"))
    assert (urec.num_search, unet.num_search) == (4, 1)
    assert unet.searched == ()
    assert [arm.num_search for arm in plan_arms(study(space="label_frac=1"))] == [1, 1]


def test_a_grid_is_tried_whole_and_once():
    urec, unet = plan_arms(study(space="w1=0/0.1/0.2,lr=0.001/0.01,label_frac=1", sampler="grid"))
    assert (urec.num_search, unet.num_search) == (6, 2)


def test_number_of_trials():
    config = study(space="w1,label_frac=0.1/1")
    assert num_trials(config, plan_arms(config)) == 2 * (4 + 3) + 2 * (1 + 3)


def test_keys_and_content_of_trials():
    config = study(space="w1,label_frac=0.1", seed=7)
    arm = plan_arms(config)[0]
    search = search_trial(config, arm, 3, {"w1": 0.25})
    assert search.key == "search-urec-f0.10-t003"
    assert (search.phase, search.model, search.label_frac) == ("search", "urec", 0.1)
    assert search.seed == 7
    assert search.training.w1 == 0.25
    confirm = confirm_trial(config, arm, 2, {"w1": 0.25})
    assert confirm.key == "confirm-urec-f0.10-s2"
    assert (confirm.phase, confirm.seed, confirm.training) == ("confirm", 2, search.training)


def test_keys_are_unique():
    config = study(space="w1,label_frac=0.005/0.01/0.1/1")
    keys = [
        trial.key
        for arm in plan_arms(config)
        for trial in (
            *(search_trial(config, arm, number, {}) for number in range(arm.num_search)),
            *(confirm_trial(config, arm, seed, {}) for seed in confirm_seeds(config)),
        )
    ]
    assert len(set(keys)) == len(keys) == num_trials(config, plan_arms(config))


@pytest.mark.parametrize("seed", [0, 1, 41])
def test_confirmation_has_fresh_seeds(seed):
    seeds = confirm_seeds(study(seed=seed))
    assert len(set(seeds)) == 3
    assert seed not in seeds


def test_seeds_are_paired_and_work_is_equal():
    config = study(space="w1,label_frac=0.1/1")
    arms = plan_arms(config)
    for seed in confirm_seeds(config):
        trials = [confirm_trial(config, arm, seed, {}) for arm in arms]
        assert {trial.seed for trial in trials} == {seed}
        assert len({(trial.training.steps, trial.training.batch_size) for trial in trials}) == 1


def test_arms_whose_trials_take_longest_come_first():
    config = build_config({"space": "label_frac=0.1/1,reconstruct_on=annotated/all"})
    names = [arm.name for arm in longest_first(plan_arms(config))]
    assert names == [
        "urec-all-f0.10", "urec-all-f1.00",
        "urec-annotated-f0.10", "urec-annotated-f1.00",
        "unet-f0.10", "unet-f1.00",
    ]  # fmt: skip
