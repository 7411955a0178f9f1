"""The configuration of a study: presets, refusals, and what a continued study may not change."""

import dataclasses
import pickle
import sys
import types

import pytest
import yaml

from contract.methods import METHODS, Method
from contract.parameters import Parameter
from study.settings.config import (
    SAMPLERS,
    StudyConfig,
    build_config,
    option_fields,
)
from study.settings.presets import PRESETS
from trainables.errors import ConfigError
from trainables.settings.config import training_fields

TAU = Parameter(name="tau", label="threshold", lowest=0, highest=1, low=0.5, high=1, default=0.9)


def error_of(**given: object) -> str:
    with pytest.raises(ConfigError) as caught:
        build_config(given)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_anything_it_is_the_demo():
    config = build_config({})
    assert (config.preset, config.name, config.data) == ("demo", "demo", None)
    assert config.training == PRESETS["demo"].training
    assert (config.trials, config.seeds) == (PRESETS["demo"].trials, PRESETS["demo"].seeds)
    assert [one.name for one in config.varied] == ["w1", "label_frac"]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_every_preset_is_a_configuration(preset, sampler):
    config = build_config({"preset": preset, "sampler": sampler})
    assert config.training == PRESETS[preset].training
    assert config.name == preset


def test_a_given_value_wins_over_the_preset():
    config = build_config({"preset": "smoke", "lr": 0.5, "trials": 7})
    assert config.training == dataclasses.replace(PRESETS["smoke"].training, lr=0.5)
    assert config.trials == 7
    assert config.seeds == PRESETS["smoke"].seeds


def test_none_is_not_given():
    assert build_config({"trials": None, "lr": None, "data": None}) == build_config({})


def test_steps_replace_the_epochs_of_a_preset():
    training = build_config({"preset": "paper", "steps": 500}).training
    assert (training.steps, training.epochs) == (500, None)
    training = build_config({"preset": "paper", "steps": 500, "epochs": 3}).training
    assert training.epochs == 3


@pytest.mark.parametrize(
    ("data", "name"),
    [("data/dubai", "demo-dubai"), ("x/within half.yaml", "demo-within-half"), ("/", "demo")],
)
def test_the_name_follows_the_data(data, name):
    assert build_config({"data": data}).name == name


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".hidden", "..", "-x", "a b", "a\n", "ä", "/a"]
)
def test_names_that_lead_elsewhere_are_refused(name):
    message = error_of(name=name)
    assert "--name must be" in message
    assert "--output" in message


