"""Where the time of a study went: its trials part by part, and what their slots did besides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.wording import counted, percent
from contract.names import TIME_PARTS

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

PART_LABELS = {
    "before": "Before the first trial",
    "start": "Start of trials",
    "data": "Data",
    "forward_backward": "Forward and backward",
    "validation": "Validation",
    "checkpoint": "Checkpoints",
    "report": "Reports",
    "test": "Test tiles",
    "record": "Records",
    "trace": "Writing the trace",
    "rest": "Rest of trials",
    "idle": "Slots without a trial",
    "slots": "All slots",
    "tracking": "Tracking, beside the trials",
}
"""Every row, in order, as a reader sees it."""

_AROUND = ("before", "rest", "idle", "slots", "tracking")
"""Rows that the driver's measures give; without them there are none."""


def time_spent(record: StudyRecord) -> pd.DataFrame:
    """One row per part.

    The rows from `before` to `idle` add up to `slots`. `rest` is what slots held a trial for and no
    part of a trial measured: what lies between the parts, attempts that were lost, and trials that
    failed, were pruned or have not ended, which record no parts.

    Returns:
        part (a key of PART_LABELS), seconds (over all trials and sessions that were measured; NaN
        for a part that no trial had), share (of the time of all slots; NaN where the driver's
        measures are missing, and for `tracking`, which takes no slot) and, where several variants
        were measured, the seconds of each, named as it is. Empty where nothing was measured.
    """
    import pandas as pd

    measured = _measured(record)
    times = record.times
    if measured.empty and times is None:
        return pd.DataFrame({"part": [], "seconds": [], "share": []})
    variants = [variant for variant in record.styles if (measured["variant"] == variant).any()]
    shown = variants if len(variants) > 1 else []
    parts = {part: _sum(measured[f"time_{part}_s"]) for part in TIME_PARTS}
    around = {}
    if times is not None:
        around = {
            "before": times.slot_before_s,
            "rest": times.trial_s - _in_parts(measured),
            "idle": times.slot_s - times.slot_before_s - times.trial_s,
            "slots": times.slot_s,
            "tracking": times.tracking_s + times.callback_s,
        }
    rows = []
    for part in PART_LABELS:
        if part in _AROUND and part not in around:
            continue
        seconds = around[part] if part in around else parts[part]
        share = math.nan if times is None or part == "tracking" else seconds / times.slot_s
        of_variants = {
            variant: _sum(measured.loc[measured["variant"] == variant, f"time_{part}_s"])
            if part in TIME_PARTS
            else math.nan
            for variant in shown
        }
        rows.append({"part": part, "seconds": seconds, "share": share} | of_variants)
    return pd.DataFrame(rows)


def time_finding(frame: pd.DataFrame) -> str:
    """The part that took the largest share of the slots' time; "" where that is not known.

    Args:
        frame: As from `time_spent`.
    """
    known = frame[(frame["part"] != "slots") & frame["share"].notna()]
    if known.empty:
        return ""
    share, part = max(zip(known["share"], known["part"], strict=True))
    label = PART_LABELS[part]
    return f"Largest share of the slots' time: {label[0].lower()}{label[1:]}, {percent(share)}"


def time_notes(record: StudyRecord) -> tuple[str, ...]:
    """What the table counts and what it leaves out, as it applies."""
    measured, times = _measured(record), record.times
    notes = []
    if times is not None:
        sessions = counted(int(times.sessions), "run of the command", "runs of the command")
        notes.append(
            f"{sessions} with --profile, {times.wall_s:,.1f} s, with "
            f"{counted(int(times.slots), 'slot')}; the first trial of a run was handed out after "
            f"{times.before_s / times.sessions:,.1f} s."
        )
        notes.append(
            f"Tracking runs in the driver beside the trials: {times.tracking_s:,.1f} s of sending "
            f"to MLflow and {times.callback_s:,.1f} s of callbacks."
        )
    else:
        notes.append(
            "What the slots did besides is not on record: the command runs still, or was killed "
            "and not run again."
        )
    if times is not None and _in_parts(measured) > times.trial_s:
        notes.append(
            "The trials' own measures exceed the time in which the driver saw them: a command was "
            "killed, or the clocks of two machines differ."
        )
    finished = int((record.trials["status"] == "finished").sum())
    if num := finished - len(measured):
        notes.append(
            f"{counted(num, 'finished trial')} of {finished} ran without --profile and "
            f"{'is' if num == 1 else 'are'} in no row."
        )
    return tuple(notes)


def _measured(record: StudyRecord) -> pd.DataFrame:
    """Trials that recorded their parts; `time_start_s` is one that all have."""
    return record.trials[record.trials["time_start_s"].notna()]


def _in_parts(measured: pd.DataFrame) -> float:
    """Seconds that trials have measured themselves."""
    return float(measured[[f"time_{part}_s" for part in TIME_PARTS]].sum().sum())


def _sum(values: pd.Series[float]) -> float:
    """The sum of what was measured; NaN where nothing was."""
    return float(values.sum(min_count=1))
