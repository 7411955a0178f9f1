"""What lies in `deploy/`, read once for all tests."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER_FILES = ("ray-cluster.yaml", "ray-cluster-local.yaml")

Document = dict[str, Any]


def _study_commands(text: str) -> list[list[str]]:
    """Options of every study command in a text: commands may go on after a backslash."""
    uncommented = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
    joined = uncommented.replace("\\\n", " ")
    found = re.findall(r"run_study\.py[ ]+(?:--[ ]+)?(--\w.*)$", joined, flags=re.MULTILINE)
    return [shlex.split(options, comments=True) for options in found]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def study_commands() -> Callable[[str], list[list[str]]]:
    """Finds the options of the study commands in a text."""
    return _study_commands


@pytest.fixture(scope="session")
def kustomization(deploy: Path) -> Document:
    content: Document = yaml.safe_load((deploy / "kuberay/kustomization.yaml").read_text())
    return content


@pytest.fixture(scope="session")
def applied(deploy: Path, kustomization: Document) -> list[Document]:
    """Every document that `kubectl apply -k deploy/kuberay` would apply, secrets apart."""
    files = [deploy / "kuberay" / name for name in kustomization["resources"]]
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


@pytest.fixture(scope="session")
def ray_job(applied: list[Document]) -> Document:
    (job,) = (one for one in applied if one["kind"] == "RayJob")
    return job


@pytest.fixture(scope="session")
def pods(applied: list[Document], ray_job: Document) -> dict[str, Document]:
    """Every pod template that is applied, by the name of its workload or worker group."""
    found = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in applied
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    cluster = ray_job["spec"]["rayClusterSpec"]
    found["head"] = cluster["headGroupSpec"]["template"]
    found |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    return found


@pytest.fixture(scope="session", params=CLUSTER_FILES)
def cluster_file(request: pytest.FixtureRequest, deploy: Path) -> Path:
    return deploy / str(request.param)