def test_unknown_keys_are_refused_and_listed():
    message = error_of(lerning_rate=0.1, trials=2)
    assert "got lerning_rate" in message
    assert "lr" in message
    # Found: a YAML key that is no text ended in a TypeError.
    with pytest.raises(ConfigError, match="got 1, False"):
        build_config({1: 2, False: 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": "3"}, "trials must be of type int, got '3'"),
        ({"trials": 2.0}, "trials must be of type int, got 2.0"),
        ({"trials": True}, "trials must be of type int, got True"),
        ({"space": ["w1"]}, "space must be of type str"),
        ({"models": "urec"}, "models must be of type list"),
        ({"cpus": "1"}, "cpus must be of type int or float"),
        ({"preset": ["demo"]}, "preset must be of type str"),
        ({"name": 3}, "name must be of type str"),
        ({"lr": "fast"}, "lr must be"),
        ({"steps": 10.5}, "steps must be"),
        ({"augment": 1}, "augment must be"),
        ({"sampling": "all"}, "sampling must be one of random, grid"),
    ],
)
def test_wrong_types_are_refused(given, said):
    assert said in error_of(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"preset": "nope"}, "--preset must be one of smoke, demo"),
        ({"sampler": "cma"}, "--sampler must be one of tpe"),
        ({"pruner": "median"}, "--pruner must be one of none, asha"),
        (
            {"models": ["urec", "vnet"]},
            "--models must be one of urec, unet, fixmatch, fixmatch-urec, got 'vnet'",
        ),
        ({"models": []}, "--models must name different models"),
        ({"models": ["urec", "urec"]}, "--models must name different models"),
        ({"trials": 0}, "--trials must be at least 1, got 0"),
        ({"seeds": -1}, "--seeds must be at least 1"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"concurrent": 0}, "--concurrent must be at least 1"),
        ({"cpus": 0}, "--cpus must be a positive number"),
        ({"cpus": float("nan")}, "--cpus must be"),
        ({"gpus": -0.5}, "--gpus must be"),
        ({"gpus": float("inf")}, "--gpus must be"),
        ({"space": "w9"}, "--space must name parameters"),
        ({"compare": "w9=0/1"}, "--compare must name parameters"),
        (
            {"space": "w1", "compare": "w1=0/0.1"},
            "--compare must name other parameters than --space, got 'w1'",
        ),
        ({"compare": ["lr"]}, "compare must be of type str"),
        (
            {"models": ["unet"], "space": "w1"},
            "--space must name parameters that a method of the study has, got 'w1', which is none "
            "of U-Net; leave it out",
        ),
        (
            {"models": ["unet"], "compare": "reconstruct_on"},
            "--compare must name parameters that a method of the study has, got 'reconstruct_on'",
        ),
        (
            {"models": ["unet"], "space": "label_frac", "compare": "branch_norm"},
            "--compare must name parameters that a method of the study has, got 'branch_norm'",
        ),
        (
            {"space": "reconstruct_on,label_frac", "compare": "rec_mask=0/0.5"},
            "rec_mask must be 0 where reconstruct_on is annotated: patches that are segmented are "
            "never hidden, got 0.5",
        ),
        ({"compare": "rec_loss=l1/l3"}, "rec_loss must be l1 or l2 or charbonnier or l1_ssim or"),
        ({"method_parameters": {"tau": 1}}, "method_parameters must name parameters that only a"),
        ({"method_parameters": "tau"}, "method_parameters must be `key: value` lines"),
        (
            {"space": "lr,warmup_steps=0..500", "steps": 400},
            "warmup_steps must be in [0, steps), got 500 in --space lr=0.0001, --space "
            "warmup_steps=500; choose values that go together",
        ),
        (
            {
                "space": "label_frac",
                "compare": "patch_px=32/64",
                "patch_px": 64,
                "sampling": "grid",
            },
            "stride_px must be at most patch_px (32), or pixels lie in no patch, got 64 in "
            "--compare patch_px=32;",
        ),
        (
            {"space": "batch_size=2/8", "workers": 4},
            "--workers must be at most the 2 patches of the smallest batch",
        ),
        (
            {"batch_size": 1, "patch_px": 32},
            "patch_px must be more than 32 where a worker takes one patch in a step",
        ),
        (
            {"space": "label_frac", "compare": "patch_px=32/64", "batch_size": 7, "workers": 4},
            "the deepest stage would be one pixel, which batch normalisation refuses",
        ),
        ({"sampler": "grid", "space": "w1"}, "write --space w1="),
        ({"w1": 1.0}, "w1 must be in [0, 1)"),
        ({"steps": 2}, "must be"),
    ],
)
def test_values_that_break_their_rule_are_refused(given, said):
    assert said in error_of(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": -1}, "--workers must be a number, or a range such as 2..8 from 1 on, got -1"),
        ({"workers": "0..4"}, "--workers must be a number, or a range"),
        ({"workers": "4..2"}, "--workers must be a number, or a range"),
        ({"workers": "many"}, "--workers must be a number, or a range"),
        ({"workers": 2, "gpus": 0.5}, "--gpus must be 0 or 1 for several workers"),
        ({"workers": "1..2", "gpus": 2}, "--gpus must be 0 or 1 for several workers"),
        ({"address": "auto"}, "--storage must be given with --address"),
        ({"address": "ray://head:10001", "storage": "/x"}, "--address must be `auto` or HOST:PORT"),
        ({"storage": "s3://me:secret@bucket/x"}, "--storage must hold no credentials, got some;"),
    ],
)
def test_workers_and_clusters_that_cannot_be_are_refused(given, said):
    assert said in error_of(**given)


@pytest.mark.parametrize(
    ("workers", "found"),
    [(0, (0, 0)), (3, (3, 3)), ("3", (3, 3)), ("2..8", (2, 8)), (" 2 .. 2 ", (2, 2))],
)
def test_workers_are_a_number_or_a_range(workers, found):
    assert build_config({"workers": workers, "patch_px": 64}).worker_range == found


def test_plain_goes_through_yaml_and_back():
    config = build_config(
        {"preset": "paper", "models": ["unet"], "space": "lr=1e-05..0.1,label_frac", "gpus": 0.5,
         "name": "x", "data": "somewhere", "tracking_uri": "sqlite:///a.db", "seed": 4}
    )  # fmt: skip
    again = build_config(yaml.safe_load(yaml.safe_dump(config.to_plain())))
    assert again == dataclasses.replace(config, space=again.space)
    assert again.varied == config.varied
    assert again.to_plain() == config.to_plain()
    assert set(config.to_plain()) == {*option_fields(), *training_fields()} - {"look"}


