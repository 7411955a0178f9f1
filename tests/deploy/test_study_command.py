"""Every way to start a cluster starts the same study, which the command line accepts."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.settings.command_line import parse_arguments
from study.settings.config import StudyConfig

PLACES = ("address", "storage", "tracking_uri", "data", "output")
"""Options that say where things lie; all others say what the study is."""

Commands = Callable[[str], list[list[str]]]


@pytest.fixture(scope="module")
def kubernetes(ray_job: dict[str, Any], study_commands: Commands) -> StudyConfig:
    (options,) = study_commands(ray_job["spec"]["entrypoint"])
    return parse_arguments(options)[0]


def _command_of(file: Path, study_commands: Commands) -> StudyConfig:
    (options,) = study_commands(file.read_text())
    return parse_arguments(options)[0]


def test_all_start_the_same_study(
    kubernetes: StudyConfig, cluster_file: Path, study_commands: Commands
) -> None:
    config = _command_of(cluster_file, study_commands)
    different = [
        one.name
        for one in fields(StudyConfig)
        if one.name not in PLACES and getattr(config, one.name) != getattr(kubernetes, one.name)
    ]
    assert different == []


def test_a_command_for_a_cluster_names_every_place(
    kubernetes: StudyConfig, cluster_file: Path, study_commands: Commands
) -> None:
    for config in (kubernetes, _command_of(cluster_file, study_commands)):
        assert config.address == "auto"
        assert config.storage is not None
        assert config.storage.startswith(("s3://", "/"))
        assert config.tracking_uri == "http://mlflow:5000"
        assert config.data is not None
        assert Path(config.data).is_absolute()
        assert Path(config.output).is_absolute()


def test_commands_of_the_documentation_are_accepted(deploy: Path, study_commands: Commands) -> None:
    texts = [deploy.parent / "docs/cluster.md", *deploy.rglob("*.yaml")]
    commands = [one for text in texts for one in study_commands(text.read_text())]
    assert len(commands) >= 3
    for options in commands:
        parse_arguments(options)


def test_the_entrypoint_is_plain_words(ray_job: dict[str, Any]) -> None:
    # KubeRay and `ray job submit` split and join it: quotes, $ and && would not survive.
    assert re.fullmatch(r"[\w ./:=,-]+", ray_job["spec"]["entrypoint"])


def test_trials_of_the_command_fill_the_worker_pods(
    kubernetes: StudyConfig, ray_job: dict[str, Any]
) -> None:
    (group,) = ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    limits = container["resources"]["limits"]
    assert kubernetes.gpus is not None
    fits = min(
        float(limits["cpu"]) // kubernetes.cpus,
        float(limits["nvidia.com/gpu"]) // kubernetes.gpus,
    )
    assert fits >= 1
    assert fits * kubernetes.gpus == float(limits["nvidia.com/gpu"])  # no card idles


def test_trials_of_the_command_fill_the_machines_on_aws(
    deploy: Path, study_commands: Commands
) -> None:
    file = deploy / "ray-cluster.yaml"
    config = _command_of(file, study_commands)
    machines = yaml.safe_load(file.read_text())["available_node_types"]["gpu"]
    assert config.gpus is not None
    cpus, gpus = machines["resources"]["CPU"], machines["resources"]["GPU"]
    fits = min(cpus // config.cpus, gpus // config.gpus)
    assert fits >= 1
    assert fits * config.gpus == gpus  # no card idles


def test_data_and_storage_lie_on_what_the_machines_share(
    deploy: Path, study_commands: Commands
) -> None:
    file = deploy / "ray-cluster-local.yaml"
    config = _command_of(file, study_commands)
    content = yaml.safe_load(file.read_text())
    (shared,) = (
        option.removeprefix("--volume=").split(":")[1]
        for option in content["docker"]["run_options"]
        if option.startswith("--volume=")
    )
    for place in (config.storage, config.data):
        assert str(place).startswith(f"{shared}/")
