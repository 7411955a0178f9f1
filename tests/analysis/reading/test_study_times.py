from typing import Any

import pytest

from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from analysis.reading.study_times import StudyTimes, parse_times, study_times, times_json

TIMES = StudyTimes(
    sessions=2.0, slots=2.0, wall_s=100.0, before_s=10.0, slot_s=200.0, slot_before_s=20.0,
    trial_s=150.0, tracking_s=3.0, callback_s=1.0,
)  # fmt: skip


def test_times_are_metrics_of_the_studys_run(store: str) -> None:
    assert load_study("profiled", store).times == TIMES
    assert load_study("full", store).times is None


def test_times_come_back_from_their_text() -> None:
    assert parse_times(times_json(TIMES), "a.parquet") == TIMES


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"time/wall_s": 1.0}, r"times must hold \['sessions', 'slots', .*\], got none in study s"),
        ({"time/slot_s": float("nan")}, "slot_s must be a number >= 0, got nan in study s"),
        ({"time/slot_s": -1.0}, "slot_s must be a number >= 0, got -1.0 in study s"),
        ({"time/slot_s": 0.0}, "slot_s must be above 0, got 0.0 in study s"),
    ],
)
def test_times_that_break_the_contract_are_refused(metrics: dict[str, Any], message: str) -> None:
    whole = {f"time/{name}": value for name, value in vars(TIMES).items()}
    given = metrics if "time/wall_s" in metrics else whole | metrics
    with pytest.raises(StudyDataError, match=message):
        study_times(given, "s")


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"sessions": "two"}'])
def test_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StudyDataError, match=r"times must .* in a\.parquet"):
        parse_times(text, "a.parquet")
