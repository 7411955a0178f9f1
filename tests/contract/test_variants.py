"""Variants: names, labels, and which are compared."""

import json

import pytest

from contract.methods import COMPARED_BY_DEFAULT, METHODS, Method
from contract.space import parse_compare, parse_space
from contract.variants import Variant, effect_between, make_variants, variant_pairs

BOTH = tuple(METHODS[name] for name in COMPARED_BY_DEFAULT)
OTHER = Method(name="other", label="Other", network="other")


def test_methods_alone_baselines_first():
    unet, urec = make_variants(BOTH, ())
    assert (unet.name, unet.label, unet.is_baseline, unet.levels) == ("unet", "U-Net", True, {})
    assert (urec.name, urec.label, urec.is_baseline) == ("urec", "U-REC", False)


def test_what_is_reconstructed_as_it_was_named_before():
    unet, everything, annotated = make_variants(BOTH, parse_space("reconstruct_on"))
    assert unet.name == "unet"
    assert [(one.name, one.label, one.short_label) for one in (everything, annotated)] == [
        ("urec-all", "U-REC (all pixels)", "U-REC (all)"),
        ("urec-annotated", "U-REC (annotated pixels)", "U-REC (annotated)"),
    ]


def test_levels_of_what_a_method_has():
    found = make_variants(BOTH, parse_compare("w1=0/0.1,augment=no/yes"))
    assert [one.name for one in found] == [
        "unet-augment-no", "unet-augment-yes",
        "urec-w1-0-augment-no", "urec-w1-0-augment-yes",
        "urec-w1-0.1-augment-no", "urec-w1-0.1-augment-yes",
    ]  # fmt: skip
    assert found[2].label == found[2].short_label == "U-REC, w1 0, augment no"
    assert found[2].levels == {"w1": 0.0, "augment": False}


def test_plain_goes_through_json_and_back():
    for one in make_variants(BOTH, parse_compare("w1=0/0.1")):
        assert Variant.from_plain(json.loads(json.dumps(one.to_plain()))) == one
    with pytest.raises(TypeError):
        Variant.from_plain({"name": "x", "colour": "red"})


@pytest.mark.parametrize(
    ("methods", "compared", "pairs"),
    [
        (BOTH, "", {("urec", "unet")}),
        ((BOTH[0],), "w1=0/0.1", {("urec-w1-0.1", "urec-w1-0")}),
        (
            BOTH, "w1=0/0.1",
            {("urec-w1-0", "unet"), ("urec-w1-0.1", "unet"), ("urec-w1-0.1", "urec-w1-0")},
        ),
        (
            BOTH, "augment=no/yes",
            {
                ("urec-augment-no", "unet-augment-no"), ("urec-augment-yes", "unet-augment-yes"),
                ("urec-augment-no", "urec-augment-yes"), ("unet-augment-no", "unet-augment-yes"),
            },
        ),
        ((*BOTH, OTHER), "", {("urec", "unet"), ("other", "unet"), ("urec", "other")}),
    ],
)  # fmt: skip
def test_pairs_differ_in_one_thing(methods, compared, pairs):
    found = variant_pairs(make_variants(methods, parse_compare(compared)))
    assert len(found) == len(set(found))
    assert set(found) == pairs


def pairs_of(compared, **usual):
    return variant_pairs(make_variants(BOTH, parse_compare(compared), usual))


def test_the_control_was_the_pair_in_front_and_the_method_its_reference():
    """Levels ascend, so that 0 came first: U-REC without reconstruction minus U-Net led."""
    assert pairs_of("w1=0/0.1", w1=0.1) == (
        ("urec-w1-0.1", "unet"), ("urec-w1-0.1", "urec-w1-0"), ("urec-w1-0", "unet"),
    )  # fmt: skip


def test_the_variant_that_changes_least_of_the_study_leads():
    pairs = pairs_of("w1=0/0.02/0.1/0.5", w1=0.1)
    assert pairs[:3] == (("urec-w1-0.1", "unet"), ("urec-w1-0.02", "unet"), ("urec-w1-0.5", "unet"))
    assert pairs[3:6] == tuple((f"urec-w1-{w1}", "urec-w1-0") for w1 in ("0.1", "0.02", "0.5"))
    assert pairs[6] == ("urec-w1-0", "unet")
    assert pairs_of("rec_loss=gradient/l1/l2", rec_loss="l2")[0] == ("urec-rec_loss-l2", "unet")


def test_an_effect_is_a_difference_in_nothing_else():
    found = {one.name: one for one in make_variants(BOTH, parse_compare("w1=0/0.1,rec_loss=l1/l2"))}
    with_l2, control = found["urec-w1-0.1-rec_loss-l2"], found["urec-w1-0-rec_loss-l2"]
    assert with_l2.controls == {"reconstruction": "urec-w1-0-rec_loss-l2"}
    assert effect_between(with_l2, control) == "reconstruction"
    assert effect_between(control, with_l2) == ""
    assert effect_between(with_l2, found["urec-w1-0-rec_loss-l1"]) == ""
    assert (with_l2.is_control, control.is_control, control.controls) == (False, True, {})


def test_levels_without_0_have_no_control():
    for one in make_variants(BOTH, parse_compare("w1=0.1/0.5")):
        assert one.controls == {}
        assert not one.is_control


def test_a_variant_of_an_earlier_record_has_no_control():
    plain = make_variants(BOTH, parse_compare("w1=0/0.1"))[1].to_plain()
    for name in ("controls", "is_control", "num_changed"):
        del plain[name]
    assert Variant.from_plain(plain).controls == {}
