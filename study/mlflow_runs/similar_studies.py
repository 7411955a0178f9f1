"""Other studies on record that ask the same: a question that is asked again gets more chances."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from mlflow.tracking import MlflowClient

from contract.mlflow_store.logins import TrackingUri
from contract.mlflow_store.pages import all_pages
from contract.names import COMPARED_TAG, MANIFEST
from contract.protocol.looks import repeated_text
from study.design.manifest import read_manifest, write_manifest
from study.settings.config import StudyConfig


def compared_digest(manifest: Mapping[str, Any]) -> str:
    """A text that is the same for studies of the same data, methods and annotation fractions.

    Args:
        manifest: Content of `study.yaml`; what a damaged or older one lacks counts as nothing.
    """
    compared = {
        "checksums": manifest.get("dataset", {}).get("checksums", {}),
        "models": sorted(map(str, manifest["config"].get("models", ()))),
        "fractions": sorted({one["fraction_asked"] for one in manifest.get("budgets", ())}),
    }
    return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:16]


def similar_note(config: StudyConfig, uri: TrackingUri) -> str | None:
    """Look for studies that ask the same, put them on record in `study.yaml`, and name them.

    Those that an earlier session found stay on record, whatever became of them.

    Args:
        config: A study whose `study.yaml` is written.
        uri: Of the store, which has answered.

    Returns:
        A sentence; None where there is none.

    Raises:
        MlflowException: If the store does not answer.
    """
    path = config.folder / MANIFEST
    manifest = read_manifest(path)
    assert manifest is not None, path
    known = list(manifest.get("similar_studies", ()))
    client = MlflowClient(tracking_uri=uri.with_login)
    added = Counter(_find_similar(client, manifest)) - Counter(known)  # names may come twice
    names = known + sorted(added.elements())
    if names != known:
        write_manifest(path, manifest | {"similar_studies": names})
    return repeated_text(names, config.name) or None


def _find_similar(client: MlflowClient, manifest: Mapping[str, Any]) -> list[str]:
    """Name of each other study with the same digest; one search over all runs."""
    experiments = [one.experiment_id for one in all_pages(client.search_experiments)]
    if not experiments:
        return []
    condition = f"tags.phase = 'study' and tags.{COMPARED_TAG} = '{compared_digest(manifest)}'"
    runs = all_pages(partial(client.search_runs, experiments, condition))
    found = {
        run.data.tags.get("study_id", run.info.run_id): run.data.tags["study"]
        for run in runs
        if "study" in run.data.tags
    }
    return [name for study_id, name in found.items() if study_id != manifest["study_id"]]
