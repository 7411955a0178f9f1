"""Databases appear with all their tables or not at all."""

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from mlflow.tracking import MlflowClient

from study.machines.databases import create_mlflow_database, create_optuna_database


def test_both_can_be_used_and_an_old_file_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'optuna.db'}"
    create_optuna_database(uri)
    optuna.create_study(storage=uri, study_name="a")
    create_optuna_database(uri)
    assert optuna.get_all_study_names(uri) == ["a"]
    create_mlflow_database("sqlite:///mlflow.db")
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    client.create_experiment("b")
    create_mlflow_database("sqlite:///mlflow.db")
    assert client.get_experiment_by_name("b") is not None
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["Urban%20Study", "what?x=1", "50% off #1 {a}"])
def test_a_folder_of_that_name_had_its_database_elsewhere(name, tmp_path, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    url = create_optuna_database(folder / "optuna.db")
    optuna.create_study(storage=url, study_name="a")
    assert create_optuna_database(f"sqlite:///{folder / 'optuna.db'}") == url
    assert optuna.get_all_study_names(url) == ["a"]
    create_mlflow_database("sqlite:///mlflow.db")
    assert {one.name for one in folder.iterdir()} == {"optuna.db", "mlflow.db"}
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_uri_that_stands_for_a_missing_folder_was_tried_for_hours(tmp_path):
    (tmp_path / "a%20b").mkdir()
    with pytest.raises(FileNotFoundError, match=r"a b must exist.*file%3A.*a%252520b"):
        create_mlflow_database(f"sqlite:///{tmp_path}/a%20b/mlflow.db")


@pytest.mark.parametrize("uri", ["http://localhost:5000", "sqlite:////no/such/folder/x.db"])
def test_another_store_is_left_alone(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_mlflow_database(uri)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_while_tables_are_created(tmp_path):
    """The file that was left could not be opened again: 'table alembic_version already exists'."""
    script = (
        "from study.machines.databases import create_mlflow_database as create;"
        "print(1, flush=True);"
        "create('sqlite:///mlflow.db')"
    )
    for moment_s in (0.3, 1.5):
        process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {script}"],
            cwd=tmp_path, stdout=subprocess.PIPE,
        )  # fmt: skip
        process.stdout.readline()
        time.sleep(moment_s)
        process.kill()
        process.wait()
        process.stdout.close()
    create_mlflow_database(f"sqlite:///{tmp_path / 'mlflow.db'}")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.search_experiments() is not None


ROOT = Path(__file__).parents[3]
