"""What a search tries, for every kind of parameter."""

import itertools

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from study.design.arms import Arm, plan_arms
from study.search.samplers import ArmSampler, distributions, tried_first
from study.settings.config import StudyConfig, build_config


def study(**given: object) -> StudyConfig:
    return build_config({"name": "s", "trials": 6, "seeds": 2, **given})


def search(config: StudyConfig, arm: Arm, score=lambda values: 0.5) -> list[dict[str, object]]:
    """The values of all search trials, each told its score before the next is suggested."""
    asked = optuna.create_study(direction="maximize")
    space, first = distributions(arm), tried_first(config, arm)
    for number in range(arm.num_search):
        if number < len(first):
            asked.enqueue_trial(first[number])
        asked.sampler = ArmSampler(config, arm, number)
        trial = asked.ask(space)
        asked.tell(trial, score(trial.params))
    assert all(one.state == TrialState.COMPLETE for one in asked.trials)
    return [one.params for one in asked.trials]


EVERY_KIND = "w1,lr,batch_size=4..32,warmup_steps=0..20,ema_decay,augment,patch_px,label_frac=1"


def test_every_kind_has_its_distribution():
    urec, unet = plan_arms(study(space=EVERY_KIND))
    assert distributions(urec) == {
        "w1": FloatDistribution(0.01, 0.95, log=True),
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
        "batch_size": IntDistribution(4, 32, log=True),
        "warmup_steps": IntDistribution(0, 20),
        "ema_decay": FloatDistribution(0.0, 0.99),
        "augment": CategoricalDistribution((False, True)),
        "patch_px": CategoricalDistribution((64, 96, 128, 256)),
    }
    assert list(distributions(unet)) == list(distributions(urec))[1:]


def test_the_papers_setting_comes_first_then_the_presets():
    config = study(space=EVERY_KIND, preset="compact")
    urec, unet = plan_arms(config)
    paper = {"w1": 0.1, "lr": 1e-4, "batch_size": 14, "warmup_steps": 0, "ema_decay": 0.0,
             "augment": False, "patch_px": 256}  # fmt: skip
    preset = {"w1": 0.1, "lr": 5e-3, "batch_size": 8, "warmup_steps": 20, "ema_decay": 0.99,
              "augment": True, "patch_px": 96}  # fmt: skip
    assert tried_first(config, urec) == [paper, preset]
    for values in (paper, preset):
        del values["w1"]
    assert tried_first(config, unet) == [paper, preset]


def test_what_lies_outside_moves_to_the_nearest_end_or_level():
    config = study(space="width=8..16,patch_px=64/96,augment=yes,label_frac=1", preset="paper")
    (values,) = tried_first(config, plan_arms(config)[0])
    assert values == {"width": 16, "patch_px": 96, "augment": True}


@pytest.mark.parametrize("preset", ["demo", "paper"])
def test_for_w1_and_lr_it_is_what_it_was(preset):
    """The preset's w1 is the paper's in all presets: a second trial of it alone would repeat."""
    config = study(space="w1=0.01..0.5,label_frac=1", preset=preset)
    assert tried_first(config, plan_arms(config)[0]) == [{"w1": 0.1}]
    config = study(space="w1=0.01..0.5,label_frac=1", w1=0.3)
    assert tried_first(config, plan_arms(config)[0]) == [{"w1": 0.1}, {"w1": 0.3}]
    config = study(space="w1,lr,label_frac=1", preset="paper", w1=0.3)
    assert tried_first(config, plan_arms(config)[0]) == [{"w1": 0.1, "lr": 1e-4}]


DRAWN = [
    (0.07433805898010483, 0.00012299761947845864),
    (0.2232057784101257, 0.0005740691768340519),
]


def test_values_for_w1_and_lr_are_what_they_were():
    """Drawn by the code before other kinds of parameters could be searched."""
    config = study(space="w1=0.01..0.5,lr=0.0001..0.01,label_frac=1", sampler="random", trials=4)
    drawn = search(config, plan_arms(config)[0])
    assert drawn[0] == {"w1": 0.1, "lr": 1e-4}
    assert [(one["w1"], one["lr"]) for one in drawn[2:]] == DRAWN


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp"])
def test_every_sampler_suggests_every_kind_within_its_domain(sampler):
    config = study(space=EVERY_KIND, sampler=sampler, trials=4)
    for arm in plan_arms(config)[: 1 if sampler == "gp" else 2]:  # it takes seconds a suggestion
        tried = search(config, arm, lambda values: values["batch_size"] / 32)
        assert len(tried) == 4
        for values in tried:
            for one in arm.searched:
                assert one.parameter.holds(values[one.name])
                assert one.levels is None or values[one.name] in one.levels
                assert one.levels is not None or one.low <= values[one.name] <= one.high
        assert all(isinstance(values["batch_size"], int) for values in tried)
        assert len({values["batch_size"] for values in tried}) > 1
        assert all(one != two for one, two in itertools.combinations(tried, 2))


def test_methods_draw_the_same_shared_values_at_each_position():
    config = study(space=EVERY_KIND, sampler="random")
    urec, unet = (search(config, arm) for arm in plan_arms(config))
    for one in urec:
        del one["w1"]
    assert urec == unet


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_a_seed_suggests_the_same_twice_and_another_seed_does_not(sampler):
    config, other = (study(space=EVERY_KIND, sampler=sampler, seed=seed) for seed in (0, 1))
    tried = search(config, plan_arms(config)[0])
    assert tried == search(config, plan_arms(config)[0])
    if sampler != "qmc":  # Optuna's sequence is not scrambled: only choices are drawn by seed
        assert tried != search(other, plan_arms(other)[0])


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_no_integer_is_tried_twice_while_another_is_untried(sampler):
    """As for levels: the same training, bit for bit."""
    config = study(space="warmup_steps=3..8,label_frac=1", sampler=sampler, models=["unet"])
    tried = search(config, plan_arms(config)[0], lambda values: float(values["warmup_steps"] == 8))
    assert sorted(one["warmup_steps"] for one in tried) == [3, 4, 5, 6, 7, 8]


def test_levels_of_two_parameters_meet_in_every_combination():
    """In step, of four combinations two were tried, however many trials there were."""
    config = study(space="w1,augment,patch_px=64/128,label_frac=1", sampler="random", trials=20)
    tried = search(config, plan_arms(config)[0])
    assert len({(one["augment"], one["patch_px"]) for one in tried}) == 4


def test_more_trials_than_integers_repeat_some():
    config = study(space="warmup_steps=3..4,label_frac=1", sampler="random", trials=3)
    tried = search(config, plan_arms(config)[0])
    assert {one["warmup_steps"] for one in tried} == {3, 4}


def test_a_grid_of_every_kind_is_tried_whole():
    config = study(space="augment,patch_px=64/128,w1=0/0.1,label_frac=1", sampler="grid")
    arm = plan_arms(config)[0]
    tried = tried_first(config, arm)
    assert len(tried) == arm.num_search == 8
    assert all(one != two for one, two in itertools.combinations(tried, 2))
    assert tried[0] == {"augment": False, "patch_px": 128, "w1": 0.1}
