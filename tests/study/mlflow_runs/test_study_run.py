"""Where the record of a study puts its files; what it writes is tested with the trials' runs."""

import pytest
import yaml
from mlflow.data import get_source
from mlflow.data.dataset_source import DatasetSource
from mlflow.tracking import MlflowClient

from analysis.reading.sources.artifacts import read_artifact
from contract.mlflow_store.sqlite_address import sqlite_url
from study.mlflow_runs.study_run import StudyRun, attach_report, check_store


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


def test_artifacts_lay_in_mlruns_of_wherever_one_stood(tmp_path, monkeypatch):
    """A database that was copied or archived with its folder had lost all pictures and reports."""
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    (archive / "budgets").mkdir(parents=True)
    elsewhere.mkdir()
    (archive / "study.yaml").write_text(yaml.safe_dump({"study_id": "i", "config": {}}))
    monkeypatch.chdir(elsewhere)
    uri = f"sqlite:///{archive}/mlflow.db"
    check_store(uri)
    StudyRun(uri, "s").open(archive / "study.yaml", archive / "budgets")
    assert list(elsewhere.iterdir()) == []
    (file,) = (archive / "mlruns" / "s").rglob("study.yaml")
    client = MlflowClient(tracking_uri=uri)
    place = client.get_experiment_by_name("s").artifact_location
    assert file.is_relative_to(place.removeprefix("file://"))


def test_a_study_that_began_elsewhere_keeps_its_artifacts_where_they_are(tmp_path, monkeypatch):
    """Its experiment holds the place; the same command from another folder goes on there."""
    (tmp_path / "budgets").mkdir()
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"study_id": "i", "config": {}}))
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    check_store(uri)
    old = tmp_path / "old place"
    MlflowClient(tracking_uri=uri).create_experiment("s", artifact_location=old.as_uri())
    StudyRun(uri, "s").open(tmp_path / "study.yaml", tmp_path / "budgets")
    assert len(list(old.rglob("study.yaml"))) == 1


DATA = {
    "config": {"name": "seen", "data": "/data/town", "output": "studies"},
    "variants": [{"name": "unet", "label": "U-Net"}, {"name": "urec", "label": "U-REC"}],
    "budgets": [{"fraction_asked": 0.1}, {"fraction_asked": 1.0}],
    "dataset": {"name": "Town", "checksums": {"train": "a", "test": "b"}},
}


def test_a_list_of_studies_said_nothing_of_what_they_are(store, record_study, tmp_path):
    data = record_study("seen", DATA)
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("seen").tags
    said = experiment["mlflow.note.content"]
    assert "U-Net and U-REC at 10 % and 100 % of the annotations, on Town" in said
    assert str(tmp_path / "report" / "index.html") in said
    assert experiment["mlflow.experiment.primaryMetric.name"] == "test/mean_f1"
    assert "Findings stand here when they are done" in data.tags["mlflow.note.content"]
    assert data.tags["mlflow.source.name"] == "run_study.py"
    assert data.tags["version"].startswith("urec-study ")


def test_what_a_person_wrote_about_a_study_is_not_overwritten(store, record_study, tmp_path):
    record_study("mine", {"config": {}})
    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name("mine")
    (run,) = client.search_runs([found.experiment_id])
    client.set_experiment_tag(found.experiment_id, "mlflow.note.content", "For the paper")
    client.set_tag(run.info.run_id, "mlflow.note.content", "Seed 3 looks odd")
    (tmp_path / "report").mkdir()
    attach_report(store, run.info.run_id, tmp_path / "report", "**Findings**")
    data = record_study("mine", {"config": {}})
    assert data.tags["mlflow.note.content"] == "Seed 3 looks odd"
    again = client.get_experiment_by_name("mine").tags["mlflow.note.content"]
    assert again == "For the paper"


def test_the_run_of_a_study_tells_its_findings(store, record_study, tmp_path):
    record_study("told", {"config": {}})
    client = MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name("told").experiment_id])
    (tmp_path / "report").mkdir()
    for findings in ("**Findings** none", "**Findings** " + "long " * 3000):
        attach_report(store, run.info.run_id, tmp_path / "report", findings)
        said = client.get_run(run.info.run_id).data.tags["mlflow.note.content"]
        assert said.startswith(findings[:2000])
        assert len(said) <= 8000
        assert said.endswith("*Written by urec-study.*"), "else it is never written again"


def test_the_run_of_a_study_had_no_metrics(store, record_study, tmp_path):
    record_study("scored", {"config": {}})
    client = MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name("scored").experiment_id])
    (tmp_path / "report").mkdir()
    for score in (0.5, 0.7):  # again, after more seeds
        scores = {"mean_f1/urec-f0.10": score, "mean_f1/my%net-f1.00": 0.6}
        attach_report(store, run.info.run_id, tmp_path / "report", "", scores)
    found = client.get_run(run.info.run_id).data.metrics
    assert found == {"mean_f1/urec-f0.10": 0.7, "mean_f1/my_net-f1.00": 0.6}


def test_the_data_set_of_a_run_was_not_shown(store, record_study):
    record_study("seen", DATA)
    client = MlflowClient(tracking_uri=store)
    (run,) = client.search_runs([client.get_experiment_by_name("seen").experiment_id])
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "Town"
    assert len(used.dataset.digest) == 32
    source = get_source(used.dataset)
    assert isinstance(source, DatasetSource)
    assert source.to_dict() == {"uri": "/data/town"}
    other = {**DATA, "dataset": {"name": "Town", "checksums": {"train": "a", "test": "c"}}}
    record_study("other", other)
    (run,) = client.search_runs([client.get_experiment_by_name("other").experiment_id])
    assert run.inputs.dataset_inputs[0].dataset.digest != used.dataset.digest
