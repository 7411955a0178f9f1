import pytest

from analysis.reading.planned import planned_arms
from analysis.reading.schema import StudyDataError, StudyInfo, parse_study


def info(**config: object) -> StudyInfo:
    return parse_study({"config": config}, name="s", status="finished")


def test_every_model_stands_at_every_fraction() -> None:
    found = planned_arms(info(models=["urec", "unet"], space="w1=0.01..0.5,label_frac=1/0.1"))
    assert found == ((0.1, "unet"), (0.1, "urec"), (1.0, "unet"), (1.0, "urec"))


def test_levels_of_reconstruction_are_variants() -> None:
    arms = planned_arms(info(models=["urec", "unet"], space="reconstruct_on=all/annotated"))
    assert arms == ((1.0, "unet"), (1.0, "urec-all"), (1.0, "urec-annotated"))
    assert planned_arms(info(models=["urec"], space="reconstruct_on=annotated")) == (
        (1.0, "urec-annotated"),
    )
    assert planned_arms(info(models=["unet"], space="reconstruct_on,label_frac=0.5")) == (
        (0.5, "unet"),
    )


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"models": ["unet"]},
        {"space": "label_frac=1"},
        {"models": None, "space": None},
        {"models": ["unet"], "space": "label_frac"},
    ],
)
def test_nothing_is_planned_where_the_configuration_does_not_say(config: dict[str, object]) -> None:
    assert planned_arms(info(**config)) == ()


def test_study_without_a_document_has_no_plan() -> None:
    assert planned_arms(parse_study({}, name="s", status="running")) == ()


@pytest.mark.parametrize(
    ("models", "space", "message"),
    [
        (["unet"], "label_frac=0.1/2", r"label_frac must be in \(0, 1\], got '2' in the space"),
        (["unet"], "label_frac=few", r"label_frac must be in \(0, 1\], got 'few'"),
        (["urec"], "reconstruct_on=some", "reconstruct_on must be all or annotated, got .*some"),
    ],
)
def test_plan_that_cannot_be_is_refused_in_one_line(
    models: list[str], space: str, message: str
) -> None:
    with pytest.raises(StudyDataError, match=message) as caught:
        planned_arms(info(models=models, space=space))
    assert "\n" not in str(caught.value)
    assert "study s" in str(caught.value)
