from pathlib import Path

import pytest

from analysis.load import load_study
from analysis.schema import StudyDataError
from analysis.store import UnknownStudyError, known_studies, resolve_tracking_uri


def test_unknown_study_lists_the_known_ones(store: str) -> None:
    with pytest.raises(UnknownStudyError, match=r"got 'ful'; known studies: .*full") as caught:
        load_study("ful", store)
    assert "Default" not in caught.value.known
    assert caught.value.known == known_studies(store)
    with pytest.raises(UnknownStudyError):
        load_study("Default", store)


def test_missing_database_is_named_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "mlflow.db"
    with pytest.raises(StudyDataError, match="must name an existing MLflow database"):
        load_study("full", f"sqlite:///{missing}")
    assert not missing.exists()


def test_tracking_uri_given_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker")
    assert resolve_tracking_uri(None) == "http://tracker"
    assert resolve_tracking_uri("http://other") == "http://other"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    assert resolve_tracking_uri(None) == "sqlite:///mlflow.db"