def test_a_study_compares_the_methods_of_the_paper_where_nobody_says_others():
    """Other rows of the table of methods are compared where they are named."""
    assert build_config({}).models == ("urec", "unet")
    named = build_config({"models": ["fixmatch-urec", "fixmatch"], "space": "teacher_decay"})
    assert [one.label for one in named.methods] == ["FixMatch + U-REC", "FixMatch"]


def test_same_study_has_no_changes():
    config = build_config({"space": "w1, label_frac"})
    earlier = yaml.safe_load(yaml.safe_dump(config.to_plain()))
    assert build_config({"space": "w1,label_frac"}).changes(earlier) == []


def test_a_study_of_an_earlier_version_goes_on():
    """Its configuration names no field that came later, and what no method of it has."""
    config = build_config({"preset": "compact", "models": ["unet"]})
    added = {
        "compare", "weight_decay", "method_parameters", "seg_loss", "class_weights", "rec_loss",
        "rec_target", "rec_mask", "rec_patches", "w1_schedule", "branch_norm", "rec_decoder",
        "pseudo_threshold", "pseudo_weight", "teacher_decay",
    }  # fmt: skip
    earlier = {name: value for name, value in config.to_plain().items() if name not in added}
    assert config.changes(earlier) == []
    assert config.changes({**earlier, "space": f"w1=0.01..0.5,{earlier['space']}"}) == []
    assert (
        len(
            build_config({"preset": "compact", "models": ["unet"], "weight_decay": 0.1}).changes(
                earlier
            )
        )
        == 1
    )


def test_without_a_space_what_no_method_has_does_not_vary():
    assert build_config({"models": ["unet"]}).space == "label_frac"
    assert build_config({"models": ["unet", "urec"]}).space == "w1,label_frac"


def test_compared_parameters_make_variants():
    config = build_config({"space": "lr,reconstruct_on,label_frac", "compare": "w1=0.1/0"})
    assert [one.name for one in config.variants] == [
        "unet",
        "urec-all-w1-0", "urec-all-w1-0.1", "urec-annotated-w1-0", "urec-annotated-w1-0.1",
    ]  # fmt: skip
    assert [one.name for one in config.searched] == ["lr"]
    assert config.fractions == (0.01, 0.1, 1.0)
    plain = config.to_plain()
    assert plain["compare"] == "w1=0/0.1"
    assert build_config(plain).variants == config.variants


def test_a_name_with_a_colon_is_a_network_of_ones_own(monkeypatch):
    own = Method(name="mine", label="Mine", network="nets:mine")
    module = types.ModuleType("trainables.networks.own")
    module.find_method = {"nets:mine": own}.__getitem__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    config = build_config({"models": ["unet", "nets:mine"]})
    assert config.methods == (METHODS["unet"], own)
    assert config.to_plain()["models"] == ["unet", "nets:mine"]


def test_methods_of_one_study_have_different_names(monkeypatch):
    """Their arms, keys and folders would be one."""
    twin = dataclasses.replace(METHODS["unet"], network="nets:twin")
    clash = Method(name="clash", label="C", network="nets:clash", parameters=(TAU,))
    other = dataclasses.replace(
        clash, name="other", parameters=(dataclasses.replace(TAU, default=0.5),)
    )
    module = types.ModuleType("trainables.networks.own")
    module.find_method = {  # type: ignore[attr-defined]
        "nets:twin": twin, "nets:clash": clash, "nets:other": other,
    }.__getitem__  # fmt: skip
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert "--models must name different models" in error_of(models=["unet", "nets:twin"])
    assert "'tau' of other" in error_of(models=["nets:clash", "nets:other"])
    message = error_of(models=["nets:clash"], method_parameters={"tau": 7})
    assert message == "tau must be in [0, 1], got 7 in method_parameters"


def test_seeds_may_grow_and_a_run_may_end_at_a_look():
    """Whether they do is for `study.design.growth` to say, which knows the looks on record."""
    other = build_config({"seeds": "8,99", "look": 8})
    assert other.changes(build_config({}).to_plain()) == []


