"""A study's name -> StudyRecord: one checked table of trials, and their confusion matrices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from analysis.reading.confusion import TrialConfusion, parse_confusion
from analysis.reading.schema import EXPORT_SUFFIX, StudyDataError, StudyInfo, parse_study
from analysis.reading.sources.artifacts import read_artifact
from analysis.reading.sources.record import StudyRecord, check_same_classes
from analysis.reading.sources.store import (
    UnknownStudyError,
    all_runs,
    answering,
    known_studies,
    open_store,
    resolve_tracking_uri,
)
from analysis.reading.study_times import study_times
from analysis.reading.trials import trial_row, trials_frame
from analysis.wording import counted
from contract.names import CONFUSION, MANIFEST, TRACEBACK

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

__all__ = ["StudyRecord", "load_study"]

_PARENT_TAG = "mlflow.parentRunId"


def load_study(name: str, tracking_uri: str | None = None) -> StudyRecord:
    """Reads one study, from MLflow or from a file that `export.write_export` wrote.

    Args:
        name: The study's name, which is its MLflow experiment; one that ends in EXPORT_SUFFIX is
            the path of an exported file.
        tracking_uri: As in `resolve_tracking_uri`; a file needs none.

    Raises:
        UnknownStudyError: If there is no such study; it lists those there are.
        StudyDataError: If a record or a file does not keep the contract.
    """
    if name.endswith(EXPORT_SUFFIX):
        from analysis.reading.sources.exported import (
            load_exported,  # pyarrow, which MLflow's road does not need
        )

        return load_exported(name)
    return _load_tracked(name, tracking_uri)


def _load_tracked(name: str, tracking_uri: str | None) -> StudyRecord:
    """A single search for all runs of the study, then its small artifacts."""
    uri = resolve_tracking_uri(tracking_uri)
    client = open_store(uri)
    with answering(uri):
        return _read_tracked(client, uri, name)


@dataclass(frozen=True, kw_only=True)
class TrackedRuns:
    """The runs of one study, without what they hold of the test tiles."""

    parent: Run
    """The study's own."""
    info: StudyInfo
    newest: dict[str, Run]
    """By trial_key: the run that stands for the trial."""
    notes: list[str]
    """What was left out."""


def tracked_runs(client: MlflowClient, uri: str, name: str) -> TrackedRuns:
    """A single search for all runs of a study.

    Raises:
        UnknownStudyError: If there is no such study; it lists those there are.
        StudyDataError: If its manifest does not keep the contract.
    """
    experiment = client.get_experiment_by_name(name)
    # MySQL finds `Demo` where `demo` is asked for.
    if experiment is None or experiment.name != name or experiment.lifecycle_stage != "active":
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
    info = _study_info(uri, parent, name, notes)
    return TrackedRuns(parent=parent, info=info, newest=_newest_attempts(runs, notes), notes=notes)


def _read_tracked(client: MlflowClient, uri: str, name: str) -> StudyRecord:
    found = tracked_runs(client, uri, name)
    parent, info, newest, notes = found.parent, found.info, found.newest, found.notes
    trials = trials_frame([trial_row(run, info) for run in newest.values()], info.parameters)
    notes += _attempt_notes(trials, info)
    notes += _damage_notes(newest)
    confusions = _confusions(uri, newest, trials, notes)
    return StudyRecord(
        info=info,
        trials=trials,
        confusions=confusions,
        failures={
            key: _last_line(_artifact_of(uri, newest[key], TRACEBACK))
            for key in trials.loc[trials["status"] == "failed", "trial_key"]
        },
        notes=tuple(notes),
        tracking_uri=uri,
        run_id=parent.info.run_id,
        artifact_uri=parent.info.artifact_uri,
        # Trials since the last end have recorded parts that its times do not hold.
        times=study_times(parent.data.metrics, name) if info.status == "finished" else None,
    )


def _artifact_of(uri: str, run: Run, name: str) -> bytes | None:
    return read_artifact(uri, run.info.run_id, run.info.artifact_uri, name)


def _study_info(uri: str, parent: Run, name: str, notes: list[str]) -> StudyInfo:
    content = _artifact_of(uri, parent, MANIFEST)
    if content is None:
        notes.append("The study has no study.yaml: its configuration and data are not on record.")
        document: object = {}
    else:
        try:
            document = yaml.safe_load(content)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StudyDataError(f"study.yaml must be YAML, got damage in study {name}") from error
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


def _damage_notes(runs: Mapping[str, Run]) -> Iterator[str]:
    num_damaged = sum(bool(run.data.tags.get("damaged_checkpoints")) for run in runs.values())
    if num_damaged:
        yield (
            f"{counted(num_damaged, 'trial')} went on from an earlier checkpoint because one was "
            "damaged."
        )


def _confusions(
    uri: str, runs: Mapping[str, Run], trials: pd.DataFrame, notes: list[str]
) -> dict[str, TrialConfusion]:
    """Confusion matrices of the finished confirmation trials, all over the same classes."""
    confirmed = trials[(trials["phase"] == "confirm") & (trials["status"] == "finished")]
    found: dict[str, TrialConfusion] = {}
    for key in confirmed["trial_key"]:
        content = _artifact_of(uri, runs[key], CONFUSION)
        if content is None:
            notes.append(f"{key} finished without confusion.json and is in no table.")
            continue
        try:
            document = json.loads(content)
        except ValueError as error:
            raise StudyDataError(
                f"confusion.json must be JSON, got damage in trial {key}"
            ) from error
        found[key] = parse_confusion(document, where=f"trial {key}")
    check_same_classes(found)
    if any(
        confusion.pooled_eroded() is None and any(t.eroded is not None for t in confusion.tiles)
        for confusion in found.values()
    ):
        notes.append("Not every test tile has an eroded reference: no scores against it are given.")
    return found


def _last_line(content: bytes | None) -> str:
    lines = [] if content is None else content.decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
