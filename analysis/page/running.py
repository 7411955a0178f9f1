"""How far a study is: what its trials' runs say, and nothing that was measured on test tiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from analysis.reading.looks import has_no_choice, look_reached
from analysis.reading.planned import num_suggestions, planned_arms
from analysis.reading.sources.load import TrackedRuns, tracked_runs
from analysis.reading.sources.record import StudyRecord
from analysis.reading.sources.store import answering, open_store, resolve_tracking_uri
from analysis.reading.styles import arms_of
from analysis.reading.trials import trial_row, trials_frame
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

MOST_RUNNING = 8
"""Most running trials that are shown with what they have reported."""
_EVERY_ROW = "train/loss"
"""Metric that a trial reports in every row of its curves."""


@dataclass(frozen=True, kw_only=True)
class ArmProgress:
    """How far one arm is."""

    label_frac: float
    label: str
    """Of its variant."""
    num_searched: int
    """Search trials that have ended, however; likewise `num_confirmed`."""
    num_search: int
    """Search trials that are planned, or on record where these are more; likewise `num_confirm`,
    of which there are none where no search trial is left to choose from."""
    num_confirmed: int
    num_confirm: int
    num_failed: int
    best_score: float
    """Highest score of a finished trial on validation tiles; NaN without one."""

    @property
    def num_left(self) -> int:
        """Trials that have not ended."""
        return self.num_search + self.num_confirm - self.num_searched - self.num_confirmed


@dataclass(frozen=True, kw_only=True)
class RunningTrial:
    """A trial that runs."""

    key: str
    step: int
    """Last optimiser step that was reported; 0 before the first."""
    steps: float
    """Of the whole trial; NaN where that is not on record."""
    scores: tuple[float, ...]
    """On validation tiles, one after the other; empty before the first."""


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """How far a study is."""

    name: str
    status: str
    """One of STUDY_STATUSES."""
    select_by: str
    """The score that is told of validation tiles."""
    arms: tuple[ArmProgress, ...]
    running: tuple[RunningTrial, ...]
    seconds_left: float
    """At the pace of the trials that have finished; NaN before there is one."""
    silent_s: float
    """Seconds since anything of it was recorded."""
    look: str
    """Which findings may be read and when, as from `looks.look_reached`; "" where all may."""

    @property
    def is_running(self) -> bool:
        """Whether the command that runs it has not said that it ended or was stopped."""
        return self.status == "running"

    @property
    def num_done(self) -> int:
        """Trials that have ended."""
        return sum(arm.num_searched + arm.num_confirmed for arm in self.arms)

    @property
    def num_trials(self) -> int:
        """Trials in all."""
        return self.num_done + sum(arm.num_left for arm in self.arms)

    @property
    def num_failed(self) -> int:
        """Trials that failed."""
        return sum(arm.num_failed for arm in self.arms)


def read_progress(name: str, tracking_uri: str | None, now_s: float) -> StudyProgress:
    """Reads how far a study is. Confusion matrices and test scores are not read.

    Args:
        name: The study.
        tracking_uri: As in `store.resolve_tracking_uri`.
        now_s: Seconds since 1970.

    Raises:
        UnknownStudyError: If there is no such study; it lists those there are.
        StoreAwayError: If the store does not answer for now.
        StudyDataError: If a record does not keep the contract.
    """
    uri = resolve_tracking_uri(tracking_uri)
    client = open_store(uri)
    with answering(uri):
        found = tracked_runs(client, uri, name)
        running = {
            key: run
            for key, run in sorted(found.newest.items())
            if run.data.tags.get("status") == "running"
        }
        score = f"val/{found.info.select_by}"
        reported = {
            key: _reported(client, run, score if number < MOST_RUNNING else None)
            for number, (key, run) in enumerate(running.items())
        }
    return progress_of(found, reported, now_s)


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What a running trial has reported so far."""

    step: int
    """Last optimiser step; 0 before the first row."""
    time_ms: int
    """When, since 1970; when it began, before the first row."""
    scores: tuple[float, ...]
    """On validation tiles so far."""


