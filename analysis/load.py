"""MLflow -> StudyRecord: one checked table of trials, and their confusion matrices."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from analysis.artifacts import read_artifact
from analysis.schema import (
    StudyDataError,
    StudyInfo,
    TrialConfusion,
    parse_confusion,
    parse_study,
)
from analysis.trials import trial_row, trials_frame

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
_PAGE_SIZE = 1000
_PARENT_TAG = "mlflow.parentRunId"


class UnknownStudyError(LookupError):
    """The tracking store holds no study of that name."""

    def __init__(self, name: str, known: tuple[str, ...], tracking_uri: str) -> None:
        listed = ", ".join(known) if known else "none"
        super().__init__(
            f"study must be one recorded in {tracking_uri}, got {name!r}; known studies: {listed}"
        )
        self.known = known


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
        return read_artifact(_open(self.tracking_uri), self.run_id, self.artifact_uri, name)

    def artifact(self, trial_key: str, name: str) -> bytes | None:
        """One artifact of a trial, None if it has no such file.

        Raises:
            KeyError: If the study has no such trial.
        """
        rows = self.trials[self.trials["trial_key"] == trial_key]
        if rows.empty:
            raise KeyError(trial_key)
        run_id, uri = rows[["run_id", "artifact_uri"]].iloc[0]
        return read_artifact(_open(self.tracking_uri), str(run_id), str(uri), name)


def resolve_tracking_uri(tracking_uri: str | None) -> str:
    """The tracking URI given, else MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.

    Raises:
        StudyDataError: If it is an SQLite file that does not exist (MLflow would create it).
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    prefix = "sqlite:///"
    if uri.startswith(prefix):
        path = Path(uri.removeprefix(prefix).split("?", 1)[0])
        if not path.is_file():
            raise StudyDataError(
                f"tracking URI must name an existing MLflow database, got {uri!r} "
                f"(looked for {path.absolute()}); give --tracking-uri, or run where the study ran"
            )
    return uri


def known_studies(tracking_uri: str) -> tuple[str, ...]:
    """Names of all studies in a tracking store, sorted."""
    client = _open(tracking_uri)
    experiments = {e.experiment_id: e.name for e in _all_experiments(client)}
    if not experiments:
        return ()
    parents = _all_runs(client, list(experiments), "tags.phase = 'study'")
    return tuple(sorted({experiments[run.info.experiment_id] for run in parents}))


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
    client = _open(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise UnknownStudyError(name, known_studies(uri), uri)
    runs = _all_runs(client, [experiment.experiment_id], "")
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


def _open(tracking_uri: str) -> MlflowClient:
    from mlflow.tracking import MlflowClient  # two seconds to import

    return MlflowClient(tracking_uri=tracking_uri)


def _all_experiments(client: MlflowClient) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE_SIZE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _all_runs(client: MlflowClient, experiment_ids: list[str], filter_string: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            experiment_ids, filter_string, max_results=_PAGE_SIZE, page_token=token
        )
        found.extend(page)
        token = page.token
        if not token:
            return found


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
    return parse_study(document, name=name, status=parent.data.tags.get("status", "running"))


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
