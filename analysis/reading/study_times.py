"""Where the time of a study went around its trials, as the driver measured it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from analysis.reading.schema import StudyDataError


@dataclass(frozen=True, kw_only=True)
class StudyTimes:
    """Sums over all sessions (runs of the command) that were profiled, in seconds.

    Metrics `time/<name>` of the study's own run.
    """

    sessions: float
    slots: float
    """Trials at once; the most of any session."""
    wall_s: float
    """From the start of the command's work to its end, without the report."""
    before_s: float
    """The part of it before the first trial was given to a process."""
    slot_s: float
    """Slots times wall seconds."""
    slot_before_s: float
    """Slots times `before_s`."""
    trial_s: float
    """In which slots held a trial."""
    tracking_s: float
    """Spent by the thread that sends records to MLflow; beside the trials."""
    callback_s: float
    """Spent by the driver in Ray Tune's callbacks; beside the trials."""


def study_times(metrics: Mapping[str, float], study: str) -> StudyTimes | None:
    """The times among the metrics of a study's own run; None where it was not profiled.

    Raises:
        StudyDataError: If some are missing, or one is no number.
    """
    names = [field.name for field in fields(StudyTimes)]
    found = {name: metrics[f"time/{name}"] for name in names if f"time/{name}" in metrics}
    return _checked(found, f"study {study}") if found else None


def times_json(times: StudyTimes) -> str:
    """The times as they stand in an exported file."""
    return json.dumps(asdict(times))


def parse_times(text: str, where: str) -> StudyTimes:
    """Inverse of `times_json`.

    Args:
        text: JSON.
        where: The file, for messages.

    Raises:
        StudyDataError: If it is anything else.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise StudyDataError(f"times must be a JSON object, got {text!r} in {where}") from error
    if not isinstance(values, dict):
        raise StudyDataError(f"times must be a JSON object, got {text!r} in {where}")
    return _checked(values, where)


def _checked(values: Mapping[str, object], where: str) -> StudyTimes:
    names = [field.name for field in fields(StudyTimes)]
    if missing := [name for name in names if name not in values]:
        raise StudyDataError(f"times must hold {missing}, got none in {where}")
    numbers: dict[str, float] = {}
    for name in names:
        value = values[name]
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise StudyDataError(f"{name} must be a number >= 0, got {value!r} in {where}")
        if value == 0 and name in ("sessions", "slots", "slot_s"):
            raise StudyDataError(f"{name} must be above 0, got {value!r} in {where}")
        numbers[name] = float(value)
    return StudyTimes(**numbers)
