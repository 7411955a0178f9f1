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


@pytest.fixture
def record_study(store, tmp_path):
    """Puts a study on record, again where it was; returns parameters and tags of its run."""

    def record(name, content):
        (tmp_path / "budgets").mkdir(exist_ok=True)
        manifest = tmp_path / "study.yaml"
        manifest.write_text(yaml.safe_dump({"study_id": name, **content}))
        study_run = StudyRun(store, name)
        study_run.open(manifest, tmp_path / "budgets")
        return MlflowClient(tracking_uri=store).get_run(study_run.parent_id).data

    return record


def test_seeds_that_grew_kept_their_first_value(record_study):
    """MLflow's parameters never change, so that the study's run said 7 with 14 seeds on record."""
    first = record_study("grows", {"config": {"name": "grows", "seeds": 7, "w1": 0.1}})
    assert (first.tags["seeds"], first.params["w1"]) == ("7", "0.1")
    assert "seeds" not in first.params
    grown = record_study("grows", {"config": {"name": "grows", "seeds": [7, 14], "w1": 0.1}})
    assert grown.tags["seeds"] == "[7, 14]"
    assert grown.params == first.params


def test_the_run_says_how_many_steps_equal_compute_is(record_study):
    compute = {
        "flop": 300,
        "variants": [
            {"name": "urec-w1-0.1", "steps": 30, "flop_per_step": 10},
            {"name": "unet", "steps": 60, "flop_per_step": 5},
        ],
    }
    found = record_study("equal", {"config": {"name": "equal", "equal": "compute"},
                                   "compute": compute}).params  # fmt: skip
    assert found == {
        "name": "equal", "equal": "compute", "flop_per_trial": "300",
        "steps/urec-w1-0.1": "30", "flop_per_step/urec-w1-0.1": "10",
        "steps/unet": "60", "flop_per_step/unet": "5",
    }  # fmt: skip
