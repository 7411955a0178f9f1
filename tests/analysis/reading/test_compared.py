import pytest

from analysis.reading.compared import (
    StudyDataError,
    StudyParameter,
    known_parameter,
    recorded_methods,
    recorded_parameters,
    recorded_variants,
    tried_variants,
)
from analysis.reading.schema import parse_study
from contract.methods import METHODS, Method
from contract.variants import make_variants


def labels(document: dict[str, object]) -> list[str]:
    methods = recorded_methods(document, "s")
    return [one.label for one in recorded_variants(document, methods, "s")]


def older(models: list[str], space: str) -> dict[str, object]:
    return {"config": {"models": models, "space": space}}


def test_the_record_is_taken_as_it_is() -> None:
    made = Method(name="swin", label="Swin", network="a.b:c", unannotated="magic", is_baseline=True)
    entry = {"name": "swin", "label": "Swin", "network": "a.b:c", "unannotated": "magic",
             "is_baseline": True}  # fmt: skip
    document = {
        "methods": [entry],
        "variants": [one.to_plain() for one in make_variants([made], ())],
        "config": {"models": ["unet"], "space": "w1"},
    }
    assert recorded_methods(document, "s") == (made,)
    assert recorded_variants(document, (made,), "s") == make_variants([made], ())


def test_an_older_record_has_the_variants_of_its_space_baselines_first() -> None:
    assert labels(older(["urec", "unet"], "w1,label_frac=0.1")) == ["U-Net", "U-REC"]
    assert labels(older(["urec", "unet"], "reconstruct_on=annotated/all")) == [
        "U-Net", "U-REC (all pixels)", "U-REC (annotated pixels)",
    ]  # fmt: skip
    assert labels(older(["segnet", "unet"], "w1")) == ["U-Net", "segnet"]
    assert labels({"config": {"models": ["unet"]}}) == labels({}) == []


def test_what_only_trials_name_follows_and_nothing_is_left_out() -> None:
    tried = [("urec-annotated", "urec"), ("b", "segnet"), ("unet", "unet"), ("a", "segnet")]
    assert [one.label for one in tried_variants(tried)] == [
        "U-Net", "U-REC (annotated pixels)", "a", "b",
    ]  # fmt: skip
    known = tried_variants([("b", "segnet")])
    found = tried_variants([("unet-x", "unet"), *tried], known)
    assert [one.name for one in found] == ["b", "unet", "unet-x", "urec-annotated", "a"]
    assert [one.is_baseline for one in found] == [False, True, True, False, False]


def test_trials_of_another_method_than_their_variants_are_refused() -> None:
    with pytest.raises(StudyDataError, match="of variant unet, 'unet', got 'urec' in its trials"):
        tried_variants([("unet", "urec")])


def test_parameters_of_the_record_keep_its_order_and_leave_out_the_axis() -> None:
    entries = [
        {"name": "depth", "kind": "integer", "role": "searched", "domain": "2..9",
         "methods": ["swin"], "log": True},
        {"name": "label_frac", "role": "compared", "domain": "0.1/1"},
        {"name": "act", "label": "activation", "kind": "choice", "role": "compared",
         "domain": "relu/elu", "unannotated": None, "methods": ["swin", "unet"]},
    ]  # fmt: skip
    depth, act = recorded_parameters({"parameters": entries}, "s")
    assert (depth.label, depth.kind, depth.log, depth.methods) == (
        "depth", "integer", True, ("swin",),
    )  # fmt: skip
    assert (act.role, act.domain, act.is_number) == ("compared", "relu/elu", False)
    assert not depth.is_of("unet", METHODS)


def test_parameters_of_an_older_record_come_from_its_space() -> None:
    found = recorded_parameters(older(["urec"], "mine=a/b,lr=0.1,reconstruct_on,w1"), "s")
    assert [(one.name, one.role, one.kind, one.log) for one in found] == [
        ("w1", "searched", "float", True), ("lr", "searched", "float", True),
        ("reconstruct_on", "compared", "choice", False), ("mine", "searched", "choice", False),
    ]  # fmt: skip
    assert {one.role for one in recorded_parameters({}, "s")} == {"unrecorded"}


def test_a_parameter_counts_where_the_method_has_it_or_nobody_knows_the_method() -> None:
    w1 = known_parameter("w1")
    assert [w1.is_of(name, METHODS) for name in ("urec", "unet", "segnet")] == [True, False, True]
    assert known_parameter("lr").is_of("unet", METHODS)


def test_values_are_numbers_or_words() -> None:
    assert known_parameter("batch_size").read("16") == 16.0
    assert known_parameter("augment").read("True") == "yes"
    assert known_parameter("reconstruct_on").read("all") == "all"
    for name, text in (("lr", "fast"), ("augment", "maybe")):
        with pytest.raises(ValueError, match=f"{name} must be .*{text}"):
            known_parameter(name).read(text)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"methods": [{"label": "x"}]}, "methods must have a name each, got .* of study s"),
        ({"variants": [{"name": "x"}]}, "variants must have the fields of a variant, got"),
        ({"parameters": ["w1"]}, "parameters must have a name each"),
        ({"parameters": [{"name": "x", "kind": "word"}]}, "kind of parameter x must be one of"),
        ({"parameters": [{"name": "x", "role": "new"}]}, "role of parameter x must be one of"),
    ],
)
def test_a_record_that_breaks_its_form_is_refused_in_one_line(
    document: dict[str, object], message: str
) -> None:
    with pytest.raises(StudyDataError, match=message) as caught:
        parse_study(document, name="s", status="finished")
    assert "\n" not in str(caught.value)


def test_a_field_of_a_later_version_is_no_crash() -> None:
    assert StudyParameter(name="x", label="x").role == "unrecorded"
