"""MLflow -> StudyRecord: one checked table of trials, and their confusion matrices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from analysis.artifacts import read_artifact
from analysis.confusion import TrialConfusion, parse_confusion
from analysis.schema import StudyDataError, StudyInfo, parse_study
from analysis.store import (
    UnknownStudyError,
    all_runs,
    known_studies,
    open_store,
    resolve_tracking_uri,
)
from analysis.trials import trial_row, trials_frame
from analysis.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_PARENT_TAG = "mlflow.parentRunId"


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """Everything that MLflow holds of one study."""

    info: StudyInfo
    trials: pd.DataFrame
    """One row per trial, columns as in `trials.TRIAL_COLUMNS`, rows in order of trial_key."""
    confusions: Mapping[str, TrialConfusion]
    """By trial_key; only finished confirmation trials have one."""
    failures: Mapping[str, str]
    """By trial_key of the failed trials: the last line of the traceback, '' without one."""
    notes: tuple[str, ...]
    """What was found and left out, in words for a reader."""
    tracking_uri: str
    run_id: str = ""
    """The study's own run."""
    artifact_uri: str = ""
    """Folder of the artifacts of that run."""

    def study_artifact(self, name: str) -> bytes | None:
        """One artifact of the study's own run, None if it has no such file."""
        if not self.run_id:
            return None
        return read_artifact(open_store(self.tracking_uri), self.run_id, self.artifact_uri, name)

    def artifact(self, trial_key: str, name: str) -> bytes | None:
        """One artifact of a trial, None if it has no such file.

        Raises:
            KeyError: If the study has no such trial.
        """
        rows = self.trials[self.trials["trial_key"] == trial_key]
        if rows.empty:
            raise KeyError(trial_key)
        run_id, uri = rows[["run_id", "artifact_uri"]].iloc[0]
        return read_artifact(open_store(self.tracking_uri), str(run_id), str(uri), name)


def load_study(name: str, tracking_uri: str | None = None) -> StudyRecord:
    """Reads one study: a single search for all its runs, then its small artifacts.

    Args:
        name: The study's name, which is its MLflow experiment.
        tracking_uri: As in `resolve_tracking_uri`.

    Raises:
        UnknownStudyError: If there is no such study; it lists those there are.
        StudyDataError: If a record does not keep the contract.
    """
    uri = resolve_tracking_uri(tracking_uri)
    client = open_store(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise UnknownStudyError(name, known_studies(uri), uri)
    runs = all_runs(client, [experiment.experiment_id], "")
    parents = [run for run in runs if run.data.tags.get("phase") == "study"]
    if not parents:
        raise UnknownStudyError(name, known_studies(uri), uri)
    parent = max(parents, key=lambda run: run.info.start_time)

    notes: list[str] = []
    others = {run.info.run_id for run in parents} - {parent.info.run_id}
    if others:
        notes.append(f"Earlier studies of this name are left out: {len(others)}.")
        runs = [
            run
            for run in runs
            if run.info.run_id not in others and run.data.tags.get(_PARENT_TAG) not in others
        ]
    info = _study_info(client, parent, name, notes)
    newest = _newest_attempts(runs, notes)
    trials = trials_frame([trial_row(run) for run in newest.values()])
    notes += _attempt_notes(trials, info)
    confusions = _confusions(client, newest, trials, notes)
    return StudyRecord(
        info=info,
        trials=trials,
        confusions=confusions,
        failures={
            key: _last_line(_artifact_of(client, newest[key], "traceback.txt"))
            for key in trials.loc[trials["status"] == "failed", "trial_key"]
        },
        notes=tuple(notes),
        tracking_uri=uri,
        run_id=parent.info.run_id,
        artifact_uri=parent.info.artifact_uri,
    )


def _artifact_of(client: MlflowClient, run: Run, name: str) -> bytes | None:
    return read_artifact(client, run.info.run_id, run.info.artifact_uri, name)


def _study_info(client: MlflowClient, parent: Run, name: str, notes: list[str]) -> StudyInfo:
    content = _artifact_of(client, parent, "study.yaml")
    if content is None:
        notes.append("The study has no study.yaml: its configuration and data are not on record.")
        document: object = {}
    else:
        document = yaml.safe_load(content)
    if not isinstance(document, dict):
        raise StudyDataError(f"study.yaml must be a mapping, got {document!r} in study {name}")
    tags = parent.data.tags
    return parse_study(
        document,
        name=name,
        status=tags.get("status", "running"),
        num_failed=tags.get("num_failed"),
    )


def _newest_attempts(runs: list[Run], notes: list[str]) -> dict[str, Run]:
    """The run that stands for each trial: the finished one, else the latest started."""
    attempts: dict[str, list[Run]] = {}
    num_foreign = 0
    for run in runs:
        tags = run.data.tags
        if tags.get("phase") == "study":
            continue
        if "trial_key" not in tags:
            num_foreign += 1
            continue
        attempts.setdefault(tags["trial_key"], []).append(run)
    num_superseded = sum(len(tried) - 1 for tried in attempts.values())
    if num_superseded:
        notes.append(f"{num_superseded} earlier attempt(s) at a trial were replaced by later ones.")
    if num_foreign:
        notes.append(f"{num_foreign} run(s) without a trial_key are not part of the study.")
    return {
        key: max(tried, key=lambda r: (r.data.tags.get("status") == "finished", r.info.start_time))
        for key, tried in attempts.items()
    }


def _attempt_notes(trials: pd.DataFrame, info: StudyInfo) -> Iterator[str]:
    """What the scores do not show: trials begun anew, and failed ones off the record."""
    num_retried = int(((trials["attempts"] > 1) & (trials["status"] != "failed")).sum())
    if num_retried:
        yield f"Started more than once, not failed in the end: {counted(num_retried, 'trial')}."
    num_failed = int((trials["status"] == "failed").sum())
    if info.has_ended and info.num_failed is not None and info.num_failed > num_failed:
        yield (
            f"The study counted {info.num_failed} failed trials, {num_failed} of them are on "
            "record."
        )


def _confusions(
    client: MlflowClient, runs: Mapping[str, Run], trials: pd.DataFrame, notes: list[str]
) -> dict[str, TrialConfusion]:
    """Confusion matrices of the finished confirmation trials, all over the same classes."""
    confirmed = trials[(trials["phase"] == "confirm") & (trials["status"] == "finished")]
    found: dict[str, TrialConfusion] = {}
    for key in confirmed["trial_key"]:
        content = _artifact_of(client, runs[key], "confusion.json")
        if content is None:
            notes.append(f"{key} finished without confusion.json and is in no table.")
            continue
        found[key] = parse_confusion(json.loads(content), where=f"trial {key}")
    layouts = {(c.classes, c.exclude_from_mean) for c in found.values()}
    if len(layouts) > 1:
        raise StudyDataError(
            "classes and exclude_from_mean must be the same in all trials of a study, got "
            f"{sorted(layouts)!r}; trials of two data sets cannot share a study name"
        )
    if any(
        confusion.pooled_eroded() is None and any(t.eroded is not None for t in confusion.tiles)
        for confusion in found.values()
    ):
        notes.append("Not every test tile has an eroded reference: no scores against it are given.")
    return found


def _last_line(content: bytes | None) -> str:
    lines = [] if content is None else content.decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
