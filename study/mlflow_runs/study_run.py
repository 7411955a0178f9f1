"""The record of a study in MLflow: one run of its own and one per trial; the driver writes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import sqlalchemy
import yaml
from mlflow.entities import Metric, Param, ViewType
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE as MLFLOW_NOTE

from contract.mlflow_store.logins import TrackingUri, holds_login, without_login
from contract.mlflow_store.sqlite_address import sqlite_file
from contract.mlflow_store.tracking_store import first_call, store_failures
from contract.names import COMPARED_TAG, REPORT, TEST_TILES
from study.errors import StudyHaltedError
from study.machines.databases import create_mlflow_database
from study.mlflow_runs.artifact_root import artifact_root_note, check_artifact_root
from study.mlflow_runs.client_calls import artifact_errors, search_runs, set_tags
from study.mlflow_runs.names import MetricNames, metric_name, param_value, tag_value
from study.mlflow_runs.shown.descriptions import (
    begun_text,
    ended_text,
    experiment_text,
    may_be_written,
)
from study.mlflow_runs.shown.metrics import ShownMetrics
from study.mlflow_runs.shown.source import data_set_of, source_tags
from study.mlflow_runs.similar_studies import compared_digest
from study.mlflow_runs.trial_runs import TrialRuns
from trainables.errors import ConfigError

_EXPERIMENT_TAGS: Final = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test/mean_f1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
}
"""Spares the MLflow UI the guess of an experiment's kind (its switch still sets the view), and lets
its charts begin with the score that findings speak of."""


def check_store(tracking_uri: str) -> None:
    """Refuse a store that MLflow cannot open; a database gets its tables.

    Raises:
        ConfigError: With what went wrong and what to do.
    """
    uri = TrackingUri(tracking_uri)

    def refuse(reason: str, advice: str) -> ConfigError:
        return ConfigError(
            "--tracking-uri (or MLFLOW_TRACKING_URI) must be an MLflow server or database, got "
            f"{str(uri)!r}: {reason}; {advice}"
        )

    with store_failures(refuse), first_call():
        create_mlflow_database(uri.with_login)
        if uri.is_database:  # asked once; MLflow would try for minutes, and tell every time
            sqlalchemy.create_engine(uri.with_login, poolclass=sqlalchemy.NullPool).connect()
        MlflowClient(tracking_uri=uri.with_login).search_experiments(max_results=1)


_ARTIFACTS: Final = "mlruns"
"""Folder of artifacts that MLflow chooses beside a database."""


class StudyRun:
    """Writes one study to MLflow."""

    def __init__(self, tracking_uri: str, name: str, commit: str | None = None) -> None:
        """Connect, and create the experiment where it is missing.

        Args:
            tracking_uri: The store.
            name: The study.
            commit: Of the code that runs now, if known.

        Raises:
            MlflowException: If the server or database cannot be reached or written.
            ConfigError: If artifacts would have to go to a path that is not of this machine, or
                the database takes the name for that of another study.
        """
        self._uri = TrackingUri(tracking_uri)
        self._client = MlflowClient(tracking_uri=self._uri.with_login)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None and experiment.name != name:
            raise ConfigError(
                f"--name must differ from other studies by more than case, got {name!r} beside "
                f"{experiment.name!r} in {self._uri}, which takes them for one; choose another "
                "--name"
            )
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        self._experiment_id: str = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(
                name,
                artifact_location=_artifact_location(tracking_uri, name),
                tags=_EXPERIMENT_TAGS,
            )
        )
        root = self._client.get_experiment(self._experiment_id).artifact_location
        note = artifact_root_note(root, self._uri)  # before the check, which makes the folder
        check_artifact_root(root, self._uri, name)
        self.notes: list[str] = [] if note is None else [note]
        """What a person must know of the record."""
        self._name = name
        self._commit = commit
        self.parent_id = ""
        """Run of the study, once it is open."""

    def open(self, manifest: Path, budgets: Path) -> TrialRuns:
        """Begin the parent run, or take up that of the same study; a name alone is not enough.

        Args:
            manifest: `study.yaml`; pictures of the test tiles lie beside it, in `test_tiles`.
            budgets: Folder of the budgets' manifests and pictures.

        Returns:
            The runs of its trials.
        """
        content = yaml.safe_load(manifest.read_text(encoding="utf-8"))
        study_id = content["study_id"]
        condition = f"tags.phase = 'study' and tags.study_id = '{study_id}'"
        found = search_runs(self._client, self._experiment_id, condition, ViewType.ALL)
        known: Mapping[str, str] = found[0].data.params if found else {}
        known_tags: Mapping[str, str] = found[0].data.tags if found else {}
        if found:
            self.parent_id = found[0].info.run_id
            if found[0].info.lifecycle_stage == "deleted":
                self._client.restore_run(self.parent_id)
            self._client.update_run(self.parent_id, status="RUNNING")
            self._client.set_tag(self.parent_id, "status", "running")
        else:
            tags = {
                MLFLOW_RUN_NAME: self._name,
                "phase": "study",
                "study": self._name,
                "study_id": study_id,
                "status": "running",
            }
            tags |= source_tags(self._commit)
            run = self._client.create_run(self._experiment_id, tags=tags)
            self.parent_id = run.info.run_id
        self._log_params(_params(content), known)
        data_set = content.get("dataset", {})
        classes = [one["name"] for one in data_set.get("classes", ())]
        names = MetricNames(classes)
        tags = {name: tag_value(own) for name, own in names.class_tags.items()}
        tags |= {"seeds": tag_value(str(content["config"].get("seeds")))}
        tags |= {COMPARED_TAG: compared_digest(content)}
        report = manifest.parent.resolve() / REPORT
        if may_be_written(known_tags.get(MLFLOW_NOTE)):
            tags[MLFLOW_NOTE] = begun_text(report)
        set_tags(self._client, self.parent_id, tags)
        self._describe(content, report)
        trained_on = data_set_of(content)
        if trained_on is not None:
            self._client.log_inputs(self.parent_id, [trained_on])
        with artifact_errors():
            self._client.log_artifact(self.parent_id, str(manifest))
            self._client.log_artifacts(self.parent_id, str(budgets), budgets.name)
            self._log_new(manifest.parent / TEST_TILES)
        labels = {one["name"]: one["label"] for one in content.get("variants", ())}
        return TrialRuns(
            self._client,
            self._experiment_id,
            self.parent_id,
            self._commit,
            names,
            labels,
            ShownMetrics(classes, data_set.get("exclude_from_mean", ())),
            trained_on,
        )

    def _describe(self, content: Mapping[str, Any], report: Path) -> None:
        """Say what the experiment is, unless a person has said so."""
        known = self._client.get_experiment(self._experiment_id).tags
        if may_be_written(known.get(MLFLOW_NOTE)):
            text = experiment_text(self._name, content, report)
            self._client.set_experiment_tag(self._experiment_id, MLFLOW_NOTE, text)

    def _log_params(self, config: Mapping[str, Any], known: Mapping[str, str]) -> None:
        """Record what is not on record yet, which MLflow never changes."""
        if holds_login(known.get("tracking_uri", "")):
            self.notes.append(
                f"run {self.parent_id} in MLflow holds the login of {self._uri}, recorded by an "
                "earlier version in its parameter tracking_uri, which cannot be changed; change "
                "the password"
            )
        entries = []
        for name, value in config.items():
            is_uri = name == "tracking_uri" and value is not None
            if name not in known:
                told = without_login(value) if is_uri else value
                entries.append(Param(name, param_value(told)))
        if entries:
            self._client.log_batch(self.parent_id, params=entries)

    def _log_new(self, folder: Path) -> None:
        """Send the files of a folder, if there is one, that the parent run does not have yet."""
        if not folder.is_dir():
            return
        known = {
            entry.path: entry.file_size
            for entry in self._client.list_artifacts(self.parent_id, folder.name)
        }
        for file in sorted(folder.iterdir()):
            if known.get(f"{folder.name}/{file.name}") != file.stat().st_size:
                self._client.log_artifact(self.parent_id, str(file), folder.name)

    def log_times(self, times: Callable[[], Mapping[str, float]], time_ms: int) -> None:
        """Write where the time went around the trials.

        Args:
            times: Gives the metrics by name, none for a study that is not profiled; called when
                all records before have arrived.
            time_ms: The metrics' time, the same when the call is repeated.
        """
        metrics = [Metric(name, value, time_ms, 0) for name, value in times().items()]
        if metrics:
            self._client.log_batch(self.parent_id, metrics=metrics)

    def close(self, num_failed: int, is_whole: bool = True) -> None:
        """End the parent run; a study with failed trials has finished and says how many.

        Args:
            num_failed: Failed trials.
            is_whole: Whether all trials of the study were run; one that ended at a look that is not
                its last can be continued.
        """
        self._client.set_tag(self.parent_id, "status", "finished" if is_whole else "stopped")
        self._client.set_tag(self.parent_id, "num_failed", num_failed)
        self._client.set_terminated(self.parent_id, status="FINISHED")

    def stop(self) -> None:
        """Mark the parent run: the study was stopped and can be continued."""
        self._client.set_tag(self.parent_id, "status", "stopped")
        self._client.set_terminated(self.parent_id, status="KILLED")


def _params(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of `study.yaml` is a parameter: the configuration, and steps where compute is equal.

    Parameters stay as they are first written, and seeds may grow: these are a tag instead.
    """
    params = {name: value for name, value in manifest["config"].items() if name != "seeds"}
    compute = manifest.get("compute")
    if compute is None:
        return params
    return params | {
        "flop_per_trial": compute["flop"],
        **{f"steps/{one['name']}": one["steps"] for one in compute["variants"]},
        **{f"flop_per_step/{one['name']}": one["flop_per_step"] for one in compute["variants"]},
    }


