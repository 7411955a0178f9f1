"""The tracking store: which one, which studies it holds, and all runs of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from analysis.reading.schema import StudyDataError
from contract.mlflow_store.logins import TrackingUri
from contract.mlflow_store.pages import all_pages
from contract.mlflow_store.sqlite_address import sqlite_file
from contract.mlflow_store.tracking_store import (
    first_call,
    is_passing,
    limit_client,
    resolve,
    store_failures,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_answered: set[str] = set()
"""Stores that have answered this process."""


class UnknownStudyError(LookupError):
    """The tracking store holds no study of that name."""

    def __init__(self, name: str, known: tuple[str, ...], tracking_uri: str) -> None:
        listed = ", ".join(known) if known else "none"
        super().__init__(
            f"study must be one recorded in {TrackingUri(tracking_uri)}, got {name!r}; known "
            f"studies: {listed}"
        )
        self.known = known


class StoreAwayError(StudyDataError):
    """The tracking store does not answer now, and may in a while."""


def resolve_tracking_uri(tracking_uri: str | None) -> TrackingUri:
    """The tracking URI given, else MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.

    Raises:
        StudyDataError: If it is an SQLite file that does not exist (MLflow would create it).
    """
    uri = resolve(tracking_uri)
    try:
        path = sqlite_file(uri)
    except ModuleNotFoundError as error:
        raise _not_installed(uri, error) from error
    if path is not None and not path.is_file():
        raise StudyDataError(
            f"tracking URI must name an existing MLflow database, got {str(uri)!r} "
            f"(looked for {path}); give --tracking-uri, or run where the study ran"
        )
    return uri


def known_studies(tracking_uri: str) -> tuple[str, ...]:
    """Names of all studies in a tracking store, sorted."""
    client = open_store(tracking_uri)
    experiments = {e.experiment_id: e.name for e in all_pages(client.search_experiments)}
    if not experiments:
        return ()
    parents = all_runs(client, list(experiments), "tags.phase = 'study'")
    return tuple(sorted({experiments[run.info.experiment_id] for run in parents}))


def open_store(tracking_uri: str) -> MlflowClient:
    """A client of the tracking store at that URI, which has answered once.

    Raises:
        StudyDataError: If MLflow is not installed or knows no store of that kind, if the driver of
            a database is missing, or where a server or database does not answer.
    """
    uri = TrackingUri(tracking_uri)
    try:
        from mlflow.tracking import MlflowClient  # two seconds to import
    except ModuleNotFoundError as error:
        raise _not_installed(uri, error) from error
    limit_client()

    def refuse(reason: str, advice: str) -> StudyDataError:
        error = StoreAwayError if is_passing(reason) else StudyDataError
        if uri.is_server:
            return error(f"tracking server must answer, got {reason} from {uri}; {advice}")
        return error(
            f"tracking URI must be one that MLflow can open, got {str(uri)!r} ({reason}); {advice}"
        )

    with store_failures(refuse):
        client = MlflowClient(tracking_uri=uri.with_login)
        if uri.with_login not in _answered:
            with first_call():
                _ask(client, uri)
            _answered.add(uri.with_login)
    return client


def _ask(client: MlflowClient, uri: TrackingUri) -> None:
    if uri.is_database:  # once; MLflow would try for minutes, and tell every time
        import sqlalchemy

        sqlalchemy.create_engine(uri.with_login, poolclass=sqlalchemy.NullPool).connect()
    client.search_experiments(max_results=1)


def _not_installed(uri: TrackingUri, error: ModuleNotFoundError) -> StudyDataError:
    return StudyDataError(
        f"MLflow must be installed to read {uri}, got no module {error.name}; install what the "
        "extra analysis-mlflow lists, or give an exported study NAME.parquet"
    )


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Turns what MLflow raises while it is read into a message of one line.

    Raises:
        StudyDataError: With MLflow's first line, and what to do.
    """

    def refuse(reason: str, advice: str) -> StudyDataError:
        error = StoreAwayError if is_passing(reason) else StudyDataError
        return error(
            f"tracking store must be readable, got {reason!r} from {TrackingUri(uri)}; {advice}"
        )

    with store_failures(refuse):
        yield


def all_runs(client: MlflowClient, experiment_ids: list[str], filter_string: str) -> list[Run]:
    """All runs that a filter lets pass ("" = every run)."""
    return all_pages(partial(client.search_runs, experiment_ids, filter_string))
