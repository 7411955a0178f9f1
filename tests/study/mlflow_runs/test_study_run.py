"""Where the record of a study puts its files; what it writes is tested with the trials' runs."""

import pytest
import yaml
from mlflow.tracking import MlflowClient

from analysis.reading.sources.artifacts import read_artifact
from contract.mlflow_store.sqlite_address import sqlite_url
from study.mlflow_runs.study_run import StudyRun, check_store


@pytest.mark.parametrize("name", ["plain", "Urban%20Study", "what?x=1", "50% off #1 {a}", "grün é"])
def test_artifacts_of_a_folder_of_that_name_went_elsewhere(name, tmp_path, monkeypatch):
    folder = tmp_path / name
    (folder / "budgets").mkdir(parents=True)
    (folder / "budgets" / "a.json").write_text("{}")
    (folder / "study.yaml").write_text(yaml.safe_dump({"study_id": "i", "config": {"name": "s"}}))
    monkeypatch.chdir(folder)
    uri = sqlite_url(folder / "mlflow.db")  # MLflow keeps a store open for each URI
    check_store(uri)
    record = StudyRun(uri, "s")
    record.open(folder / "study.yaml", folder / "budgets")
    client = MlflowClient(tracking_uri=uri)
    assert [one.path for one in client.list_artifacts(record.parent_id, "budgets")] == [
        "budgets/a.json"
    ]
    place = client.get_run(record.parent_id).info.artifact_uri
    assert read_artifact(uri, record.parent_id, place, "budgets/a.json") == b"{}"
    (file,) = (folder / "mlruns").rglob("a.json")
    assert file.read_text() == "{}"
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert {one.name for one in folder.iterdir()} == {
        "budgets", "mlflow.db", "mlruns", "study.yaml"
    }  # fmt: skip
