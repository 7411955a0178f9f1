"""What `kubectl apply -k deploy/kuberay` applies: names that are used exist, and limits hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

_UNITS = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}


def _number(quantity: str) -> float:
    """A Kubernetes quantity as a number: CPUs, or bytes."""
    match = re.fullmatch(r"(\d+)(m|Mi|Gi|)", quantity)
    assert match is not None, quantity
    return int(match[1]) * _UNITS[match[2]]


def _found(node: Any, key: str) -> Iterator[Any]:
    """Every value of a key at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from _found(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, key)


def _names(applied: list[Document], kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in applied if one["kind"] == kind}


def _secrets(deploy: Path, kustomization: Document) -> dict[str, set[str]]:
    """Keys of each secret, as its example has them."""
    found = {}
    for secret in kustomization["secretGenerator"]:
        (name,) = secret["envs"]
        lines = (deploy / "kuberay" / f"{name}.example").read_text().splitlines()
        found[secret["name"]] = {one.split("=")[0] for one in lines if not one.startswith("#")}
    return found


def test_every_yaml_document_is_readable_and_named(deploy: Path) -> None:
    for file in (deploy / "kuberay").glob("*.yaml"):
        for one in yaml.safe_load_all(file.read_text()):
            assert one["apiVersion"], file
            assert one["kind"], file
            assert one["kind"] == "Kustomization" or one["metadata"]["name"], file


def test_every_manifest_is_applied_or_said_not_to_be(deploy: Path, kustomization: Document) -> None:
    files = {file.name for file in (deploy / "kuberay").glob("*.yaml")}
    left_out = files - {"kustomization.yaml", *kustomization["resources"]}
    assert left_out == {"load-data.yaml"}
    assert "Not part of the kustomization" in (deploy / "kuberay/load-data.yaml").read_text()


def test_no_two_documents_have_one_name(applied: list[Document]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in applied]
    assert len(set(names)) == len(names)


def test_secrets_that_are_used_exist_with_their_keys(
    deploy: Path, kustomization: Document, applied: list[Document]
) -> None:
    secrets = _secrets(deploy, kustomization)
    keyed = list(_found(applied, "secretKeyRef"))
    whole = list(_found(applied, "secretRef"))
    assert len(keyed) == 2
    assert len(whole) == 3
    for one in keyed:
        assert one["key"] in secrets[one["name"]]
    for one in whole:
        assert one["name"] in secrets
    # KubeRay's types are unknown to kustomize: it would rename secrets and not their references.
    assert kustomization["generatorOptions"]["disableNameSuffixHash"] is True


def test_secrets_stay_out_of_git(deploy: Path, kustomization: Document) -> None:
    ignored = (deploy / "kuberay/.gitignore").read_text().split()
    assert [name for one in kustomization["secretGenerator"] for name in one["envs"]] == ignored


def test_every_ray_node_and_the_tracking_server_have_the_store_s_keys(
    pods: dict[str, Document], deploy: Path, kustomization: Document
) -> None:
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert keys <= _secrets(deploy, kustomization)["urec-study-s3"]
    assert set(pods) == {"head", "gpu", "mlflow", "database"}
    for name in ("head", "gpu", "mlflow"):
        (container,) = pods[name]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "urec-study-s3"}}], name


def test_volumes_that_are_used_exist(
    applied: list[Document], pods: dict[str, Document], deploy: Path
) -> None:
    claims = _names(applied, "PersistentVolumeClaim")
    loader = yaml.safe_load((deploy / "kuberay/load-data.yaml").read_text())
    claimed = list(_found([*applied, loader], "claimName"))
    assert claimed == ["urec-study-data"] * 2
    assert set(claimed) <= claims
    templates = {
        template["metadata"]["name"]
        for found in _found(applied, "volumeClaimTemplates")
        for template in found
    }
    for name, pod in pods.items():
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        (container,) = pod["spec"]["containers"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= volumes | templates, name
        assert volumes <= mounted, name


def test_selectors_find_their_pods(applied: list[Document], pods: dict[str, Document]) -> None:
    services = [one for one in applied if one["kind"] == "Service"]
    workloads = [one for one in applied if one["kind"] in ("Deployment", "StatefulSet")]
    assert len(services) == len(workloads) == 2
    for service in services:
        name = service["metadata"]["name"]
        labels = pods[name]["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= labels, name
        (container,) = pods[name]["spec"]["containers"]
        (port,) = service["spec"]["ports"]
        offered = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert port["port"] in offered.values(), name
        assert port.get("targetPort", port["name"]) in offered, name
    for workload in workloads:
        labels = workload["spec"]["template"]["metadata"]["labels"].items()
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels
        assert workload["spec"].get("serviceName", "database") == "database"


def test_host_names_that_are_used_are_services(applied: list[Document], ray_job: Document) -> None:
    ports = {
        one["metadata"]["name"]: one["spec"]["ports"][0]["port"]
        for one in applied
        if one["kind"] == "Service"
    }
    (server,) = (one for one in applied if one["kind"] == "Deployment")
    command = " ".join(server["spec"]["template"]["spec"]["containers"][0]["command"])
    used = re.findall(r"(?:http://|mlflow@)([\w-]+):(\d+)", ray_job["spec"]["entrypoint"] + command)
    assert [(name, int(port)) for name, port in used] == [("mlflow", 5000), ("database", 5432)]
    assert all(ports[name] == int(port) for name, port in used)


def test_the_tracking_server_answers_to_its_service_s_name(pods: dict[str, Document]) -> None:
    # MLflow refuses host names that it was not told with 403.
    (container,) = pods["mlflow"]["spec"]["containers"]
    (hosts,) = (one for one in container["command"] if one.startswith("--allowed-hosts="))
    assert "mlflow:*" in hosts.removeprefix("--allowed-hosts=").split(",")
    # Kubernetes' MLFLOW_PORT=tcp://... would be taken for the option --port.
    assert "--port=5000" in container["command"]
    assert pods["mlflow"]["spec"]["enableServiceLinks"] is False


def test_servers_have_all_three_probes(pods: dict[str, Document]) -> None:
    for name in ("mlflow", "database"):
        (container,) = pods[name]["spec"]["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name


def test_images_come_from_the_kustomization_or_are_pinned(
    kustomization: Document, applied: list[Document]
) -> None:
    own = {one["name"] for one in kustomization["images"]}
    used = set(_found(applied, "image"))
    assert own == {image for image in used if ":" not in image}
    assert all(one["newTag"] for one in kustomization["images"])
