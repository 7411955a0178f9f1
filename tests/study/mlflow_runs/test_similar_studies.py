"""Studies of the same data, methods and fractions, as they are found in one store."""

import copy
import shutil
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

from contract.mlflow_store.logins import TrackingUri
from contract.names import COMPARED_TAG, MANIFEST
from study.mlflow_runs.similar_studies import compared_digest, similar_note
from study.mlflow_runs.study_run import StudyRun

CONTENT = {
    "study_id": "a",
    "config": {"models": ["urec", "unet"], "seeds": 3},
    "dataset": {"checksums": {"train": "1", "val": "2", "test": "3"}},
    "budgets": [{"seed": 0, "fraction_asked": 0.1}, {"seed": 0, "fraction_asked": 1.0}],
}


def content(**more):
    return copy.deepcopy(CONTENT) | more


def test_the_digest_is_that_of_data_methods_and_fractions():
    same = content(
        study_id="b",
        config={"models": ["unet", "urec"], "seeds": 9, "lr": 0.1},
        budgets=[*CONTENT["budgets"][::-1], {"seed": 1, "fraction_asked": 0.1}],
    )
    assert compared_digest(same) == compared_digest(CONTENT)


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"models": ["unet"]}},
        {"dataset": {"checksums": {"train": "1", "val": "2", "test": "4"}}},
        {"budgets": CONTENT["budgets"][:1]},
    ],
)
def test_another_question_has_another_digest(other):
    assert compared_digest(content(**other)) != compared_digest(CONTENT)


@pytest.fixture
def begin(mlflow_database, tmp_path, monkeypatch, make_config):
    """Begins a study in a store of its own; returns its configuration and what is noted."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    uri = TrackingUri(f"sqlite:///{tmp_path / 'mlflow.db'}")

    def run(name, **more):
        config = make_config(name=name, output=str(tmp_path / f"out-{more.get('study_id', name)}"))
        (config.folder / "budgets").mkdir(parents=True, exist_ok=True)
        manifest = config.folder / MANIFEST
        if not manifest.exists():
            manifest.write_text(yaml.safe_dump(content(**{"study_id": name, **more})))
        note = similar_note(config, uri)
        StudyRun(uri, name).open(manifest, config.folder / "budgets")
        return yaml.safe_load(Path(manifest).read_text()), note, uri

    return run


def test_repeating_a_study_under_another_name_is_put_on_record(begin):
    written, note, _ = begin("a")
    assert note is None
    assert "similar_studies" not in written
    written, note, _ = begin("b")
    assert written["similar_studies"] == ["a"]
    assert note == (
        "1 other study of the same data, methods and fractions is on record (a); a finding of the "
        "best of several is not at its level"
    )
    assert begin("c", config={"models": ["unet"]})[1] is None
    written, note, _ = begin("d")
    assert written["similar_studies"] == ["a", "b"]
    assert "2 other studies" in note


def test_a_study_that_goes_on_is_not_similar_to_itself(begin):
    begin("a")
    written, note, uri = begin("a")
    assert note is None
    assert "similar_studies" not in written
    begin("b")
    written, note, _ = begin("a")
    assert written["similar_studies"] == ["b"], "what came meanwhile is added"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("a")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags[COMPARED_TAG] == compared_digest(CONTENT)
    assert run.data.tags["seeds"] == "3"


def test_an_earlier_study_of_the_same_name_is_told_as_such(begin):
    """Its folder was deleted, and it was begun anew: that is a repetition like any other."""
    begin("a", study_id="first")
    assert "(an earlier a)" in begin("a", study_id="second")[1]


def test_every_one_of_several_studies_of_one_name_is_counted(begin):
    """Two that were deleted and begun anew were called one other study."""
    for study_id in ("first", "second"):
        begin("a", study_id=study_id)
    for _ in range(2):
        written, note, _ = begin("a", study_id="third")
        assert written["similar_studies"] == ["a", "a"]
        assert note.startswith("2 other studies")


def test_what_was_found_once_stays_on_record(begin):
    """Whoever deletes the studies that did not come out well does not make them undone."""
    *_, uri = begin("a")
    begin("b")
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.get_experiment_by_name("a").experiment_id)
    written, note, _ = begin("b")
    assert written["similar_studies"] == ["a"]
    assert "(a)" in note
