"""Artifact roots that are paths: of this machine, of another, of both."""

from pathlib import Path

import pytest

from contract.mlflow_store.artifact_uri import local_folder
from contract.mlflow_store.logins import TrackingUri
from study.mlflow_runs.artifact_root import artifact_root_note, check_artifact_root
from trainables.errors import ConfigError

ELSEWHERE = TrackingUri("http://192.0.2.7:5000")
"""A host that is never this one (RFC 5737)."""


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_root_that_can_be_made_is_made(tmp_path, form):
    folder = tmp_path / "a b" / "7"
    check_artifact_root(form.format(folder).replace(" ", "%20" if ":" in form else " "),
                        ELSEWHERE, "s")  # fmt: skip
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_root_of_the_server_s_machine_is_one_line_that_says_whose_it_is_and_what_to_do():
    """'[Errno 2] No such file or directory' was said, of a folder that nobody here had named."""
    with pytest.raises(ConfigError) as caught:
        check_artifact_root("/proc/of-the-server/7", TrackingUri("http://me:s3cret@host"), "s")
    said = str(caught.value)
    assert "got '/proc/of-the-server/7' (" in said
    assert "a path of the machine of http://host" in said
    assert "--serve-artifacts" in said
    assert "--artifacts-destination" in said
    assert "\n" not in said


@pytest.mark.parametrize("root", ["mlflow-artifacts:/7", "s3://bucket/7", "gs://b/7", "http://h/7"])
def test_root_that_is_no_path_is_for_others_to_check(root):
    assert local_folder(root) is None
    check_artifact_root(root, ELSEWHERE, "s")
    assert artifact_root_note(root, ELSEWHERE) is None


def test_artifacts_that_would_stay_on_this_machine_are_told():
    note = artifact_root_note("/mnt/artifacts/7", ELSEWHERE)
    assert note is not None
    assert "/mnt/artifacts/7 on this machine" in note
    assert "http://192.0.2.7:5000" in note
    assert "--artifacts-destination" in note


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:5000", "http://localhost:5000", "sqlite:///a.db", "databricks"]
)
def test_a_path_of_this_very_machine_is_no_news(uri, tmp_path):
    assert artifact_root_note(str(tmp_path / "7"), TrackingUri(uri)) is None


def test_a_server_in_a_container_or_behind_a_tunnel_is_told_as_one_elsewhere(tmp_path):
    """Its port is of this machine, its disk is not."""
    root = str(tmp_path / "mlartifacts" / "7")
    assert artifact_root_note(root, TrackingUri("http://localhost:5000")) is not None


def test_folder_behind_a_root():
    assert local_folder("/a%20b") == Path("/a%20b")
    assert local_folder("file:///a%20b") == Path("/a b")
    assert local_folder("file://other/a") is None
