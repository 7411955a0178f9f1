"""Copies of Optuna's SQLite file that are whole, whoever writes to it meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

_COUNTER = slice(24, 28)
"""Bytes of the file's head that every transaction changes (SQLite file format, 1.3.7)."""

DatabaseState = tuple[bytes, tuple[int, int], tuple[int, int] | None]
"""Counter, size and time of the file; size and time of its log, if any. They change with it."""


def database_state(path: Path) -> DatabaseState:
    """What tells whether a database has changed, without opening it.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    with path.open("rb") as file:
        counter = file.read(_COUNTER.stop)[_COUNTER]
    found, log = path.stat(), _log(path)
    return (
        counter,
        (found.st_size, found.st_mtime_ns),
        (log.stat().st_size, log.stat().st_mtime_ns) if log.exists() else None,
    )


def copy_database(path: Path) -> bytes:
    """Content of an SQLite file as of its last complete transaction.

    Raises:
        OSError: If it cannot be read.
    """
    with _open(path) as source, closing(sqlite3.connect(":memory:")) as copy:
        source.backup(copy)
        return copy.serialize()


def count_trials(path: Path) -> tuple[int, int]:
    """How far a database of Optuna has got: trials that were asked for, and those that ended.

    Raises:
        OSError: If it is no database of Optuna.
    """
    with _open(path) as source:
        asked, ended = source.execute(
            "SELECT count(*), count(datetime_complete) FROM trials WHERE state != 'WAITING'"
        ).fetchone()
    return int(asked), int(ended)


def replace_database(path: Path, newer: Path) -> None:
    """Put a database in the place of another one that nobody has open."""
    for beside in (_log(path), path.with_name(f"{path.name}-shm"), _journal(path)):
        beside.unlink(missing_ok=True)
    newer.replace(path)


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        uri = f"file:{quote(str(path.absolute()))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise OSError(f"{path} must be a database of Optuna, got: {error}") from error


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")