@pytest.mark.parametrize(
    ("seeds", "looks", "plain"),
    [
        (7, (7,), 7),
        ("7", (7,), 7),
        ("8,11,14", (8, 11, 14), [8, 11, 14]),
        (" 8, 14 ", (8, 14), [8, 14]),
        ([8, 11, 14], (8, 11, 14), [8, 11, 14]),
        ((8,), (8,), 8),
    ],
)
def test_seeds_are_a_number_or_planned_looks(seeds, looks, plain):
    config = build_config({"seeds": seeds})
    assert (config.planned_looks, config.seeds) == (looks, looks[-1])
    assert config.to_plain()["seeds"] == plain
    again = build_config(yaml.safe_load(yaml.safe_dump(config.to_plain())))
    assert (again.planned_looks, again.seeds) == (looks, looks[-1])


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (0, "--seeds must be at least 1"),
        ("many", "--seeds must be at least 1"),
        ("8,,14", "--seeds must be at least 1"),
        ("", "--seeds must be at least 1"),
        ([], "--seeds must be at least 1"),
        ([8, 1.5], "--seeds must be at least 1"),
        ("8,-14", "--seeds must be at least 1"),
        ([8, [14]], "--seeds must be at least 1"),
        ("14,8", "looks that have more and more as in 8,11,14, got '14,8'"),
        ([8, 8], "looks that have more and more as in 8,11,14, got '8,8'"),
        (7.5, "seeds must be of type int or str or list or tuple, got 7.5"),
        (True, "seeds must be of type int"),
    ],
)
def test_other_seeds_are_refused(seeds, said):
    assert said in error_of(seeds=seeds)


def test_a_run_reaches_the_look_that_it_is_to_end_at():
    config = build_config({"seeds": "8,11,14"})
    assert config.seeds_now == 14
    assert dataclasses.replace(config, look=11).seeds_now == 11
    assert "--look must be at least 1" in error_of(look=0)
    assert "look" not in dataclasses.replace(config, look=11).to_plain()


def test_changes_ignore_resources_and_where_it_is_recorded():
    config = build_config({})
    other = build_config(
        {"cpus": 2, "gpus": 0.5, "concurrent": 3, "tracking_uri": "sqlite:///b.db", "output": "o"}
    )
    assert other.changes(config.to_plain()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"space": "w1"}, "space: "),
        ({"compare": "augment=no/yes"}, "compare:  -> augment=no/yes"),
        ({"weight_decay": 0.01}, "weight_decay: 0.0 -> 0.01"),
        ({"rec_loss": "l2"}, "rec_loss: l1 -> l2"),
        ({"models": ["unet"]}, "models: ['urec', 'unet'] -> ['unet']"),
        ({"trials": 99}, "-> 99"),
        ({"seed": 5}, "seed: 0 -> 5"),
        ({"sampler": "random"}, "sampler: tpe -> random"),
        ({"width": 99}, "-> 99"),
        ({"select_by": "oa"}, "select_by: mean_f1 -> oa"),
    ],
)
def test_changes_name_what_would_change_the_answer(given, said):
    changes = build_config(given).changes(build_config({}).to_plain())
    assert len(changes) == 1
    assert said in changes[0]
    assert changes[0].startswith(f"{next(iter(given))}: ")


def test_every_training_field_changes_the_answer():
    config = build_config({})
    earlier = {**config.to_plain(), **dict.fromkeys(training_fields(), "other")}
    assert [text.split(":")[0] for text in config.changes(earlier)] == list(training_fields())


def test_it_is_frozen_and_checked_when_built():
    config = build_config({})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.trials = 5  # type: ignore[misc]
    with pytest.raises(ConfigError, match="--seeds"):
        dataclasses.replace(config, seeds=0)
    with pytest.raises(TypeError):
        StudyConfig()  # type: ignore[call-arg]


def test_login_of_the_tracking_uri_is_in_nothing_that_is_written():
    """It stood in study.yaml, in MLflow's parameters and in what Tune pickled."""
    config = build_config({"tracking_uri": "https://me:s3cret@host/a?token=t0ken"})
    assert config.tracking_uri.with_login == "https://me:s3cret@host/a?token=t0ken"
    plain = config.to_plain()
    assert plain["tracking_uri"] == "https://host/a"
    assert build_config(yaml.safe_load(yaml.safe_dump(plain))).tracking_uri == "https://host/a"
    for written in (
        repr(config),
        str(plain),
        repr(dataclasses.asdict(config)),
        repr(pickle.dumps(config)),
    ):
        assert "s3cret" not in written
        assert "t0ken" not in written
    assert (
        dataclasses.replace(config, seeds=2).tracking_uri.with_login
        == config.tracking_uri.with_login
    )


def test_another_login_is_no_other_study():
    before = build_config({"tracking_uri": "https://me:s3cret@host"})
    now = build_config({"tracking_uri": "https://you:other@host"})
    assert now.changes(before.to_plain()) == []


