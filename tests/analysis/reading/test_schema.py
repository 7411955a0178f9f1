from typing import Any

import numpy as np
import pytest

from analysis.reading.schema import MODELS, StudyDataError, parse_study


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


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def cielab(color: str, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of '#RRGGBB' as it is seen."""
    coded = np.array(list(bytes.fromhex(color[1:]))) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISIONS[vision]) @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("together", [("unet", "urec"), ("unet", "urec-all", "urec-annotated")])
def test_variants_of_a_study_are_told_apart_by_any_eye(
    vision: str, together: tuple[str, ...]
) -> None:
    styles = [MODELS[variant] for variant in together]
    assert len({style.marker for style in styles}) == len(styles)
    for index, one in enumerate(styles):
        for other in styles[:index]:
            for shade in ("color", "color_dark"):
                pair = [cielab(getattr(style, shade), vision) for style in (one, other)]
                assert np.linalg.norm(pair[0] - pair[1]) > 20


def test_addresses_of_a_study_are_kept_without_credentials() -> None:
    config = {"tracking_uri": "http://me:SECRET@host:5000/x?token=SECRET", "storage": "s3://b/x"}
    document = parse_study({"config": config}, name="s", status="finished").document
    assert document["config"] == {"tracking_uri": "http://host:5000/x", "storage": "s3://b/x"}
