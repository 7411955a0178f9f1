"""SQLite files of Optuna and MLflow: there with all their tables, or not at all.

Both libraries create tables one by one, and neither opens a file again in which a process that was
killed has left only some of them.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import optuna
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from contract.mlflow_store.sqlite_address import sqlite_file, sqlite_url

OPTUNA_DATABASE: Final = "optuna.db"
"""In the folder of a study."""
_SQLITE: Final = "sqlite:///"


def create_optuna_database(database: Path | str) -> str:
    """Create Optuna's tables, where there is no file yet.

    Args:
        database: The file, or `sqlite:///` and its path as it is, nothing quoted.

    Returns:
        The URL under which Optuna opens that file, and no other.
    """
    path = Path(database.removeprefix(_SQLITE)) if isinstance(database, str) else database

    def create(partial_uri: str) -> None:
        storage = optuna.storages.RDBStorage(partial_uri)
        storage.remove_session()
        storage.engine.dispose()

    _create_whole(path, create)
    return sqlite_url(path)


def create_mlflow_database(uri: str) -> None:
    """Create MLflow's tables, where there is no file yet; another kind of store is left alone.

    Args:
        uri: Of the store, as MLflow takes it.

    Raises:
        FileNotFoundError: If the folder is missing in which the database would lie, and the URI
            writes it in another way: MLflow would create that one, and then try for hours.
    """
    path = sqlite_file(uri)
    if path is None:
        return
    written = Path(uri.partition(":///")[2]).absolute()
    if not path.parent.is_dir() and written.parent != path.parent:
        raise FileNotFoundError(
            f"the folder {path.parent} must exist, for that is what the URI stands for; write "
            f"the file that is meant as {sqlite_url(written)}"
        )

    def create(partial_uri: str) -> None:
        store = SqlAlchemyStore(partial_uri, "mlruns")  # type: ignore[no-untyped-call]
        store.engine.dispose()

    _create_whole(path, create)


def remove_journals(path: Path) -> None:
    """Remove what SQLite keeps beside a database that another one takes the place of."""
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create_whole(path: Path, create: Callable[[str], None]) -> None:
    if path.exists() or not path.parent.is_dir():
        return
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial*"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        create(sqlite_url(partial))
        if not path.exists():  # nobody else was faster
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
