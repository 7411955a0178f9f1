import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.reading.sources.artifacts import read_artifact
from contract.mlflow_store.artifact_uri import local_folder

BAR = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"


class RemoteClient:
    """Stands for a tracking server that holds one artifact."""

    def __init__(self) -> None:
        self.bar_setting: str | None = None

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[Any]:
        return [SimpleNamespace(path="confusion.json")]

    def download_artifacts(self, run_id: str, name: str, folder: str) -> str:
        self.bar_setting = os.environ.get(BAR)
        path = Path(folder) / name
        path.write_bytes(b"{}")
        return str(path)


def test_artifact_folders_on_this_disk() -> None:
    assert local_folder("file:///a%20b/c") == Path("/a b/c")
    assert local_folder("/a/b") == Path("/a/b")
    assert local_folder("mlflow-artifacts:/0/1") is None
    assert local_folder("s3://bucket/key") is None
    assert local_folder("file://host/a") is None


def test_local_artifact_needs_no_store(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    nowhere = "sqlite:////nowhere/mlflow.db"
    assert read_artifact(nowhere, "r", tmp_path.as_uri(), "a.txt") == b"x"
    assert read_artifact(nowhere, "r", tmp_path.as_uri(), "b.txt") is None
    assert read_artifact(nowhere, "r", (tmp_path / "gone").as_uri(), "a.txt") is None


def test_remote_artifact_is_downloaded_without_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BAR, raising=False)
    client: Any = RemoteClient()
    opened: list[str] = []
    monkeypatch.setattr(
        "analysis.reading.sources.artifacts.open_store", lambda uri: (opened.append(uri), client)[1]
    )
    assert read_artifact("http://tracker", "r", "mlflow-artifacts:/1/r", "confusion.json") == b"{}"
    assert client.bar_setting == "false"
    assert BAR not in os.environ
    assert read_artifact("http://tracker", "r", "mlflow-artifacts:/1/r", "picture.png") is None
    assert set(opened) == {"http://tracker"}
