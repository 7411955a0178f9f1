from dataclasses import replace

import numpy as np
import pytest

from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord, check_same_classes, once_per_record


def test_exported_record_has_no_artifacts(store: str) -> None:
    tracked = load_study("full", store)
    exported = replace(tracked, is_exported=True)
    key = "confirm-unet-f0.02-s0"
    assert tracked.artifact(key, "picture.png") is not None
    assert tracked.study_artifact("study.yaml") is not None
    assert exported.artifact(key, "picture.png") is None
    assert exported.study_artifact("study.yaml") is None
    with pytest.raises(KeyError):
        exported.artifact("confirm-unet-f0.02-s9", "picture.png")


def test_matrices_over_other_classes_are_refused() -> None:
    def trial(*classes: str, exclude: tuple[str, ...] = ()) -> TrialConfusion:
        tile = TileConfusion(name="a", full=np.eye(len(classes), dtype=np.int64))
        return TrialConfusion(classes=classes, exclude_from_mean=exclude, tiles=(tile,))

    check_same_classes({})
    check_same_classes({"a": trial("x", "y"), "b": trial("x", "y")})
    for other in (trial("x", "z"), trial("y", "x"), trial("x", "y", exclude=("y",))):
        with pytest.raises(StudyDataError, match="must be the same in all trials"):
            check_same_classes({"a": trial("x", "y"), "b": other})


def test_what_many_ask_is_found_once_for_each_record(store: str) -> None:
    asked: list[StudyRecord] = []

    @once_per_record
    def found(record: StudyRecord) -> int:
        asked.append(record)
        return len(asked)

    @once_per_record
    def other(record: StudyRecord) -> str:
        return "other"

    record = load_study("full", store)
    assert (found(record), found(record), other(record)) == (1, 1, "other")
    assert found(replace(record, notes=("new",))) == 2
    assert found(record) == 1
    assert len(asked) == 2
