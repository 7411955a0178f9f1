"""Logs a confirmed network as a model of MLflow, the output of its trial's run.

It may be called again after it was cut off anywhere: one model arises, and is completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import requests
from mlflow.entities import (
    LifecycleStage,
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Run,
)
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_MODELS, MLFLOW_RUN_NOTE

from contract.mlflow_store.artifact_uri import local_folder
from contract.mlflow_store.logins import hide_logins
from contract.mlflow_store.pages import all_pages
from study.mlflow_runs.client_calls import artifact_errors
from study.mlflow_runs.shown.model_folder import (
    drop_weights,
    model_name,
    share_weights,
    written_model,
)
from trainables.errors import DataError
from trainables.networks.model_file import TrainedModel

_REFUSALS: Final = ("BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED")
"""MLflow's words for what it would refuse again. Not among them: a run that a person deleted, whose
records are then written anew."""
_MAY_PASS: Final = (401, 408, 429)
"""HTTP statuses of requests that are worth another try."""
_SCORES: Final = "test/"
"""Metrics of a run whose names begin so are those of its model too."""


def log_model(client: MlflowClient, run: Run, file: Path, own_code: Sequence[str] = ()) -> None:
    """Log the network of a confirmed arm, unless its run has a model.

    A network that an earlier session chose, of fewer seeds, stays with its own run: it may have
    been registered.

    Args:
        client: The store.
        run: The run of the trial that is kept, as it is now.
        file: The trial's model file.
        own_code: Files and folders of networks of a person's own.

    Raises:
        DataError: If the file is damaged, or the server refuses models or is too old for them.
        MlflowException: If the run is deleted, or the store does not take what is sent.
    """
    run_id = run.info.run_id
    if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
        raise MlflowException(f"run {run_id} is deleted", RESOURCE_DOES_NOT_EXIST)
    if MLFLOW_LOGGED_MODELS in run.data.tags or (run.outputs and run.outputs.model_outputs):
        return
    trained = TrainedModel.load(file)
    with _models_refused():
        logged = _model_of(client, run)
        if logged.status != LoggedModelStatus.READY:
            _upload(client, logged, file, trained, own_code)
        client.log_batch(run_id, metrics=_scores(client, run, logged))
    # A request that was repeated is refused although the first has arrived: not for good.
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _model_of(client: MlflowClient, run: Run) -> LoggedModel:
    """The model of a run: the one that an earlier attempt began, or else a new one."""
    experiment_id, run_id = run.info.experiment_id, run.info.run_id
    name = model_name(run.data.tags.get("arm", "network"))

    def find() -> list[LoggedModel]:
        search = partial(client.search_logged_models, [experiment_id], f"name = '{name}'")
        found = [one for one in all_pages(search) if one.source_run_id == run_id]
        return sorted(found, key=lambda one: one.status != LoggedModelStatus.READY)

    known = find()
    if not known:
        note = run.data.tags.get(MLFLOW_RUN_NOTE)
        tags = None if note is None else {MLFLOW_RUN_NOTE: note}
        made = client.create_logged_model(experiment_id, name, run_id, tags, run.data.params)
        known = find() or [made]  # two, where a request was repeated whose answer was lost
    for one in known[1:]:
        if one.status != LoggedModelStatus.READY:
            client.delete_logged_model(one.model_id)
    return known[0]


def _upload(
    client: MlflowClient,
    logged: LoggedModel,
    file: Path,
    trained: TrainedModel,
    own_code: Sequence[str],
) -> None:
    """Write the model's files and call it complete."""
    stored = local_folder(logged.artifact_location)
    if stored is not None:
        drop_weights(stored)
    with written_model(file, trained, logged, own_code) as folder, artifact_errors():
        client.log_model_artifacts(logged.model_id, str(folder))
    if stored is not None:
        share_weights(file, stored)
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)


def _scores(client: MlflowClient, run: Run, logged: LoggedModel) -> list[Metric]:
    """The test scores of a run, as those of its model.

    They have the times of the run's own points, of which the store keeps each once.
    """
    used = [one.dataset for one in run.inputs.dataset_inputs] if run.inputs else []
    on = (used[0].name, used[0].digest) if used else (None, None)
    return [
        Metric(name, point.value, point.timestamp, point.step, logged.model_id, *on)
        for name in run.data.metrics
        if name.startswith(_SCORES)
        for point in client.get_metric_history(run.info.run_id, name)
    ]


@contextmanager
def _models_refused() -> Iterator[None]:
    """Have a server that takes runs and not models named: the study ends well without them."""
    try:
        yield
    except MlflowException as error:
        if error.error_code == "ENDPOINT_NOT_FOUND":
            raise DataError("the MLflow server keeps none before version 3") from None
        if error.error_code not in _REFUSALS:
            raise
        raise DataError(f"the MLflow server refuses it: {_one_line(error)}") from None
    except requests.HTTPError as error:  # of an upload of files
        status = 0 if error.response is None else error.response.status_code
        if not 400 <= status < 500 or status in _MAY_PASS:
            raise
        raise DataError(f"the MLflow server refuses its files: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return hide_logins(" ".join(str(error).split()))
