"""The record of a study in MLflow; the driver alone writes it.

One parent run per study, one child run per trial, each trial once: a trial that was interrupted
or failed starts its run anew and hands over all its rows again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from study.arms import arm_name
from trainables.config import TrialConfig
from trainables.errors import ConfigError
from trainables.model_file import TRIAL_FOLDER_TAG
from trainables.trial import CONFUSION, PICTURE, RESULT

TRACEBACK: Final = "traceback.txt"
_TRAINING_VIEW: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Spares the MLflow UI the guess of an experiment's kind; its switch still sets the view."""
_BATCH: Final = 1000
"""Metrics that MLflow takes in one call."""


def check_store(tracking_uri: str) -> None:
    """Refuse a store that MLflow cannot open; a database gets its tables.

    Raises:
        ConfigError: With MLflow's own words.
    """
    try:
        MlflowClient(tracking_uri=tracking_uri).search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise ConfigError(
            "--tracking-uri (or MLFLOW_TRACKING_URI) must be an MLflow server or database, got "
            f"{tracking_uri!r}: {' '.join(str(error).split())}"
        ) from None


class StudyRecord:
    """Writes one study to MLflow."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        """Connect, and create the experiment where it is missing.

        Raises:
            MlflowException: If the server or database cannot be reached or written.
        """
        self._client = MlflowClient(tracking_uri=tracking_uri)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None and experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        self._experiment_id: str = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(name, tags=_TRAINING_VIEW)
        )
        self._name = name
        self.parent_id = ""
        """Run of the study, once it is open."""
        self._run_ids: dict[str, str] = {}
        self._failed: set[str] = set()

    @property
    def num_failed(self) -> int:
        """Trials whose run ended as failed, in this or an earlier run of the study."""
        return len(self._failed)

    def open(self, manifest: Path, budgets: Path) -> None:
        """Begin the parent run, or take up that of the same study; a name alone is not enough.

        Args:
            manifest: `study.yaml`.
            budgets: Folder of the budgets' manifests and pictures.
        """
        content = yaml.safe_load(manifest.read_text())
        study_id = content["study_id"]
        found = self._search(f"tags.phase = 'study' and tags.study_id = '{study_id}'")
        if found:
            self.parent_id = found[0].info.run_id
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
            run = self._client.create_run(self._experiment_id, tags=tags)
            self.parent_id = run.info.run_id
            entries = [Param(name, str(value)[:6000]) for name, value in content["config"].items()]
            self._client.log_batch(self.parent_id, params=entries)
        self._client.log_artifact(self.parent_id, str(manifest))
        self._client.log_artifacts(self.parent_id, str(budgets), budgets.name)
        for run in self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_id}'"):
            key = run.data.tags["trial_key"]
            if run.info.status in ("FINISHED", "FAILED") and key not in self._run_ids:
                self._run_ids[key] = run.info.run_id
                if run.info.status == "FAILED":
                    self._failed.add(key)
            else:
                self._client.delete_run(run.info.run_id)

    def begin_trial(self, trial: TrialConfig) -> None:
        """Create the child run; an earlier one of this trial goes."""
        if trial.key in self._run_ids:
            self._client.delete_run(self._run_ids[trial.key])
            self._failed.discard(trial.key)
        tags = {
            MLFLOW_PARENT_RUN_ID: self.parent_id,
            MLFLOW_RUN_NAME: trial.key,
            "trial_key": trial.key,
            "phase": trial.phase,
            "arm": arm_name(trial.model, trial.label_frac),
            "model": trial.model,
            "label_frac": repr(trial.label_frac),
            "seed": str(trial.seed),
            "status": "running",
        }
        run = self._client.create_run(self._experiment_id, tags=tags)
        self._run_ids[trial.key] = run.info.run_id
        fields = trial.to_plain()["training"] | {
            "model": trial.model,
            "label_frac": trial.label_frac,
            "seed": trial.seed,
        }
        entries = [Param(name, str(value)) for name, value in fields.items()]
        self._client.log_batch(run.info.run_id, params=entries)

    def log_rows(self, key: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Append to the curves of a trial; a measure that is not defined (NaN) has no point."""
        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, int(row["step"]))
            for row in rows
            for name, value in row.items()
            if name != "step" and not math.isnan(value)
        ]
        for first in range(0, len(metrics), _BATCH):
            self._client.log_batch(self._run_ids[key], metrics=metrics[first : first + _BATCH])

    def finish_trial(self, key: str, folder: Path, record: Mapping[str, Any]) -> None:
        """Write the final measures and artifacts of a trial and end its run.

        Args:
            key: The trial.
            folder: Where it wrote.
            record: Its result record.
        """
        run_id = self._run_ids[key]
        for name in (CONFUSION, PICTURE, RESULT):
            if (folder / name).exists():
                self._client.log_artifact(run_id, str(folder / name))
        step, now = record["trial"]["training"]["steps"], int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, now, step)
                for name, value in record["metrics"].items()
                if not math.isnan(value)
            ],
            tags=[
                RunTag("status", "finished"),
                RunTag("converged", json.dumps(record["converged"])),
                RunTag(TRIAL_FOLDER_TAG, str(folder.resolve())),
            ],
        )
        self._client.set_terminated(run_id, status="FINISHED")

    def fail_trial(self, key: str, traceback: str) -> None:
        """End a trial's run as failed, with the traceback as artifact."""
        self._failed.add(key)
        run_id = self._run_ids[key]
        self._client.log_text(run_id, traceback, TRACEBACK)
        self._client.set_tag(run_id, "status", "failed")
        self._client.set_terminated(run_id, status="FAILED")

    def add_missing(self, trial: TrialConfig, folder: Path, record: Mapping[str, Any]) -> None:
        """Record a finished trial whose run never arrived or was cut off."""
        if trial.key in self._run_ids and trial.key not in self._failed:
            return
        self.begin_trial(trial)
        self.log_rows(trial.key, record["history"])
        self.finish_trial(trial.key, folder, record)

    def close(self, num_failed: int) -> None:
        """End the parent run; a study with failed trials has finished and says how many."""
        self._client.set_tag(self.parent_id, "status", "finished")
        self._client.set_tag(self.parent_id, "num_failed", num_failed)
        self._client.set_terminated(self.parent_id, status="FINISHED")

    def _search(self, condition: str) -> list[Run]:
        found: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id],
                filter_string=condition,
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=1000,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found


def attach_report(tracking_uri: str, parent_run_id: str, folder: Path) -> None:
    """Put the report with the study's parent run, in place of an earlier one."""
    MlflowClient(tracking_uri=tracking_uri).log_artifacts(parent_run_id, str(folder), "report")
