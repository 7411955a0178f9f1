"""Versions in `deploy/` and its documentation are those of `pyproject.toml`, and agree."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


@pytest.fixture(scope="module")
def project(deploy: Path) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = tomllib.loads(
        (deploy.parent / "pyproject.toml").read_text()
    )
    return content["project"]


@pytest.fixture(scope="module")
def build_arguments(deploy: Path) -> dict[str, str]:
    """Defaults of the Dockerfile's arguments; one that is declared twice must agree."""
    found: dict[str, str] = {}
    text = (deploy / "Dockerfile").read_text()
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE):
        assert found.setdefault(name, value) == value
    return found


@pytest.mark.parametrize("package", ["ray", "mlflow", "torch"])
def test_the_image_has_versions_that_the_project_allows(
    package: str, project: dict[str, Any], build_arguments: dict[str, str]
) -> None:
    required = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    assert build_arguments[f"{package.upper()}_VERSION"] in required[package]


def test_the_image_has_a_python_that_the_project_allows(
    project: dict[str, Any], build_arguments: dict[str, str]
) -> None:
    assert build_arguments["PYTHON_VERSION"] in SpecifierSet(project["requires-python"])


def test_the_cluster_has_the_image_s_ray(
    ray_job: dict[str, Any], build_arguments: dict[str, str]
) -> None:
    assert ray_job["spec"]["rayClusterSpec"]["rayVersion"] == build_arguments["RAY_VERSION"]


@pytest.mark.parametrize("package", ["ray", "mlflow"])
def test_versions_to_be_typed_are_the_image_s(
    package: str, deploy: Path, build_arguments: dict[str, str]
) -> None:
    texts = [deploy.parent / "docs/cluster.md", *deploy.rglob("*.yaml")]
    named = {
        version
        for text in texts
        for version in re.findall(rf"\b{package}(?:\[[\w,]+\])?==([\w.]+)", text.read_text())
    }
    assert named <= {build_arguments[f"{package.upper()}_VERSION"]}


def test_images_of_the_project_carry_its_version(
    deploy: Path, project: dict[str, Any], kustomization: dict[str, Any]
) -> None:
    texts = [deploy / "Dockerfile", *deploy.glob("*.yaml"), deploy.parent / "docs/cluster.md"]
    tags = [
        tag
        for text in texts
        for tag in re.findall(r"urec-study(?:-tracking)?:(\d[\w.-]*)", text.read_text())
    ]
    tags += [one["newTag"] for one in kustomization["images"]]
    assert len(tags) >= 6
    assert {tag.split("-")[0] for tag in tags} == {project["version"]}


def test_no_image_floats(deploy: Path) -> None:
    for file in (deploy / "Dockerfile", *deploy.rglob("*.yaml")):
        assert ":latest" not in file.read_text(), file


def test_the_database_is_one_version(deploy: Path) -> None:
    composed = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["database"]
    applied = (deploy / "kuberay/database.yaml").read_text()
    assert f"image: {composed['image']}\n" in applied


def test_stages_that_are_built_exist(deploy: Path) -> None:
    dockerfile = (deploy / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, flags=re.MULTILINE))
    mlflow = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["mlflow"]
    wanted = {*re.findall(r"--target (\w+)", dockerfile), mlflow["build"]["target"]}
    assert wanted == {"study", "tracking"}
    assert wanted <= stages


def test_what_the_image_installs_the_project_has(deploy: Path) -> None:
    installed = re.findall(r'--editable "\.\[([\w,]+)\]"', (deploy / "Dockerfile").read_text())
    project = tomllib.loads((deploy.parent / "pyproject.toml").read_text())["project"]
    assert installed == ["encoders"]  # so that `--models METHOD:ENCODER` runs on a cluster
    assert set(installed) <= set(project["optional-dependencies"])


def test_images_do_not_run_as_root(deploy: Path, pods: dict[str, dict[str, Any]]) -> None:
    dockerfile = (deploy / "Dockerfile").read_text()
    (uid,) = re.findall(r"useradd .*--uid (\d+)", dockerfile)
    for stage in re.split(r"^FROM .*$", dockerfile, flags=re.MULTILINE)[2:]:
        assert re.findall(r"^USER (\w+)$", stage, flags=re.MULTILINE) == ["study"]
    for name, pod in pods.items():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert name == "database" or context["runAsUser"] == int(uid), name
