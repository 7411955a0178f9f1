"""The study's records in MLflow while it runs: opened, uploaded, waited for, repaired."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from contract.mlflow_store.logins import TrackingUri, hide_logins
from contract.mlflow_store.tracking_store import limit_client, resolve, store_failures
from contract.names import BUDGETS, MANIFEST
from study.design.manifest import current_commit
from study.errors import StudyHaltedError
from study.mlflow_runs.study_run import StudyRun, check_store
from study.mlflow_runs.trial_runs import TrialRuns
from study.mlflow_runs.upload_queue import UploadQueue, now_ms
from study.settings.config import StudyConfig
from trainables.trial.folder.outcomes import ended_trials

_PATIENCE_S: Final = 600.0
"""How long the end of a study waits for a tracking server that is away."""
_PATIENCE_AT_STOP_S: Final = 5.0


def tracking_uri(config: StudyConfig) -> TrackingUri:
    """Where the study is recorded: as configured, by the environment, or beside the command."""
    return resolve(config.tracking_uri)


def open_tracking(uri: str) -> None:
    """Make sure that the store of records can be used.

    Raises:
        ConfigError: If it cannot.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r".*input example was not provided", UserWarning)
    limit_client()  # a server that is away is waited for, but not with a call that lasts minutes
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a trial
    check_store(uri)


def open_records(config: StudyConfig) -> tuple[StudyRun, TrialRuns]:
    """The runs of the study and of its trials, begun or gone on with.

    Raises:
        ConfigError: If artifacts would have to go to a path that is not of this machine.
        StudyHaltedError: If the store does not take the records.
    """
    with store_failures(_halted(tracking_uri(config))):
        return _open_records(config)


def _open_records(config: StudyConfig) -> tuple[StudyRun, TrialRuns]:
    record = StudyRun(tracking_uri(config), config.name, current_commit())
    return record, record.open(config.folder / MANIFEST, config.folder / BUDGETS)


def _halted(uri: TrackingUri) -> Callable[[str, str], StudyHaltedError]:
    def halted(reason: str, advice: str) -> StudyHaltedError:
        return StudyHaltedError(
            f"the tracking store must take the study's records, got {reason!r} from {uri}; {advice}"
        )

    return halted


@contextmanager
def uploading(
    record: StudyRun, runs: TrialRuns, times: Callable[[], Mapping[str, float]]
) -> Iterator[UploadQueue]:
    """Send records to MLflow; where the study stops before its end, its runs say so.

    Args:
        record: The study's run.
        runs: The runs of its trials.
        times: Returns the study's times, as `StudyRun.log_times` takes them.
    """
    queue = UploadQueue()
    try:
        yield queue
    except BaseException:
        if not queue.is_closed:
            queue.put(runs.stop)
            queue.put(record.log_times, times, now_ms())
            queue.put(record.stop)
            queue.close(_PATIENCE_AT_STOP_S)
        raise


def wait_for(queue: UploadQueue, uri: TrackingUri, say: Callable[[str], None]) -> None:
    """Wait until all records have arrived.

    Raises:
        StudyHaltedError: If the tracking server stays away.
    """
    if queue.is_away:
        say(f"waiting for the tracking server at {uri}; Ctrl-C to leave")
    if not queue.close(_PATIENCE_S):
        raise StudyHaltedError(
            f"all trials are done, but the tracking server at {uri} does not answer; their "
            "records wait on disk"
        )


def repair(
    config: StudyConfig,
    refused: str,
    num_failed: int,
    is_whole: bool,
    times: Callable[[], Mapping[str, float]],
    log_models: Callable[[TrialRuns], None],
) -> StudyRun:
    """Write all records again where MLflow refused some: somebody deleted a run, say.

    Args:
        config: The study.
        refused: What MLflow said.
        num_failed: Failed trials.
        is_whole: As in `StudyRun.close`.
        times: As in `StudyRun.log_times`.
        log_models: Puts the networks of confirmed arms with their runs.

    Raises:
        StudyHaltedError: If it refuses again.
    """
    refused = hide_logins(refused)

    def refused_again(reason: str, advice: str) -> StudyHaltedError:
        return StudyHaltedError(f"MLflow refused records: {refused}; then {reason}; {advice}")

    with store_failures(refused_again):
        record, runs = _open_records(config)
        for folder, outcome in ended_trials(config.trials_folder):
            runs.add(folder, outcome, now_ms())
        log_models(runs)
        record.log_times(times, now_ms())
        record.close(num_failed, is_whole)
    return record
