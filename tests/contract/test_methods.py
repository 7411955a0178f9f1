"""What can be compared."""

import dataclasses
import re

import pytest

from contract.methods import BUILT_FROM, COMPARED_BY_DEFAULT, METHODS, WITH_ENCODER, Method
from contract.parameters import PARAMETERS, Parameter
from trainables.networks import build

TAU = Parameter(name="tau", label="threshold", lowest=0, highest=1, low=0.5, high=1, default=0.9)


def test_rows():
    assert list(METHODS) == [method.name for method in METHODS.values()]
    assert sum(method.is_baseline for method in METHODS.values()) == 1
    networks = getattr(build, "NETWORKS", None) or build.MODELS
    assert {method.network for method in METHODS.values()} <= set(networks)


def test_what_a_method_has():
    of_reconstruction = {
        "w1", "reconstruct_on", "rec_loss", "rec_target", "rec_mask", "rec_patches",
        "w1_schedule", "branch_norm", "rec_decoder",
    }  # fmt: skip
    of_labels = {"pseudo_threshold", "pseudo_weight", "teacher_decay"}
    lacking = {
        name: {one.name for one in PARAMETERS.values() if not method.has(one)}
        for name, method in METHODS.items()
    }
    of_encoders = {"encoder_weights", "encoder_lr"}
    assert lacking == {
        "urec": of_encoders | of_labels,
        "unet": of_encoders | of_labels | of_reconstruction,
        "fixmatch": of_encoders | of_reconstruction,
        "fixmatch-urec": of_encoders,
    }
    assert [name for name, one in METHODS.items() if one.reconstructs] == ["urec", "fixmatch-urec"]
    assert [name for name, one in METHODS.items() if one.labels] == ["fixmatch", "fixmatch-urec"]


def test_a_study_compares_what_the_paper_does_unless_told_otherwise():
    """Another row made every study of before a larger one."""
    assert COMPARED_BY_DEFAULT == ("urec", "unet")


@pytest.mark.parametrize("name", METHODS)
def test_names_can_stand_in_folders_and_arms(name):
    assert re.fullmatch(r"[a-z0-9_-]+", name)


@pytest.mark.parametrize("name", [n for n, one in METHODS.items() if one.network in WITH_ENCODER])
def test_what_a_method_with_an_encoder_has(name):
    """What it has without but for batch statistics of the branches, which encoders may not have."""
    base = METHODS[name]
    other = dataclasses.replace(base, name="own", network=WITH_ENCODER[base.network], encoder="a/b")
    had, has = ({p.name for p in PARAMETERS.values() if one.has(p)} for one in (base, other))
    assert has - had == {"encoder_weights", "encoder_lr"}
    assert had - has == {"branch_norm"} & had


def test_what_a_network_is_built_from_is_no_other_networks():
    """A network of one's own would be compared with itself."""
    own = Method(name="own", label="Own", network="nets:own", unannotated="reconstruction")
    lacking = {one.name for one in PARAMETERS.values() if not own.has(one)}
    assert lacking == {
        "branch_norm", "rec_decoder", "pseudo_threshold", "pseudo_weight", "teacher_decay",
        "encoder_weights", "encoder_lr",
    }  # fmt: skip
    alone = Method(name="alone", label="Alone", network="urec")
    assert not alone.has(PARAMETERS["branch_norm"])


def test_a_parameter_of_its_own_is_no_other_methods():
    """It was searched for U-Net too, which does nothing with it."""
    own = Method(name="own", label="Own", network="own", parameters=(TAU,))
    assert own.has(TAU)
    assert not METHODS["unet"].has(TAU)
    assert not own.has(PARAMETERS["w1"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "lr"}, "must have a name of its own, got 'lr'"),
        ({"default": None}, "default of tau must be in [0, 1], got None"),
        ({"default": 2.0}, "default of tau must be in [0, 1], got 2.0 in own"),
    ],
)
def test_parameters_that_no_trial_could_be_given_are_refused(changed, said):
    with pytest.raises(ValueError, match="must") as caught:
        Method(name="own", label="Own", network="own",
               parameters=(dataclasses.replace(TAU, **changed),))  # fmt: skip
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["variant", "seed", "classes", "test_s"])
def test_a_parameter_cannot_take_the_place_of_a_column_of_trials(name):
    with pytest.raises(ValueError, match=f"must have a name of its own, got '{name}'"):
        Method(name="own", label="Own", network="own",
               parameters=(dataclasses.replace(TAU, name=name),))  # fmt: skip


def test_what_networks_are_built_from_are_rows_that_say_so():
    named = {name for rows in BUILT_FROM.values() for name in rows}
    assert named == {one.name for one in PARAMETERS.values() if one.of_network}
    assert set(BUILT_FROM) <= {*build.NETWORKS, *build.ENCODER_NETWORKS}


def test_encoders_are_those_of_networks_that_are_there():
    assert set(WITH_ENCODER) <= set(build.NETWORKS)
    assert set(WITH_ENCODER.values()) == set(build.ENCODER_NETWORKS)