def test_a_tracking_uri_of_the_wrong_type_is_refused_without_its_login():
    with pytest.raises(ConfigError, match="tracking_uri must be of type str") as caught:
        build_config({"tracking_uri": ["https://me:s3cret@host"]})
    assert "s3cret" not in str(caught.value)


def test_what_is_compared_is_not_in_the_default_space_too():
    assert build_config({"compare": "w1=0/0.1"}).space == "label_frac"


def test_retries_of_another_type_are_one_line():
    assert "retries must be of type int" in error_of(retries="two")


def test_two_variants_of_one_label_are_refused(monkeypatch):
    rows = types.ModuleType("two_labels")
    rows.ONE = Method(name="one", label="Mine", network="unet")
    rows.TWO = Method(name="two", label="Mine", network="urec")
    monkeypatch.setitem(sys.modules, "two_labels", rows)
    message = error_of(models=["two_labels:ONE", "two_labels:TWO"], space="label_frac")
    assert "got 'Mine' twice" in message


@pytest.mark.parametrize(
    ("given", "held"),
    [("all", "all"), ("same", "same"), ("0.1", 0.1), (0.25, 0.25), (1, "all"), ("1.0", "all")],
)
def test_val_frac_is_all_same_or_a_fraction(make_config, given, held):
    config = make_config(val_frac=given)
    assert config.val_frac == held
    assert config.to_plain()["val_frac"] == held
    wanted = {"all": None, "same": 0.3}.get(held, held)
    assert config.val_fraction(0.3) == wanted


@pytest.mark.parametrize("given", ["none", "0", 0, -0.5, 1.5, "nan", True])
def test_other_val_fracs_are_refused(make_config, given):
    with pytest.raises(ConfigError, match=r"val.frac must be"):
        make_config(val_frac=given)


def test_new_parameters_are_compared_and_searched_like_any_other():
    config = build_config(
        {"space": "rec_mask,label_frac", "compare": "rec_loss=l1/l1_ssim,seg_loss=ce/focal"}
    )
    assert [one.name for one in config.variants] == [
        "unet-seg_loss-ce", "unet-seg_loss-focal",
        "urec-rec_loss-l1-seg_loss-ce", "urec-rec_loss-l1-seg_loss-focal",
        "urec-rec_loss-l1_ssim-seg_loss-ce", "urec-rec_loss-l1_ssim-seg_loss-focal",
    ]  # fmt: skip
    assert [one.domain for one in config.searched] == ["0/0.25/0.5/0.75"]


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({"per_hour": 1}, "cost must have minutes for some of per_px, .* got per_hour"),
        ({}, "cost must have minutes for some of per_px, .* got none"),
        ({"per_px": -1}, "per_px of cost must be minutes from 0, got -1"),
        ({"per_px": float("nan")}, "per_px of cost must be minutes from 0, got nan"),
        ({"per_px": True}, "per_px of cost must be minutes from 0, got True"),
        ({"per_px": "1"}, "per_px of cost must be minutes from 0, got '1'"),
        ({"per_px": 0}, "cost must be above 0 for something"),
        ("per_px", "cost must be of type dict"),
    ],
)
def test_prices_that_are_no_minutes_are_refused(make_config, cost, message):
    with pytest.raises(ConfigError, match=message):
        make_config(cost=cost)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_unit": "point"}, "--budget-unit must be tile or block with budget_lists"),
        ({"budget_unit": "block", "budget_lists": {0.1: "a"}}, "of blocks must be one CSV file"),
        ({"budget_stratified": True}, "must be left out with budget_lists"),
        ({"budget_order": "diverse"}, "must be left out with budget_lists"),
        ({"compare": "budget_order=random/diverse"}, "must be left out with budget_lists"),
        ({"budget_lists": {0.1: 3}}, "must be a CSV file, or `fraction: file` lines"),
        ({"budget_lists": 3}, "budget_lists must be of type str or dict"),
    ],
)
def test_what_would_choose_tiles_beside_their_lists_is_refused(make_config, options, message):
    with pytest.raises(ConfigError, match=message):
        make_config(**{"budget_lists": "lists.csv", "budget_unit": "tile", **options})


@pytest.mark.parametrize(("given", "meant"), [(10, "0.1"), ("25%", "0.25"), (2.5, "0.025")])
def test_percent_of_the_validation_labels_is_told_with_what_to_write(make_config, given, meant):
    with pytest.raises(ConfigError, match=rf"which is percent; write --val-frac {meant}$"):
        make_config(val_frac=given)
