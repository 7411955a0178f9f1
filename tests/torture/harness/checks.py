"""What must hold after torture; every check returns what is wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from harness.tortured_study import NAME, Fingerprint, TorturedStudy

Steps = Mapping[str, Sequence[int]]
"""Steps of the points of each metric, as recorded."""


@dataclass(frozen=True)
class TrialRun:
    """A run in MLflow."""

    key: str
    """Trial key; '' of the parent."""
    status: str
    tags: Mapping[str, str]
    steps: Steps


@dataclass(frozen=True)
class Record:
    """What an uninterrupted study leaves."""

    table: bytes
    curves: Mapping[str, Any]
    """By trial key: history, score and convergence of `result.json`."""
    confusions: Mapping[str, bytes]
    runs: Sequence[TrialRun]


def read_record(study: TorturedStudy, store: str) -> Record:
    """Files and runs of a study that has ended.

    Args:
        study: The study.
        store: URI of its MLflow database.
    """
    curves = {}
    for file in study.trials.glob("*/result.json"):
        content = json.loads(file.read_text())
        curves[file.parent.name] = [content[name] for name in ("history", "score", "converged")]
    return Record(
        table=study.table.read_bytes(),
        curves=curves,
        confusions={
            file.parent.name: file.read_bytes() for file in study.trials.glob("*/confusion.json")
        },
        runs=read_runs(store, ViewType.ACTIVE_ONLY),
    )


def read_runs(store: str, view: str) -> list[TrialRun]:
    """The runs of the study in a store."""
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None, f"no experiment {NAME} in {store}"
    found = client.search_runs([experiment.experiment_id], run_view_type=view, max_results=1000)
    return [_trial_run(client, run) for run in found]


def _trial_run(client: MlflowClient, run: Run) -> TrialRun:
    return TrialRun(
        key=run.data.tags.get("trial_key", ""),
        status=run.info.status,
        tags=run.data.tags,
        steps={
            name: [point.step for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        },
    )


def result_problems(
    before: Mapping[str, Fingerprint], after: Mapping[str, Fingerprint]
) -> list[str]:
    """Finished trials that were lost or ran again between two looks."""
    problems = [f"{key}: its result.json is gone" for key in sorted(before.keys() - after.keys())]
    for key in sorted(before.keys() & after.keys()):
        if before[key] != after[key]:
            problems.append(f"{key}: finished, and its result.json was written again")
    return problems


def record_problems(reference: Record, got: Record) -> list[str]:
    """Where a tortured study's record differs from the uninterrupted one's."""
    problems = []
    if got.table != reference.table:
        problems.append(f"comparison.csv differs:\n{reference.table!r}\n{got.table!r}")
    for name in ("curves", "confusions"):
        expected, found = getattr(reference, name), getattr(got, name)
        problems += [
            f"{key}: other {name}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        ]
    return problems + run_problems(reference.runs, got.runs)


def run_problems(reference: Sequence[TrialRun], got: Sequence[TrialRun]) -> list[str]:
    """Runs of a study's active ones that are missing, twice, unfinished or with other points."""
    problems = []
    expected = {run.key: run for run in reference}
    for key in sorted(expected.keys() | {run.key for run in got}):
        found = [run for run in got if run.key == key]
        name = key or "parent"
        if key not in expected or len(found) != 1:
            problems.append(f"{name}: {len(found)} runs in MLflow")
            continue
        if found[0].status != "FINISHED":
            problems.append(f"{name}: its run is {found[0].status}")
        problems += [
            f"{name}: {problem}" for problem in step_problems(expected[key].steps, found[0].steps)
        ]
    return problems


def step_problems(expected: Steps, found: Steps) -> list[str]:
    """Metrics with missing, repeated or additional points."""
    problems = []
    for metric in sorted(expected.keys() | found.keys()):
        steps, wanted = list(found.get(metric, ())), list(expected.get(metric, ()))
        if len(set(steps)) < len(steps):
            problems.append(f"{metric} has points twice: {sorted(steps)}")
        elif sorted(steps) != sorted(wanted):
            problems.append(f"{metric} has steps {sorted(steps)}, not {sorted(wanted)}")
    return problems


def leftover_problems(study: TorturedStudy, store: str) -> list[str]:
    """What a study that has ended must not leave: files, repeated runs."""
    left = [
        file
        for pattern in ("*/checkpoint*", "*/.*.partial", "*/maps/.*.partial")
        for file in study.trials.glob(pattern)
    ]
    problems = [f"{file.parent.name}: {file.name} was left" for file in left]
    return problems + [
        f"{run.key or 'parent'}: a finished run was deleted"
        for run in read_runs(store, ViewType.DELETED_ONLY)
        if run.status == "FINISHED"
    ]
