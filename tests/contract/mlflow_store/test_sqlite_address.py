"""A path as a URL, and back, as SQLAlchemy, Optuna and MLflow see it."""

import os
from pathlib import Path

import optuna
import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import create_engine, text

from contract.mlflow_store.sqlite_address import sqlite_file, sqlite_url

NAMES = [
    "plain",
    "50% off #1 {a}",
    "Urban%20Study",
    "what?x=1&mode=memory",
    "grün é",
    "{SCHEMA}",
    "a:b@c",
]


def opened(uri: str) -> None:
    engine = create_engine(uri)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE one (x)"))
    engine.dispose()


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_opened_where_it_lies_and_nowhere_else(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    for file in (folder / "x.db", Path(name) / f"{name}.db"):
        url = sqlite_url(file)
        assert sqlite_file(url) == file.absolute()
        opened(url)
        assert file.is_file()
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("name", NAMES)
def test_optuna_and_mlflow_open_it_too(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    optuna.create_study(storage=sqlite_url(folder / "optuna.db"), study_name="a")
    store = SqlAlchemyStore(sqlite_url(folder / "mlflow.db"), "mlruns")
    store.create_experiment("b")
    store.engine.dispose()
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert {one.name for one in folder.iterdir()} == {"optuna.db", "mlflow.db"}


@pytest.mark.parametrize(
    "written",
    [
        "sqlite:///a.db", "sqlite:///sub/a.db", "sqlite:///{root}/a.db", "sqlite:///{root}/a%20b.db",
        "sqlite:///{root}/a.db?timeout=3", "sqlite+pysqlite:///a.db",
        "sqlite:///file:{root}/a%2520b.db?uri=true", "sqlite:///file:a.db?mode=rwc&uri=true",
        "sqlite:///file://{root}/a.db?uri=true", "sqlite:///file://localhost{root}/a.db?uri=true",
    ],
)  # fmt: skip
def test_the_file_is_the_one_that_sqlalchemy_creates(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    uri = written.replace("{root}", str(tmp_path))
    opened(uri)
    (created,) = (one for one in tmp_path.rglob("*") if one.is_file())
    assert sqlite_file(uri) == created


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true", "http://host/sqlite:///x.db", "mlruns",
        "postgresql://host/x", "sqlite:/x", "sqlite+none:///x.db", "sqlite:///x.db?timeout=soon",
    ],
)  # fmt: skip
def test_no_file(uri):
    assert sqlite_file(uri) is None
    assert not Path("x").exists()


def test_the_url_holds_whatever_folder_one_works_in_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = sqlite_url(Path("a.db"))
    monkeypatch.chdir(os.sep)
    opened(url)
    assert (tmp_path / "a.db").is_file()
