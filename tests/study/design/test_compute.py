"""Equal compute: every trial spends one budget, whatever its settings take."""

import pytest

from contract.methods import METHODS
from study.design.arms import confirm_trial, plan_arms, search_trial
from study.design.compute import flop_of_step
from study.design.manifest import compute_manifest
from study.design.preflight import find_dataset, read_data
from study.design.preparation import (
    compute_lines,
    prepare,
    refuse_changes,
    resolve_compute,
)
from study.settings.config import build_config
from trainables.errors import ConfigError

STEPS = 60


@pytest.fixture
def make(make_config):
    """A study and its data."""

    def made(**options):
        config = make_config(**{"space": "label_frac=0.5/1", "steps": STEPS, "warmup_steps": 10,
                                "seeds": 1, **options})  # fmt: skip
        return config, read_data(config, find_dataset(config))

    return made


def spent(trial):
    return trial.training.steps * flop_of_step(trial, 3, 3)


def bands_and_classes(data):
    return {"num_bands": len(data.spec.bands), "num_classes": len(data.spec.classes)}


def test_steps_are_equal_by_default_and_nothing_is_counted(make):
    config, data = make()
    assert resolve_compute(config, data) is config
    assert compute_manifest(config) is None
    assert compute_lines(config) == []
    assert {confirm_trial(config, arm, 1, {}).training.steps for arm in plan_arms(config)} == {60}


@pytest.mark.parametrize(
    "options",
    [
        {"compare": "w1=0/0.1"},
        {"compare": "rec_patches=1/3"},
        {"compare": "width=2/4"},
        {"models": list(METHODS)},
    ],
)
def test_every_trial_spends_what_the_costliest_takes_in_the_steps_of_the_study(make, options):
    config, data = make(equal="compute", **options)
    config = resolve_compute(config, data)
    trials = [confirm_trial(config, arm, 1, {}) for arm in plan_arms(config)]
    sizes = bands_and_classes(data)
    costs = [flop_of_step(trial, **sizes) for trial in trials]
    assert config.compute.flop == STEPS * max(costs)
    for trial, cost in zip(trials, costs, strict=True):
        assert abs(trial.training.steps * cost - config.compute.flop) <= cost / 2
        assert (trial.training.steps == STEPS) == (cost == max(costs))
        assert len(set(trial.training.validation_steps())) == config.training.num_validations
        assert trial.training.validation_steps()[-1] == trial.training.steps
        assert trial.training.warmup_steps == 10 * trial.training.steps // STEPS
    assert max(trial.training.steps for trial in trials) > STEPS


def test_a_trial_of_another_size_gets_steps_of_the_same_sum(make):
    config, data = make(equal="compute", space="width=2..4,label_frac=1", models=["unet"])
    config = resolve_compute(config, data)
    (arm,) = plan_arms(config)
    sizes = bands_and_classes(data)
    small, large = (search_trial(config, arm, 0, {"width": width}) for width in (2, 4))
    assert large.training.steps == STEPS, "the study's own width is 4"
    for trial in (small, large):
        cost = flop_of_step(trial, **sizes)
        assert abs(trial.training.steps * cost - config.compute.flop) <= cost / 2
    assert small.training.steps > 2 * STEPS


def test_a_warm_up_that_is_searched_is_in_steps(make):
    """Else the values that a search reads back would be others than it had suggested."""
    config, data = make(equal="compute", space="warmup_steps=0..20,label_frac=1")
    config = resolve_compute(config, data)
    for arm in plan_arms(config):
        assert search_trial(config, arm, 0, {"warmup_steps": 7}).training.warmup_steps == 7


def test_a_size_that_leaves_too_few_steps_is_refused_in_one_line(make):
    config, data = make(equal="compute", space="width=4..32,label_frac=1", num_validations=30)
    with pytest.raises(ConfigError, match="--equal compute must leave every trial steps") as raised:
        resolve_compute(config, data)
    assert "width 32" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_record_says_what_was_equal_and_a_continued_study_keeps_it(make):
    config, data = make(equal="compute", compare="w1=0/0.1")
    config = resolve_compute(config, data)
    recorded = compute_manifest(config)
    assert [one["name"] for one in recorded["variants"]] == ["urec-w1-0", "urec-w1-0.1", "unet"]
    assert [one["steps"] for one in recorded["variants"]][:2] == [STEPS, STEPS]
    unet = recorded["variants"][2]
    assert unet["steps"] > STEPS
    assert abs(unet["steps"] * unet["flop_per_step"] - recorded["flop"]) <= unet["flop_per_step"]
    lines = compute_lines(config)
    assert lines[0].startswith("every trial spends ")
    assert lines[3] == f"  U-Net: {unet['steps']} steps of {unet['flop_per_step'] / 1e6:.3g} MFLOP"

    prepare(config, data)
    prepare(config, data)
    steps, _ = make(compare="w1=0/0.1")
    with pytest.raises(ConfigError, match="equal: compute -> steps"):
        prepare(steps, data)


def test_steps_that_another_version_counts_otherwise_are_refused(make):
    config, data = make(equal="compute")
    config = resolve_compute(config, data)
    prepare(config, data)
    earlier = {
        "config": config.to_plain(),
        "dataset": {"checksums": {}},
        "compute": compute_manifest(config) | {"flop": 1},
    }
    with pytest.raises(ConfigError, match=r"compute: .*'flop': 1"):
        refuse_changes(config, data, earlier)


def test_only_two_things_can_be_equal():
    with pytest.raises(ConfigError, match="--equal must be one of steps, compute, got 'epochs'"):
        build_config({"name": "s", "equal": "epochs"})


def test_an_earlier_study_had_equal_steps():
    config = build_config({"name": "s"})
    plain = {name: value for name, value in config.to_plain().items() if name != "equal"}
    assert config.changes(plain) == []
    compute = build_config({"name": "s", "equal": "compute"})
    assert compute.changes(plain) == ["equal: steps -> compute"]
