"""SQLite files of Optuna and MLflow: there with all their tables, or not at all.

Both libraries create tables one by one, and neither opens a file again in which a process that was
killed has left only some of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import optuna
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

_SQLITE: Final = "sqlite:///"


def create_optuna_database(uri: str) -> None:
    """Create Optuna's tables, where there is no file yet."""

    def create(partial_uri: str) -> None:
        storage = optuna.storages.RDBStorage(partial_uri)
        storage.remove_session()
        storage.engine.dispose()

    _create_whole(uri, create)


def create_mlflow_database(uri: str) -> None:
    """Create MLflow's tables, where there is no file yet; another kind of store is left alone."""

    def create(partial_uri: str) -> None:
        store = SqlAlchemyStore(partial_uri, "mlruns")  # type: ignore[no-untyped-call]
        store.engine.dispose()

    _create_whole(uri, create)


def _create_whole(uri: str, create: Callable[[str], None]) -> None:
    path = Path(uri.removeprefix(_SQLITE).partition("?")[0])
    if not uri.startswith(_SQLITE) or path.exists() or not path.parent.is_dir():
        return
    for left in path.parent.glob(f".{path.name}.*.partial*"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        create(f"{_SQLITE}{partial}")
        if not path.exists():  # nobody else was faster
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
