import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.machines.database_copy import (
    copy_database,
    count_trials,
    database_state,
    replace_database,
)


def _create(path: Path, *rows: tuple[str, str | None]) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE trials (state TEXT, datetime_complete TEXT)")
        database.executemany("INSERT INTO trials VALUES (?, ?)", rows)
    return path


def test_trials_are_counted(tmp_path: Path):
    rows = (("COMPLETE", "2030"), ("FAIL", "2030"), ("RUNNING", None), ("WAITING", None))
    assert count_trials(_create(tmp_path / "a b?#.db", *rows)) == (3, 2)


def test_a_copy_holds_the_same(tmp_path: Path):
    path = _create(tmp_path / "a.db", ("COMPLETE", "2030"))
    (tmp_path / "copy.db").write_bytes(copy_database(path))
    assert count_trials(tmp_path / "copy.db") == (1, 1)


def test_a_transaction_within_the_same_tick_of_the_clock_is_a_change(tmp_path: Path):
    path = _create(tmp_path / "a.db", ("RUNNING", None))
    states = {database_state(path)}
    for value in range(20):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE trials SET state = ?", (str(value),))
        states.add(database_state(path))
    assert len({counter for counter, *_ in states}) == 21


def test_what_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"x" * 1000)
    with pytest.raises(OSError, match=r"a\.db must be a database of Optuna"):
        count_trials(tmp_path / "a.db")
    with pytest.raises(OSError, match=r"none\.db must be a database of Optuna"):
        copy_database(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_the_log_of_the_older_database_goes_with_it(tmp_path: Path):
    path = _create(tmp_path / "a.db", ("RUNNING", None))
    newer = _create(tmp_path / "b.db", ("RUNNING", None), ("RUNNING", None))
    (tmp_path / "a.db-wal").write_bytes(b"of the older one")
    (tmp_path / "a.db-journal").write_bytes(b"of the older one")
    replace_database(path, newer)
    assert count_trials(path) == (2, 0)
    assert [one.name for one in tmp_path.iterdir()] == ["a.db"]
