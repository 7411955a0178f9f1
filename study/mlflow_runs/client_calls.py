"""Calls to MLflow that its client leaves half done: pages, batches, errors of artifact stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from mlflow.entities import Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from contract.mlflow_store.pages import all_pages

_TAGS: Final = 100
"""Tags that MLflow takes in one call."""


@contextmanager
def artifact_errors() -> Iterator[None]:
    """Turn the errors of an artifact store's own library (S3's, say) into OSError."""
    try:
        yield
    except (MlflowException, OSError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def search_runs(
    client: MlflowClient,
    experiment_id: str,
    condition: str,
    view: int = ViewType.ACTIVE_ONLY,
) -> list[Run]:
    """All runs that fulfil a condition, the active ones unless told otherwise."""
    return all_pages(partial(client.search_runs, [experiment_id], condition, view))


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run, however many."""
    entries = [RunTag(name, value) for name, value in tags.items()]
    for first in range(0, len(entries), _TAGS):
        client.log_batch(run_id, tags=entries[first : first + _TAGS])
