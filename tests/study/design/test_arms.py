"""Arms, their trials, trial keys and paired seeds."""

import sys
import types

import pytest

from contract.methods import Method
from contract.parameters import Parameter
from study.design.arms import (
    confirm_seeds,
    confirm_trial,
    longest_first,
    num_trials,
    plan_arms,
    search_seeds,
    search_trial,
    simplest_setting,
)
from study.settings.checks import SEARCH_SEEDS_APART
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


def test_an_arm_with_nothing_to_search_is_confirmed_at_once():
    urec, unet = plan_arms(study(space="w1,label_frac=1"))
    assert (urec.num_search, unet.num_search) == (4, 0)
    assert unet.searched == ()
    assert [arm.num_search for arm in plan_arms(study(space="label_frac=1"))] == [0, 0]


def test_a_grid_is_tried_whole_and_once():
    urec, unet = plan_arms(study(space="w1=0/0.1/0.2,lr=0.001/0.01,label_frac=1", sampler="grid"))
    assert (urec.num_search, unet.num_search) == (6, 2)


def test_number_of_trials():
    config = study(space="w1,label_frac=0.1/1")
    assert num_trials(config, plan_arms(config)) == 2 * (4 + 3) + 2 * 3


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


@pytest.mark.parametrize("seed", [0, 41])
def test_no_seed_of_the_search_is_ever_one_of_confirmation(seed):
    """Seeds of confirmation may be added, and the choice must stay independent of all of them."""
    config = study(space="w1,label_frac=1", seed=seed, search_seeds=3, seeds=SEARCH_SEEDS_APART)
    searched = search_seeds(config)
    assert searched[0] == seed
    assert len(set(searched)) == 3
    assert not set(searched) & set(confirm_seeds(config))


def test_every_suggestion_is_trained_with_every_seed_where_there_is_something_to_search():
    config = study(space="w1,label_frac=1", search_seeds=2)
    urec, unet = plan_arms(config)
    assert (urec.num_search, urec.num_search_trials, unet.num_search_trials) == (4, 8, 0)
    assert num_trials(config, (urec, unet)) == 8 + 3 + 3
    trials = [search_trial(config, urec, 2, {"w1": 0.2}, seed) for seed in urec.search_seeds]
    assert [trial.key for trial in trials] == [
        "search-urec-f1.00-t002-s0",
        "search-urec-f1.00-t002-s1000001",
    ]
    assert [trial.seed for trial in trials] == [0, 1_000_001]
    assert trials[0].training == trials[1].training
    assert search_trial(config, unet, 0, {}).key == "search-unet-f1.00-t000"
    assert search_seeds(study(space="label_frac=1", search_seeds=2)) == (0,)


def test_the_simplest_setting_is_the_published_one_and_else_the_presets():
    config = study(space="w1,lr,ema_decay,label_frac=1", w1=0.3, lr=0.01, ema_decay=0.9)
    assert simplest_setting(config) == {"w1": 0.1, "lr": 1e-4, "ema_decay": 0.9}


def test_seeds_are_paired_and_work_is_equal():
    config = study(space="w1,label_frac=0.1/1")
    arms = plan_arms(config)
    for seed in confirm_seeds(config):
        trials = [confirm_trial(config, arm, seed, {}) for arm in arms]
        assert {trial.seed for trial in trials} == {seed}
        assert len({(trial.training.steps, trial.training.batch_size) for trial in trials}) == 1


def test_arms_whose_trials_take_longest_come_first():
    config = build_config({"space": "label_frac=0.1/1,reconstruct_on=annotated/all"})
    names = [arm.name for arm in longest_first(config, plan_arms(config))]
    assert names == [
        "urec-all-f0.10", "urec-all-f1.00",
        "urec-annotated-f0.10", "urec-annotated-f1.00",
        "unet-f0.10", "unet-f1.00",
    ]  # fmt: skip


def test_what_is_compared_makes_arms_of_its_own():
    arms = plan_arms(study(space="lr,label_frac=0.1", compare="w1=0/0.1"))
    assert [arm.name for arm in arms] == ["urec-w1-0-f0.10", "urec-w1-0.1-f0.10", "unet-f0.10"]
    assert [arm.method.label for arm in arms] == ["U-REC", "U-REC", "U-Net"]
    assert [[one.name for one in arm.searched] for arm in arms] == [["lr"]] * 3
    trial = confirm_trial(study(), arms[0], 1, {"lr": 0.5})
    assert (trial.variant, trial.training.w1, trial.training.lr) == ("urec-w1-0", 0.0, 0.5)
    assert (trial.model, trial.network, trial.unannotated) == ("urec", "urec", "reconstruction")


def test_a_compared_patch_side_leaves_the_annotation_budget_alone():
    config = study(space="label_frac=0.1", compare="patch_px=32/128", sampling="random")
    sides = {confirm_trial(config, arm, 1, {}).training.patch_px for arm in plan_arms(config)}
    assert sides == {32, 128}
    assert config.unit.size_px == config.training.patch_px == 64


def test_larger_levels_take_longer():
    config = study(space="label_frac=0.1", compare="width=8/32", models=["unet", "urec"])
    assert [arm.variant.name for arm in longest_first(config, plan_arms(config))] == [
        "urec-width-32", "unet-width-32", "urec-width-8", "unet-width-8",
    ]  # fmt: skip


TAU = Parameter(name="tau", label="threshold", lowest=0, highest=1, low=0.5, high=1, default=0.9)
OWN = Method(name="own", label="Own", network="nets:own", unannotated="nothing", parameters=(TAU,))


@pytest.fixture
def own(monkeypatch) -> str:
    """A network of one's own, as `--models` names it, with a parameter that only it has."""
    module = types.ModuleType("trainables.networks.own")
    module.find_method = {"nets:own": OWN}.__getitem__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return "nets:own"


def test_a_parameter_that_only_one_method_has(own):
    config = study(space="tau,label_frac=1", models=[own, "unet"], method_parameters={"tau": 0.6})
    mine, unet = plan_arms(config)
    assert (mine.name, unet.name) == ("own-f1.00", "unet-f1.00")
    assert ([one.name for one in mine.searched], unet.searched) == (["tau"], ())
    assert confirm_trial(config, mine, 1, {}).training.method_parameters == {"tau": 0.6}
    tried = search_trial(config, mine, 0, {"tau": 0.75})
    assert tried.training.method_parameters == {"tau": 0.75}
    assert (tried.model, tried.network) == ("own", "nets:own")
    assert confirm_trial(config, unet, 1, {}).training.method_parameters == {}
    default = study(space="lr,label_frac=1", models=[own])
    trial = confirm_trial(default, plan_arms(default)[0], 1, {})
    assert trial.training.method_parameters == {"tau": 0.9}
