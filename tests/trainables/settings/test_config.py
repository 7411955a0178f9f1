import json
from dataclasses import FrozenInstanceError, fields, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.errors import ConfigError
from trainables.settings.config import (
    TrainingConfig,
    TrialConfig,
    network_parameters,
    training_fields,
)

TRIAL = {
    "key": "confirm-urec-f0.10-s2",
    "phase": "confirm",
    "model": "urec",
    "label_frac": 0.1,
    "seed": 2,
    "training": TrainingConfig(),
}


def test_defaults_are_the_settings_of_the_paper():
    training = TrainingConfig()
    assert (training.patch_px, training.stride_px, training.batch_size) == (256, 64, 14)
    assert (training.lr, training.w1, training.width) == (1e-4, 0.1, 32)
    assert (training.epochs, training.infer_step_px) == (100, 128)
    assert (training.augment, training.schedule, training.ema_decay) == (False, "constant", 0.0)


def test_training_fields_are_all_fields_in_their_order():
    assert training_fields() == tuple(field.name for field in fields(TrainingConfig))
    assert training_fields()[0] == "width"


@pytest.mark.parametrize("config", [TrainingConfig(), TrialConfig(**TRIAL)])
def test_configurations_are_frozen(config):
    with pytest.raises(FrozenInstanceError):
        config.lr = 1.0


def test_an_unknown_field_is_refused():
    with pytest.raises(TypeError, match="learning_rate"):
        TrainingConfig(learning_rate=1e-3)


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        ("sampling", ("random", "grid")),
        ("schedule", ("constant", "cosine")),
        ("reconstruct_on", ("all", "annotated")),
        ("select_by", ("mean_f1", "miou", "oa")),
        ("precision", ("fp32", "bf16")),
    ],
)
def test_choices_are_taken_and_others_refused_with_the_list(field, choices):
    for choice in choices:
        assert getattr(TrainingConfig(**{field: choice}), field) == choice
    for wrong in ("", choices[0].upper(), None, True, 0, [choices[0]]):
        with pytest.raises(ConfigError, match=f"{field} must be one of {', '.join(choices)}, got"):
            TrainingConfig(**{field: wrong})


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("steps", True, "int"),
        ("steps", 100.0, "int"),
        ("steps", "100", "int"),
        ("batch_size", None, "int"),
        ("width", [8], "int"),
        ("epochs", 1.5, "int or NoneType"),
        ("epochs", False, "int or NoneType"),
        ("epochs", "all", "int or NoneType"),
        ("lr", "1e-4", "float"),  # YAML 1.1 reads 1e-4 as text
        ("lr", True, "float"),
        ("w1", None, "float"),
        ("w1", False, "float"),
        ("augment", 1, "bool"),
        ("augment", "yes", "bool"),
    ],
)
def test_a_value_of_another_type_as_yaml_may_bring_it_is_refused(field, value, kind):
    with pytest.raises(ConfigError, match=f"^{field} must be of type {kind}, got"):
        TrainingConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("width", (0, -1), (1,)),
        ("downsample", (0,), (1, 4)),
        ("patch_px", (0, 31), (64, 65)),
        ("stride_px", (0,), (1,)),
        ("batch_size", (0,), (1,)),
        ("epochs", (0,), (1, None)),
        ("lr", (0, -1e-4, 1.01, float("nan"), float("inf")), (1, 1e-9)),
        ("weight_decay", (-0.1, 1, float("nan")), (0, 0.999)),
        ("w1", (-0.1, 1, 1.0, float("nan")), (0, 0.0, 0.999)),
        ("ema_decay", (-0.1, 1.0, float("nan")), (0, 0.999)),
        ("warmup_steps", (-1, 104_700), (0, 104_699)),
        ("plateau_tolerance", (-0.01, float("nan")), (0, 0.5)),
        ("num_validations", (0, 104_701), (1, 104_700)),
        ("infer_step_px", (0, 257), (1, 256)),
        ("infer_window_px", (0, 127), (128,)),
        ("steps", (0, -5), (100,)),
    ],
)
def test_bounds(field, wrong, right):
    for value in wrong:
        with pytest.raises(ConfigError, match=r"^\w+ must be .*, got"):
            TrainingConfig(**{field: value})
    for value in right:
        assert getattr(TrainingConfig(**{field: value}), field) == value


def test_a_bound_is_checked_again_when_another_field_is_replaced():
    training = TrainingConfig(steps=100, num_validations=10, warmup_steps=50)
    with pytest.raises(ConfigError, match=r"warmup_steps must be in \[0, steps\), got 50"):
        replace(training, steps=50)


