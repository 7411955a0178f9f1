"""The tracking server of one machine is that of Kubernetes, apart from where artifacts lie."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ELSEWHERE = ("--artifacts-destination=", "--allowed-hosts=")


@pytest.fixture(scope="module")
def composed(deploy: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text())
    return content


def test_both_run_the_same_server(
    composed: dict[str, Any], pods: dict[str, dict[str, Any]]
) -> None:
    (container,) = pods["mlflow"]["spec"]["containers"]
    commands = (composed["services"]["mlflow"]["command"], container["command"])
    here, there = (
        [word for word in command if not word.startswith(ELSEWHERE)] for command in commands
    )
    assert here == there


def test_names_that_are_used_exist(composed: dict[str, Any]) -> None:
    services = composed["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service["volumes"]:
            assert volume.split(":")[0] in composed["volumes"]
        assert "healthcheck" in service


def test_there_is_no_password_by_default(composed: dict[str, Any]) -> None:
    database, mlflow = (
        composed["services"][name]["environment"] for name in ("database", "mlflow")
    )
    assert database["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert mlflow["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
