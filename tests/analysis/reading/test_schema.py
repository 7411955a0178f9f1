from typing import Any

import pytest

from analysis.reading.schema import StudyDataError, parse_study


def test_study_without_a_document_has_no_classes() -> None:
    info = parse_study({}, name="s", status="running")
    assert info.classes == ()
    assert info.num_seeds_asked is None


@pytest.mark.parametrize("color", ["red", "#12", "#GGGGGG", "url(//host)"])
def test_color_that_is_none_never_reaches_the_page(color: str) -> None:
    dataset = {"classes": [{"name": "tree", "color": color}]}
    with pytest.raises(StudyDataError, match="color must be '#RRGGBB'"):
        parse_study({"dataset": dataset}, name="s", status="finished")


def test_unknown_status_lists_the_valid_ones() -> None:
    with pytest.raises(StudyDataError, match=r"'running', 'finished', 'stopped', 'failed'.*'lost'"):
        parse_study({}, name="s", status="lost")


def test_pruned_is_no_status_of_a_study() -> None:
    with pytest.raises(StudyDataError, match="status must be one of"):
        parse_study({}, name="s", status="pruned")


def test_score_of_selection_comes_from_the_configuration_or_is_mean_f1() -> None:
    assert parse_study({}, name="s", status="finished").select_by == "mean_f1"
    chosen = parse_study({"config": {"select_by": "oa"}}, name="s", status="finished")
    assert chosen.select_by == "oa"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"document": {"config": {"select_by": "kappa"}}}, r"select_by must be one of .*'kappa'"),
        ({"num_failed": "two"}, "num_failed must be a whole number >= 0, got 'two' in study s"),
        ({"num_failed": "-1"}, "num_failed must be a whole number"),
    ],
)
def test_study_that_breaks_the_contract_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments = {"document": {}, "name": "s", "status": "finished"} | changes
    with pytest.raises(StudyDataError, match=message):
        parse_study(arguments.pop("document"), **arguments)


@pytest.mark.parametrize(("status", "ended"), [("running", False), ("stopped", False),
                                               ("finished", True), ("failed", True)])  # fmt: skip
def test_stopped_study_has_not_ended_and_a_failed_one_has(status: str, ended: bool) -> None:
    assert parse_study({}, name="s", status=status).has_ended == ended


def test_addresses_of_a_study_are_kept_without_credentials() -> None:
    config = {"tracking_uri": "http://me:SECRET@host:5000/x?token=SECRET", "storage": "s3://b/x"}
    document = parse_study({"config": config}, name="s", status="finished").document
    assert document["config"] == {"tracking_uri": "http://host:5000/x", "storage": "s3://b/x"}
