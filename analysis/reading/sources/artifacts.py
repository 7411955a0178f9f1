"""Reads single artifact files of a run: straight from disk where they are local."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.reading.sources.store import answering, open_store
from contract.mlflow_store.artifact_uri import local_folder
from contract.names import DISTRIBUTION


def read_artifact(tracking_uri: str, run_id: str, artifact_uri: str, name: str) -> bytes | None:
    """The content of one artifact; MLflow is not even imported for one on this machine's disk.

    Args:
        tracking_uri: The tracking store that holds the run.
        run_id: The run.
        artifact_uri: Its artifact folder, as the store gives it.
        name: Path of the file in that folder, parts separated by "/".

    Returns:
        The bytes; None if the run has no such file.

    Raises:
        StudyDataError: If the artifact store cannot be read.
    """
    folder = local_folder(artifact_uri)
    if folder is not None:
        path = folder / name
        return path.read_bytes() if path.is_file() else None
    client = open_store(tracking_uri)
    parent = name.rpartition("/")[0] or None
    with answering(tracking_uri):
        if name not in {entry.path for entry in client.list_artifacts(run_id, parent)}:
            return None
        with (
            tempfile.TemporaryDirectory(prefix=f"{DISTRIBUTION}-artifact-") as temporary,
            _no_progress_bars(),
        ):
            return Path(client.download_artifacts(run_id, name, temporary)).read_bytes()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """MLflow would draw one bar per file, and takes this setting from the environment alone."""
    name = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
