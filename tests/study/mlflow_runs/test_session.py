"""The study's records in MLflow: opened, or refused in one line."""

import contextlib
import shutil
import sqlite3

import pytest
import yaml

from study.errors import StudyHaltedError
from study.mlflow_runs import session as recording
from trainables.errors import ConfigError


@pytest.fixture
def opened(make_config, store, tmp_path, monkeypatch):
    """A study that is prepared, and a database that is its own."""
    monkeypatch.chdir(tmp_path)
    database = shutil.copy(store.removeprefix("sqlite:///"), tmp_path / "own.db")
    config = make_config(tracking_uri=f"sqlite:///{database}")
    (config.folder / "budgets").mkdir(parents=True)
    content = {"study_id": "a1", "config": config.to_plain()}
    (config.folder / "study.yaml").write_text(yaml.safe_dump(content))
    return config, database


def test_a_database_that_another_process_writes_is_one_line(opened, caplog):
    """MLflow logged a traceback, and the study's own message held the statement."""
    config, database = opened
    recording.open_tracking(recording.tracking_uri(config))
    with contextlib.closing(sqlite3.connect(database)) as other:
        other.execute("begin immediate")
        with pytest.raises(StudyHaltedError, match="a database that another process holds") as it:
            recording.open_records(config)
    assert "INSERT" not in str(it.value)
    assert "wait for it" in str(it.value)
    assert caplog.text == ""
    record, _ = recording.open_records(config)
    assert record.parent_id


def test_a_database_that_cannot_be_written_is_one_line(opened, make_config):
    _, database = opened
    uri = f"sqlite:///file:{database}?mode=ro&uri=true"
    recording.open_tracking(uri)
    read_only = make_config(tracking_uri=uri)
    with pytest.raises(StudyHaltedError, match="a database that cannot be written") as caught:
        recording.open_records(read_only)
    assert "give write permission" in str(caught.value)


def test_where_a_study_is_recorded(make_config, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert recording.tracking_uri(make_config()) == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host")
    of_record = recording.tracking_uri(make_config(tracking_uri="http://host"))
    assert of_record.with_login == "http://me:s3cret@host"
    assert recording.tracking_uri(make_config()) == "http://host"


def test_a_store_that_cannot_be_used_stops_before_anything_is_written(make_config, tmp_path):
    with pytest.raises(ConfigError, match="a kind of store that MLflow does not know"):
        recording.open_tracking("ftp://me:s3cret@host")
    assert not (tmp_path / "studies").exists()