def test_validation_steps_by_hand():
    steps = TrainingConfig(steps=10, num_validations=3).validation_steps()
    assert steps == (3, 6, 10)
    assert TrainingConfig(steps=3, num_validations=3).validation_steps() == (1, 2, 3)
    assert TrainingConfig(steps=7, num_validations=1).validation_steps() == (7,)


@given(st.integers(1, 5000), st.data())
@settings(max_examples=50, deadline=None)
def test_validation_steps_ascend_evenly_to_the_last_step(steps, data):
    num = data.draw(st.integers(1, steps))
    validations = TrainingConfig(steps=steps, num_validations=num).validation_steps()
    gaps = [b - a for a, b in pairwise((0, *validations))]
    assert len(validations) == num
    assert validations[-1] == steps
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


def test_round_trip_through_json():
    training = TrainingConfig(
        width=8, epochs=None, augment=True, w1=0.3, lr=3e-3, schedule="cosine", precision="bf16"
    )
    trial = TrialConfig(**{**TRIAL, "training": training, "label_frac": 0.1 + 0.2})
    assert TrialConfig.from_plain(json.loads(json.dumps(trial.to_plain()))) == trial


def test_plain_data_with_an_unknown_or_a_missing_field_is_refused():
    plain = TrialConfig(**TRIAL).to_plain()
    with pytest.raises(TypeError, match="momentum"):
        TrialConfig.from_plain({**plain, "training": {**plain["training"], "momentum": 0.9}})
    del plain["seed"]
    with pytest.raises(TypeError, match="seed"):
        TrialConfig.from_plain(plain)


@pytest.mark.parametrize(
    ("field", "wrong", "rule"),
    [
        (
            "model",
            "segnet",
            "one of urec, unet, fixmatch, fixmatch-urec where network is not given",
        ),
        ("model", None, "of type str"),
        ("phase", "test", "one of search, confirm"),
        ("label_frac", 0, r"in \(0, 1\]"),
        ("label_frac", 1.0001, r"in \(0, 1\]"),
        ("label_frac", float("nan"), r"in \(0, 1\]"),
        ("label_frac", "0.1", "of type float"),
        ("label_frac", True, "of type float"),
        ("seed", -1, "at least 0"),
        ("seed", 1.0, "of type int"),
        ("seed", True, "of type int"),
        ("key", 7, "of type str"),
        ("training", {"width": 8}, "of type TrainingConfig"),
    ],
)
def test_a_wrong_field_of_a_trial_is_refused(field, wrong, rule):
    with pytest.raises(ConfigError, match=f"^{field} must be {rule}, got"):
        TrialConfig(**{**TRIAL, field: wrong})


def test_a_trial_knows_its_network_and_what_it_does_with_unannotated_pixels():
    known = TrialConfig(**TRIAL)
    assert (known.network, known.unannotated) == ("urec", "reconstruction")
    own = {**TRIAL, "model": "mine", "network": "mynets:UNetPP", "unannotated": "nothing"}
    trial = TrialConfig(**own)
    assert (trial.network, trial.unannotated) == ("mynets:UNetPP", "nothing")
    assert TrialConfig.from_plain(json.loads(json.dumps(trial.to_plain()))) == trial
    with pytest.raises(
        ConfigError,
        match="model must be one of urec, unet, fixmatch, fixmatch-urec where unannotated is",
    ):
        TrialConfig(**{**own, "unannotated": ""})


@pytest.mark.parametrize("wrong", [None, [("depth", 3)], "depth=3"])
def test_parameters_of_a_method_are_values_by_name(wrong):
    assert TrainingConfig(method_parameters={"depth": 3}).method_parameters == {"depth": 3}
    with pytest.raises(ConfigError, match="method_parameters must be `key: value` lines, got"):
        TrainingConfig(method_parameters=wrong)


def test_full_annotation_and_seed_0_are_valid():
    trial = TrialConfig(**{**TRIAL, "label_frac": 1, "seed": 0})
    assert (trial.label_frac, trial.seed) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rec_mask": 0.5}, "rec_mask must be 0 where reconstruct_on is annotated"),
        ({"rec_patches": 2}, "rec_patches must be 1 where reconstruct_on is annotated"),
    ],
)
def test_what_needs_patches_from_anywhere_is_refused_without_them(fields, said):
    TrainingConfig(**fields)
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(reconstruct_on="annotated", **fields)


def test_what_a_network_is_built_from():
    training = TrainingConfig(branch_norm="separate", method_parameters={"depth": 2})
    assert network_parameters("urec", training) == {
        "branch_norm": "separate", "rec_decoder": "shared", "depth": 2,
    }  # fmt: skip
    assert network_parameters("unet", training) == {"depth": 2}
