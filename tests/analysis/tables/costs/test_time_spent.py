import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.tables.costs.time_spent import PART_LABELS, time_finding, time_notes, time_spent
from analysis.tables.files.table_files import time_spent_table


@pytest.fixture
def profiled(store: str) -> StudyRecord:
    """Per trial of U-Net 5 + 1 + 10 + 2 + 0.5 + 0.25 + 3 + 0.25 = 22 s, of U-REC twice that."""
    return load_study("profiled", store)


def rows(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["part"]: row for row in frame.to_dict("records")}


def test_seconds_by_hand(profiled: StudyRecord) -> None:
    found = rows(time_spent(profiled))
    assert list(found) == list(PART_LABELS)
    seconds = {part: row["seconds"] for part, row in found.items()}
    assert math.isnan(seconds.pop("trace")), "no trial had one"
    assert seconds == pytest.approx(
        {
            "before": 20.0, "start": 30.0, "data": 6.0, "forward_backward": 60.0,
            "validation": 12.0, "checkpoint": 3.0, "report": 1.5, "test": 18.0, "record": 1.5,
            "rest": 150.0 - 132.0, "idle": 200.0 - 20.0 - 150.0, "slots": 200.0, "tracking": 4.0,
        }
    )  # fmt: skip
    assert found["forward_backward"]["share"] == pytest.approx(0.3)
    assert math.isnan(found["tracking"]["share"])
    assert (found["data"]["unet"], found["data"]["urec"]) == (2.0, 4.0)
    assert math.isnan(found["idle"]["unet"])


def test_parts_add_up_to_all_slots(profiled: StudyRecord) -> None:
    frame = time_spent(profiled)
    parts = frame[~frame["part"].isin(["slots", "tracking"])]
    assert parts["seconds"].sum() == pytest.approx(200.0)
    assert parts["share"].sum() == pytest.approx(1.0)


def test_one_model_has_no_columns_of_its_own(profiled: StudyRecord) -> None:
    trials = profiled.trials[profiled.trials["variant"] == "unet"]
    frame = time_spent(replace(profiled, trials=trials))
    assert list(frame.columns) == ["part", "seconds", "share"]


def test_study_that_was_stopped_has_the_parts_of_its_trials_alone(profiled: StudyRecord) -> None:
    stopped = replace(profiled, times=None)
    frame = time_spent(stopped)
    assert "idle" not in set(frame["part"])
    assert rows(frame)["data"]["seconds"] == 6.0
    assert frame["share"].isna().all()
    assert time_finding(frame) == ""
    assert "is not on record: the command runs still, or was killed" in time_notes(stopped)[0]


@pytest.mark.parametrize("study", ["full", "empty", "stopped", "searching"])
def test_study_without_measures_has_no_table(store: str, study: str) -> None:
    assert time_spent(load_study(study, store)).empty


def test_trials_without_measures_are_counted(profiled: StudyRecord) -> None:
    said = time_notes(profiled)
    assert said == (
        "2 runs of the command with --profile, 100.0 s, with 2 slots; the first trial of a run was "
        "handed out after 5.0 s.",
        "Tracking runs in the driver beside the trials: 3.0 s of sending to MLflow and 1.0 s of "
        "callbacks.",
        "2 finished trials of 6 ran without --profile and are in no row.",
    )
    measured = profiled.trials["time_start_s"].notna()
    assert len(time_notes(replace(profiled, trials=profiled.trials[measured]))) == 2


def test_finding_names_the_largest_part(profiled: StudyRecord) -> None:
    found = time_finding(time_spent(profiled)).replace("\N{NO-BREAK SPACE}", " ")
    assert found == "Largest share of the slots' time: forward and backward, 30 %"


def test_file_has_plain_words_and_numbers(profiled: StudyRecord) -> None:
    text = time_spent_table(time_spent(profiled), profiled.styles)
    assert text.stem == "time_spent"
    assert text.readable[0] == [
        "Part", "Seconds", "Share of slot time", "U-Net, s", "U-REC, s",
    ]  # fmt: skip
    assert text.readable[4] == [
        "Forward and backward", "60.0", "30.0\N{NO-BREAK SPACE}%", "20.0", "40.0",
    ]  # fmt: skip
    assert text.csv.splitlines()[0] == "part,seconds,share,unet_s,urec_s"
    assert "forward_backward,60,0.3,20,40" in text.csv.splitlines()
    assert "idle,30,0.15,," in text.csv.splitlines()
    assert text.latex.count(r"\midrule") == 3
