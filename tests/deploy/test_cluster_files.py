"""The files of Ray's cluster launcher, as Ray itself reads and checks them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config


@pytest.fixture
def prepared(cluster_file: Path) -> dict[str, Any]:
    """A cluster file with Ray's defaults filled in."""
    content: dict[str, Any] = prepare_config(yaml.safe_load(cluster_file.read_text()))
    return content


def test_ray_accepts_it(prepared: dict[str, Any]) -> None:
    validate_config(prepared)


def test_ray_would_refuse_a_field_it_does_not_know(prepared: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="max_machines"):
        validate_config(prepared | {"max_machines": 8})


def test_ray_adds_no_commands_that_install_another_ray(prepared: dict[str, Any]) -> None:
    for commands in ("setup_commands", "head_setup_commands", "worker_setup_commands"):
        assert prepared[commands] == []


def test_the_head_starts_the_autoscaler_and_workers_join_it(prepared: dict[str, Any]) -> None:
    (head,) = (one for one in prepared["head_start_ray_commands"] if "--head" in one)
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    assert "--port=6379" in head
    assert any(
        "--address=$RAY_HEAD_IP:6379" in one for one in prepared["worker_start_ray_commands"]
    )


def test_every_node_gets_the_token_that_the_image_asks_for(
    prepared: dict[str, Any], deploy: Path
) -> None:
    # Ray that finds a token on the head alone refuses every other node.
    dockerfile = (deploy / "Dockerfile").read_text()
    assert "RAY_AUTH_MODE=token" in dockerfile
    assert "HOME=/home/study" in dockerfile
    assert prepared["file_mounts"] == {"/home/study/.ray": "~/.ray"}


def test_containers_with_cards_see_them_and_the_driver_finds_the_tracking_server(
    prepared: dict[str, Any],
) -> None:
    docker = prepared["docker"]
    assert "--gpus=all" in docker["run_options"] + docker.get("worker_run_options", [])
    assert any(one.startswith("--add-host=mlflow:") for one in docker["head_run_options"])


def test_on_aws_every_machine_may_use_the_bucket(deploy: Path) -> None:
    types = yaml.safe_load((deploy / "ray-cluster.yaml").read_text())["available_node_types"]
    for name, machine in types.items():
        assert machine["node_config"]["IamInstanceProfile"] == {"Name": "urec-study"}, name
    assert "InstanceMarketOptions" not in types["head"]["node_config"]
    assert types["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert types["gpu"]["min_workers"] >= 1  # or the first request is larger than the cluster