def progress_of(
    found: TrackedRuns, reported: Mapping[str, Reported], now_s: float
) -> StudyProgress:
    """How far a study is, from its runs.

    Args:
        found: As from `load.tracked_runs`.
        reported: By trial_key of those that run.
        now_s: Seconds since 1970.
    """
    info = found.info
    rows = [trial_row(run, info) for run in found.newest.values()]
    record = StudyRecord(
        info=info,
        trials=trials_frame(rows, info.parameters),
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )
    planned = arms_of([*record.arms, *planned_arms(info)], record.styles)
    arms = {arm: _arm(record, *arm) for arm in planned}
    running = record.trials[record.trials["status"] == "running"]
    look = look_reached(record)
    return StudyProgress(
        name=info.name,
        status=info.status,
        select_by=info.select_by,
        arms=tuple(arms.values()),
        running=tuple(
            RunningTrial(
                key=key,
                step=reported[key].step,
                steps=float(total),
                scores=reported[key].scores,
            )
            for key, total in zip(running["trial_key"], running["steps"], strict=True)
        ),
        seconds_left=_seconds_left(record, found.newest, arms, now_s),
        silent_s=now_s - _last_news_ms(found, reported) / 1000.0,
        look=look.sentence,
    )


def _last_news_ms(found: TrackedRuns, reported: Mapping[str, Reported]) -> int:
    """When the study began, or a trial began, ended or reported something, whichever is last."""
    runs = [found.parent, *found.newest.values()]
    known: list[int] = [
        time for run in runs for time in (run.info.start_time, run.info.end_time) if time
    ]
    return max([*known, *(row.time_ms for row in reported.values())])


def _arm(record: StudyRecord, label_frac: float, variant: str) -> ArmProgress:
    trials, info, style = record.trials, record.info, record.styles[variant]
    arm = trials[(trials["label_frac"] == label_frac) & (trials["variant"] == variant)]
    search, confirm = (arm[arm["phase"] == phase] for phase in ("search", "confirm"))
    searched = [one for one in record.searched if one.is_of(style.variant.method, record.methods)]
    num_seeds = len(info.search_seeds) or 1 if searched else 1
    num_confirm = 0 if has_no_choice(record, label_frac, variant) else info.num_seeds_asked or 0
    finished = arm.loc[arm["status"] == "finished", f"select_{info.select_by}"].dropna()
    return ArmProgress(
        label_frac=label_frac,
        label=style.label,
        num_searched=int((~search["status"].isin(OPEN_STATUSES)).sum()),
        num_search=max(num_suggestions(info, searched) * num_seeds, len(search)),
        num_confirmed=int((~confirm["status"].isin(OPEN_STATUSES)).sum()),
        num_confirm=max(num_confirm, len(confirm)),
        num_failed=int((arm["status"] == "failed").sum()),
        best_score=float(finished.max()) if len(finished) else math.nan,
    )


def _seconds_left(
    record: StudyRecord,
    runs: Mapping[str, Run],
    arms: Mapping[tuple[float, str], ArmProgress],
    now_s: float,
) -> float:
    """What is left of all arms, as many trials at a time as run now.

    A trial takes what those of its variant took, in the median; of a variant that has finished
    none, what those of all took. That is what trials measured themselves: a run in MLflow may hold
    the night between two sessions, or be written in a moment once its trial had ended. Of a trial
    that runs no more than that is over, however long ago an earlier session began it.
    """
    took: dict[str, list[float]] = {}
    begun: list[tuple[str, float]] = []
    trials = record.trials
    measured_s = trials["train_s"] + trials["eval_s"] + trials["test_s"].fillna(0.0)
    for key, variant, status, whole_s in zip(
        trials["trial_key"], trials["variant"], trials["status"], measured_s, strict=True
    ):
        begin_ms, end_ms = runs[key].info.start_time, runs[key].info.end_time
        if status == "finished" and whole_s > 0:
            took.setdefault(variant, []).append(float(whole_s))
        elif status == "finished" and end_ms:
            took.setdefault(variant, []).append((end_ms - begin_ms) / 1000.0)
        elif status == "running":
            begun.append((variant, now_s - begin_ms / 1000.0))
    if not took:
        return math.nan
    of_all = median(one for of in took.values() for one in of)
    takes = {variant: median(took.get(variant, [of_all])) for _, variant in arms}
    left_s = sum(arm.num_left * takes[variant] for (_, variant), arm in arms.items())
    begun_s = sum(min(since_s, takes[variant]) for variant, since_s in begun)
    num_running = max(int((trials["status"] == "running").sum()), 1)
    return max(left_s - begun_s, 0.0) / num_running


def _reported(client: MlflowClient, run: Run, score: str | None) -> Reported:
    """What a run holds of its trial so far; of its scores if one is named."""
    rows, validations = (
        sorted(client.get_metric_history(run.info.run_id, name), key=lambda point: point.step)
        if name is not None
        else []
        for name in (_EVERY_ROW, score)
    )
    scores = tuple(point.value for point in validations)
    if not rows:
        return Reported(step=0, time_ms=run.info.start_time, scores=scores)
    return Reported(step=rows[-1].step, time_ms=rows[-1].timestamp, scores=scores)
