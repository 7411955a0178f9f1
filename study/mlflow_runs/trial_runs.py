"""The runs of a study's trials in MLflow: one each, whatever happened in between.

Every method may be called again after it failed half way: nothing arrives twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from mlflow.entities import DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
)

from contract.methods import serves
from contract.names import (
    CONFUSION,
    MAPS,
    MEASURES_TAG,
    PICTURE,
    RESULT,
    TRACEBACK,
    TRIAL_FOLDER_TAG,
)
from contract.parameters import PARAMETERS
from study.design.arms import arm_of
from study.mlflow_runs.client_calls import artifact_errors, search_runs
from study.mlflow_runs.names import MetricNames, param_value, tag_value
from study.mlflow_runs.shown.descriptions import may_be_written, trial_text
from study.mlflow_runs.shown.logged_model import log_model
from study.mlflow_runs.shown.metrics import ShownMetrics
from study.mlflow_runs.shown.source import source_tags
from trainables.settings.config import TrialConfig
from trainables.training.trace import PROFILE
from trainables.trial.folder.outcomes import Outcome, Rows

_BATCH: Final = 500
"""Metrics of one call; MLflow takes 1000 and a megabyte, which long names fill before."""
_ENDED: Final = ("FINISHED", "FAILED")
_EVERY_ROW: Final = "train/loss"
_FINAL_STEP: Final = 0
"""Step of what a trial ended with: MLflow draws metrics without any other as bars, one per run."""


class TrialRuns:
    """Writes the child runs of one study."""

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        parent_id: str,
        commit: str | None,
        names: MetricNames | None = None,
        labels: Mapping[str, str] | None = None,
        shown: ShownMetrics | None = None,
        data_set: DatasetInput | None = None,
    ) -> None:
        """Take up the runs there are; of several of one trial, the one that got furthest stays.

        Args:
            client: The store.
            experiment_id: The study's experiment.
            parent_id: The study's own run.
            commit: Of the code that runs the trials now, if known.
            names: Of the study's metrics; None where no class needs another one.
            labels: What people call the study's variants, by name; their names where it says
                nothing.
            shown: Which numbers are metrics; None for a study whose classes are not known.
            data_set: What the trials are trained on; None where it is not known.
        """
        self._shown = shown or ShownMetrics()
        self._data_set = data_set
        self._labels = labels or {}
        self._client = client
        self._experiment_id = experiment_id
        self._parent_id = parent_id
        self._commit = commit
        self._names = names or MetricNames()
        self._ids: dict[str, str] = {}
        self._asked: set[str] = set()
        """Trials whose run was asked for before, and may be there although nobody said so."""
        self._ended: set[str] = set()
        self._last_step: dict[str, int] = {}
        by_key: dict[str, list[Run]] = {}
        for run in search_runs(client, experiment_id, self._is_child):
            by_key.setdefault(run.data.tags["trial_key"], []).append(run)
        for key, runs in by_key.items():
            self._keep_one(key, runs)

    @property
    def _is_child(self) -> str:
        return f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self._parent_id}'"

    def find_id(self, key: str) -> str | None:
        """Id of a trial's run; None where none has begun, as with a server that is away."""
        return self._ids.get(key)

    def begin(self, trial: TrialConfig) -> None:
        """Go on with the run of an interrupted trial, or start one.

        A run goes that had ended, or whose trial begins again with other values.
        """
        key = trial.key
        # A server that went away may have created a run and not said so; a person may have deleted
        # one that was there.
        if key in self._asked or key in self._ids:
            condition = f"{self._is_child} and tags.trial_key = '{key}'"
            self._keep_one(key, search_runs(self._client, self._experiment_id, condition))
        self._asked.add(key)
        if key in self._ended or (key in self._ids and self._has_other_values(trial)):
            self._client.delete_run(self._ids[key])
            self._forget(key)
        tags = {
            MLFLOW_PARENT_RUN_ID: self._parent_id,
            MLFLOW_RUN_NAME: self._run_name(trial),
            "trial_key": key,
            "phase": trial.phase,
            "arm": arm_of(trial),
            "variant": trial.variant or trial.model,
            "model": trial.model,
            "label_frac": repr(trial.label_frac),
            "seed": str(trial.seed),
            "status": "running",
        }
        tags |= source_tags(self._commit)
        if key in self._ids:
            entries = [RunTag(name, value) for name, value in tags.items()]
            self._client.log_batch(self._ids[key], tags=entries)
            self._client.update_run(self._ids[key], status="RUNNING")
        else:
            run = self._client.create_run(self._experiment_id, tags=tags)
            self._ids[key] = run.info.run_id
            self._last_step[key] = -1
        self._client.log_batch(self._ids[key], params=_params(trial))
        if self._data_set is not None:
            self._client.log_inputs(self._ids[key], [self._data_set])

    def _run_name(self, trial: TrialConfig) -> str:
        """What people see in the list of runs: `U-REC, 1 %, seed 2`; the key stands in a tag."""
        name = trial.variant or trial.model
        place = trial.key.removeprefix(f"{trial.phase}-{arm_of(trial)}-")
        what = f"seed {trial.seed}" if trial.phase == "confirm" else f"search {place}"
        return f"{self._labels.get(name, name)}, {100 * trial.label_frac:.6g} %, {what}"

    def log_rows(self, key: str, rows: Rows, time_ms: int) -> None:
        """Append to the curves of a trial; a measure that is not defined (NaN) has no point.

        Args:
            key: The trial.
            rows: Rows in order; those that are on record already are passed over, as a trial that
                goes on from its checkpoint reports all of them again.
            time_ms: When they were reported, the same when the call is repeated.
        """
        self._require(key)
        last = self._find_last_step(key)
        batch: list[Metric] = []
        for row in rows:
            step = int(row["step"])
            if step <= last:
                continue
            points = [
                Metric(self._names.of(name), value, time_ms, step)
                for name, value in row.items()
                if name != "step" and self._shown.holds(name) and not math.isnan(value)
            ]
            if len(batch) + len(points) > _BATCH:
                self._client.log_batch(self._ids[key], metrics=batch)
                batch = []
            batch += points
        if batch:
            self._client.log_batch(self._ids[key], metrics=batch)
            self._last_step[key] = max(metric.step for metric in batch)

    def end(self, folder: Path, outcome: Outcome, time_ms: int) -> None:
        """Write the final measures, artifacts and status of a trial and end its run."""
        key, record = outcome.trial.key, outcome.record
        self.log_rows(key, outcome.history, time_ms)
        run_id = self._ids[key]
        names = (TRACEBACK,) if outcome.state == "failed" else (CONFUSION, PICTURE, RESULT)
        for name in names:
            if (folder / name).exists():
                with artifact_errors():
                    self._client.log_artifact(run_id, str(folder / name))
        if outcome.state == "finished" and (folder / MAPS).is_dir():
            with artifact_errors():
                self._client.log_artifacts(run_id, str(folder / MAPS), MAPS)
        if (folder / PROFILE).is_dir():
            with artifact_errors():
                self._client.log_artifacts(run_id, str(folder / PROFILE), PROFILE)
        tags = {"status": outcome.state, "attempts": str(outcome.attempts)}
        metrics = []
        if outcome.state == "finished":
            tags["converged"] = json.dumps(record["converged"])
            tags[TRIAL_FOLDER_TAG] = str(folder.resolve())
            tags[MEASURES_TAG] = self._shown.rest(record["metrics"])
            if record.get("damaged_checkpoints"):
                tags["damaged_checkpoints"] = "; ".join(record["damaged_checkpoints"])
            known = self._client.get_run(run_id).data  # an end that was cut off may have left some
            if may_be_written(known.tags.get(MLFLOW_RUN_NOTE)):
                tags[MLFLOW_RUN_NOTE] = trial_text(record)
            metrics = [
                Metric(self._names.of(name), value, time_ms, _FINAL_STEP)
                for name, value in record["metrics"].items()
                if self._shown.holds(name)
                and self._names.of(name) not in known.metrics
                and not math.isnan(value)
            ]
        if metrics:
            self._client.log_batch(run_id, metrics=metrics)
        entries = [RunTag(name, tag_value(value)) for name, value in tags.items()]
        self._client.log_batch(run_id, tags=entries)
        status = "FAILED" if outcome.state == "failed" else "FINISHED"
        self._client.set_terminated(run_id, status=status)
        self._ended.add(key)

    def add(self, folder: Path, outcome: Outcome, time_ms: int) -> None:
        """Record a trial that has ended on disk, unless its run has ended too."""
        if outcome.trial.key not in self._ended:
            self.begin(outcome.trial)
            self.end(folder, outcome, time_ms)

    def log_model(self, file: Path, own_code: Sequence[str] = ()) -> None:
        """Log the network that a trial keeps as a model of MLflow; see `logged_model.log_model`.

        Args:
            file: The model file in the folder of the trial.
            own_code: Files and folders of networks of a person's own.
        """
        key = file.parent.name
        self._require(key)
        log_model(self._client, self._client.get_run(self._ids[key]), file, own_code)

    def stop(self) -> None:
        """Mark the runs that have not ended: the study was stopped and can be continued."""
        for key, run_id in self._ids.items():
            if key not in self._ended:
                self._client.set_tag(run_id, "status", "stopped")
                self._client.set_terminated(run_id, status="KILLED")

    def _has_other_values(self, trial: TrialConfig) -> bool:
        """Whether a trial's run was begun with other values, which MLflow never changes."""
        known = self._client.get_run(self._ids[trial.key]).data.params
        return any(known.get(one.key, one.value) != one.value for one in _params(trial))

    def _require(self, key: str) -> None:
        """Refuse what belongs to a run that could not be created."""
        if key not in self._ids:
            raise MlflowException(f"trial {key} has no run", RESOURCE_DOES_NOT_EXIST)

    def _keep_one(self, key: str, runs: Iterable[Run]) -> None:
        found = sorted(runs, key=lambda run: (run.info.status not in _ENDED, run.info.start_time))
        for run in found[1:]:
            self._client.delete_run(run.info.run_id)
        if not found:
            self._forget(key)
        elif self._ids.get(key) != found[0].info.run_id:
            self._forget(key)
            self._ids[key] = found[0].info.run_id
        if found and found[0].info.status in _ENDED:
            self._ended.add(key)

    def _forget(self, key: str) -> None:
        self._ids.pop(key, None)
        self._ended.discard(key)
        self._last_step.pop(key, None)

    def _find_last_step(self, key: str) -> int:
        if key not in self._last_step:
            points = self._client.get_metric_history(self._ids[key], _EVERY_ROW)
            self._last_step[key] = max((point.step for point in points), default=-1)
        return self._last_step[key]


def _params(trial: TrialConfig) -> list[Param]:
    """What the trial was told, without the parameters that its method does not have."""
    values = trial.to_plain()["training"]
    values |= values.pop("method_parameters")
    values |= {"model": trial.model, "label_frac": trial.label_frac, "seed": trial.seed}
    if trial.encoder is not None:
        values["encoder"] = trial.encoder
    has = {one.name: serves(one, trial.unannotated, trial.network) for one in PARAMETERS.values()}
    return [
        Param(name, param_value(value)) for name, value in values.items() if has.get(name, True)
    ]
