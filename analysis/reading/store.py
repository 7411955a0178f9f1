"""The tracking store: which one, which studies it holds, and all runs of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from analysis.reading.sqlite_address import sqlite_file
from analysis.schema import StudyDataError, without_credentials

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
_PAGE_SIZE = 1000
_PATIENCE_S = 10.0
"""For a server's first answer."""


class UnknownStudyError(LookupError):
    """The tracking store holds no study of that name."""

    def __init__(self, name: str, known: tuple[str, ...], tracking_uri: str) -> None:
        listed = ", ".join(known) if known else "none"
        super().__init__(
            f"study must be one recorded in {tracking_uri}, got {name!r}; known studies: {listed}"
        )
        self.known = known


def resolve_tracking_uri(tracking_uri: str | None) -> str:
    """The tracking URI given, else MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.

    Raises:
        StudyDataError: If it is an SQLite file that does not exist (MLflow would create it).
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
    try:
        path = sqlite_file(uri)
    except ModuleNotFoundError as error:
        raise _not_installed(uri, error) from error
    if path is not None and not path.is_file():
        raise StudyDataError(
            f"tracking URI must name an existing MLflow database, got {uri!r} "
            f"(looked for {path}); give --tracking-uri, or run where the study ran"
        )
    return uri


def known_studies(tracking_uri: str) -> tuple[str, ...]:
    """Names of all studies in a tracking store, sorted."""
    client = open_store(tracking_uri)
    experiments = {e.experiment_id: e.name for e in _all_experiments(client)}
    if not experiments:
        return ()
    parents = all_runs(client, list(experiments), "tags.phase = 'study'")
    return tuple(sorted({experiments[run.info.experiment_id] for run in parents}))


def open_store(tracking_uri: str) -> MlflowClient:
    """A client of the tracking store at that URI.

    Raises:
        StudyDataError: If MLflow is not installed or knows no store of that kind, or where a
            server does not answer.
    """
    try:
        from mlflow.exceptions import MlflowException  # two seconds to import
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise _not_installed(tracking_uri, error) from error
    if tracking_uri.startswith(("http://", "https://")):
        _check_server(tracking_uri)
    try:
        return MlflowClient(tracking_uri=tracking_uri)
    except MlflowException as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyDataError(
            "tracking URI must be one that MLflow can open, got "
            f"{without_credentials(tracking_uri)!r} ({reason})"
        ) from error


def _not_installed(uri: str, error: ModuleNotFoundError) -> StudyDataError:
    return StudyDataError(
        f"MLflow must be installed to read {without_credentials(uri)}, got no module "
        f"{error.name}; install what the extra analysis-mlflow lists, or give an exported "
        "study NAME.parquet"
    )


def _check_server(uri: str) -> None:
    """Asks once: MLflow itself would try for minutes."""
    try:
        with urlopen(f"{uri.rstrip('/')}/health", timeout=_PATIENCE_S):
            return
    except HTTPError:  # somebody answers; whether it is MLflow, and lets us in, shows next
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StudyDataError(
            f"tracking server must answer, got {reason} from {without_credentials(uri)}"
        ) from error


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turns what MLflow raises while it is read into a message of one line.

    Raises:
        StudyDataError: With MLflow's first line.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise StudyDataError(
            f"tracking store must be readable, got {reason!r} from {without_credentials(uri)}"
        ) from error


def _all_experiments(client: MlflowClient) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE_SIZE, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def all_runs(client: MlflowClient, experiment_ids: list[str], filter_string: str) -> list[Run]:
    """All runs that a filter lets pass ("" = every run), from as many pages as it takes."""
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
