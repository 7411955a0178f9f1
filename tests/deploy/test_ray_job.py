"""The RayJob, whose schema does not come with Ray: fields that KubeRay needs, limits that hold."""

import re
from typing import Any

import pytest

Document = dict[str, Any]

_GIB = 2**30


@pytest.fixture
def cluster(ray_job: Document) -> Document:
    content: Document = ray_job["spec"]["rayClusterSpec"]
    return content


@pytest.fixture
def groups(cluster: Document) -> list[Document]:
    """The head's group and those of the workers."""
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def _gib(quantity: str) -> int:
    match = re.fullmatch(r"(\d+)Gi", quantity)
    assert match is not None, quantity
    return int(match[1])


def test_it_is_the_version_and_kind_that_kuberay_serves(ray_job: Document) -> None:
    assert (ray_job["apiVersion"], ray_job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(ray_job["spec"]) == {
        "entrypoint",
        "submissionMode",
        "backoffLimit",
        "submitterConfig",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "rayClusterSpec",
    }


def test_a_lost_head_makes_a_new_cluster_that_continues_the_study(ray_job: Document) -> None:
    assert ray_job["spec"]["backoffLimit"] >= 1
    assert ray_job["spec"]["submissionMode"] == "K8sJobMode"
    annotations = ray_job["metadata"]["annotations"]
    assert annotations["ray.io/disable-provisioned-head-restart"] == "true"


def test_the_cluster_goes_with_the_study(ray_job: Document) -> None:
    assert ray_job["spec"]["shutdownAfterJobFinishes"] is True
    assert ray_job["spec"]["ttlSecondsAfterFinished"] > 0


def test_groups_have_the_fields_that_kuberay_needs(groups: list[Document]) -> None:
    for group in groups:
        assert all(isinstance(one, str) for one in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["name"]
        assert container["image"] == "urec-study"
        assert group["template"]["spec"]["restartPolicy"] == "Never"
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] >= 30


def test_the_cluster_grows_and_begins_with_what_one_trial_needs(cluster: Document) -> None:
    assert cluster["enableInTreeAutoscaling"] is True
    for group in cluster["workerGroupSpecs"]:
        assert group["groupName"]
        # From 0 the first request would be larger than the cluster, and refused.
        assert 1 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_pods_join_with_a_token(cluster: Document) -> None:
    assert cluster["authOptions"] == {"mode": "token"}


def test_no_trial_runs_on_the_head(cluster: Document) -> None:
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_object_store_fits_into_shared_memory_and_that_into_the_pod(
    groups: list[Document],
) -> None:
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        (mount,) = (one for one in container["volumeMounts"] if one["mountPath"] == "/dev/shm")
        (volume,) = (one for one in pod["volumes"] if one["name"] == mount["name"])
        assert volume["emptyDir"]["medium"] == "Memory"
        shm_gib = _gib(volume["emptyDir"]["sizeLimit"])
        memory_gib = _gib(container["resources"]["limits"]["memory"])
        assert int(group["rayStartParams"]["object-store-memory"]) < shm_gib * _GIB
        assert shm_gib <= memory_gib / 2


def test_pods_get_what_they_ask_for(groups: list[Document]) -> None:
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_pods_with_cards_are_scheduled_on_nodes_with_cards(cluster: Document) -> None:
    for group in cluster["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        assert int(pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]) >= 1
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod[
            "tolerations"
        ]


def test_tiles_are_on_the_head_and_cannot_be_changed_there(cluster: Document) -> None:
    (container,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "data")
    assert mount == {"name": "data", "mountPath": "/data", "readOnly": True}