def _artifact_location(tracking_uri: str, name: str) -> str | None:
    """Where the artifacts of a new study go: beside an SQLite database; None leaves it to MLflow.

    For any database MLflow takes `mlruns` of the working folder: the artifacts of a study would
    lie wherever somebody stood, and be lost when only the database is moved or archived. And it
    takes a path, which it later reads as a URI: they would go to another folder where the path
    holds `%20`, or be lost at a `?`.
    """
    is_database = urlsplit(tracking_uri).scheme.partition("+")[0] in DATABASE_ENGINES
    file = sqlite_file(tracking_uri)
    folder = Path.cwd() if file is None else file.absolute().parent
    if not is_database or (file is None and quote(str(folder)) == str(folder)):
        return None
    return (folder / _ARTIFACTS / name).as_uri()


def attach_report(
    tracking_uri: str,
    parent_run_id: str,
    folder: Path,
    summary: str = "",
    scores: Mapping[str, float] | None = None,
) -> None:
    """Put the report with the study's parent run, in place of an earlier one.

    Args:
        tracking_uri: The store.
        parent_run_id: The run.
        folder: The report.
        summary: What it says in short, in Markdown, for the run's description; a person's own
            description stays.
        scores: The study's own metrics by name, such as the mean score of an arm; none is NaN.

    Raises:
        StudyHaltedError: If the store does not take it.
    """
    now_ms = int(time.time() * 1000)
    metrics = [Metric(metric_name(name), one, now_ms, 0) for name, one in (scores or {}).items()]

    def halted(reason: str, advice: str) -> StudyHaltedError:
        return StudyHaltedError(
            f"the report is in {folder}, but MLflow did not take it: {reason}; {advice}"
        )

    with store_failures(halted), artifact_errors():
        client = MlflowClient(tracking_uri=TrackingUri(tracking_uri).with_login)
        client.log_artifacts(parent_run_id, str(folder), REPORT)
        client.log_batch(parent_run_id, metrics=metrics)
        if summary and may_be_written(client.get_run(parent_run_id).data.tags.get(MLFLOW_NOTE)):
            text = tag_value(ended_text(summary, folder.resolve()))
            client.set_tag(parent_run_id, MLFLOW_NOTE, text)
