"""A study over a Ray cluster, an S3 server and an MLflow server, all of which come and go."""

import json
import os
import shutil
import signal

import pytest
from mlflow.tracking import MlflowClient
from ray.cluster_utils import Cluster

from study.machines.cluster import check_nodes, ray_cluster, sole_driver
from study.settings.config import build_config
from trainables.errors import ConfigError
from trainables.storage.store import Store

takes_its_time = pytest.mark.skipif(
    "UREC_TORTURE_MOMENTS" not in os.environ, reason="`make torture` takes its time"
)
NODE = {"object_store_memory": 2 * 10**8}


@pytest.fixture
def cluster(s3_uri):
    """A head that runs no trials, to which nodes are added; all know the keys of S3."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": 2 * 10**8,
            "_system_config": {"health_check_period_ms": 1000},  # how soon a lost node is missed
        },
    )
    try:
        yield cluster
    finally:
        cluster.shutdown()


def _add(cluster):
    return cluster.add_node(num_cpus=1, **NODE)


@pytest.mark.slow
@takes_its_time
def test_nodes_and_driver_come_and_go(make_study, cluster, s3_uri, tracking_server):
    """A driver is lost with its disk, then a node with a trial; another node joins."""
    first, _ = _add(cluster), _add(cluster)
    study = make_study(
        "over-nodes",
        "--address", cluster.address, "--storage", s3_uri, "--tracking-uri", tracking_server,
        space="label_frac=1", trials=1, seeds=3, steps=90, num_validations=6,
    )  # fmt: skip
    store = Store(s3_uri).at("over-nodes")

    def stored(end: str) -> set[str]:
        return {name.split("/")[1] for name in store.names() if name.endswith(f"/{end}")}

    study.start()
    study.wait_for(lambda: len(stored("result.json")) >= 1, "the end of a trial")
    os.killpg(study.processes[-1].pid, signal.SIGKILL)
    study.processes[-1].wait()
    done_before = stored("result.json")
    shutil.rmtree(study.output)

    study.start()
    # Of the checkpoints that the first driver's trials left, one has become a result by then.
    study.wait_for(
        lambda: (
            len(stored("result.json")) > len(done_before)
            and len(stored("checkpoint.pt") - stored("result.json")) == 2
        ),
        "two trials of the second driver",
    )
    cluster.remove_node(first, allow_graceful=False)
    _add(cluster)
    study.finish()

    keys = {f"confirm-{model}-f1.00-s{seed}" for model in ("urec", "unet") for seed in (1, 2, 3)}
    records = study.results()
    assert stored("result.json") == records.keys() == keys
    assert stored("checkpoint.pt") == set()
    assert done_before < keys

    client = MlflowClient(tracking_uri=tracking_server)
    experiment = client.get_experiment_by_name("over-nodes")
    runs = client.search_runs([experiment.experiment_id])
    children = {run.data.tags["trial_key"]: run for run in runs if "trial_key" in run.data.tags}
    assert len(runs) == len(children) + 1 == len(keys) + 1
    assert {run.data.tags["status"] for run in children.values()} == {"finished"}
    attempts = [int(run.data.tags["attempts"]) for run in children.values()]
    assert max(attempts) == 2, "the trial whose node was removed was tried again"
    for key, run in children.items():
        points = client.get_metric_history(run.info.run_id, "val/mean_f1")
        assert [point.step for point in points] == [15 * step for step in range(1, 7)], key
    assert (study.output / "over-nodes" / "report" / "index.html").stat().st_size > 0

    alone = make_study("alone", space="label_frac=1", trials=1, seeds=3, steps=90,
                       num_validations=6, models=["unet"])  # fmt: skip
    alone.start()
    alone.finish()
    for key, record in alone.results().items():
        assert records[key]["history"] == record["history"], key
        assert records[key]["score"] == record["score"]
        one, other = (run.trials / key / "confusion.json" for run in (study, alone))
        assert json.loads(one.read_text()) == json.loads(other.read_text())


@pytest.mark.slow
def test_what_a_cluster_cannot_do_is_one_line(make_study, cluster, s3_uri):
    _add(cluster)
    for arguments, said in (
        (["--address", cluster.address, "--storage", s3_uri, "--workers", "64"],
         "--workers must be at most the 1 that fit the cluster (2 machines) with 1 CPUs and 0"),
        (["--address", "127.0.0.1:1", "--storage", s3_uri], "--address must be of a running"),
        (["--address", cluster.address, "--storage", s3_uri.replace("s3://", "s3://not-")],
         "--storage"),
    ):  # fmt: skip
        study = make_study("refused", *arguments, batch_size=128, steps=10, num_validations=1)
        process = study.start()
        assert process.wait(120) == 2, study.said()
        assert said in study.said().splitlines()[-1]
        assert "Traceback" not in study.said()
        assert not study.output.exists()


@pytest.mark.slow
def test_a_second_driver_and_a_storage_that_is_not_shared_are_refused(
    cluster, tmp_path, monkeypatch
):
    _add(cluster)
    place = tmp_path / "storage"
    config = build_config({"name": "twice", "address": "auto", "storage": str(place)})
    with ray_cluster(cluster.address):
        with (
            sole_driver(config),
            pytest.raises(ConfigError, match="which another process on this cluster runs"),
            sole_driver(config),
        ):
            pytest.fail("two drivers at once")
        with sole_driver(config):  # free again
            check_nodes(Store(str(place)))
        monkeypatch.setattr("study.machines.cluster._read", lambda store, name: None)
        with pytest.raises(ConfigError, match="--storage must be reached by all machines"):
            check_nodes(Store(str(place)))
    assert list(place.iterdir()) == []


@pytest.mark.slow
@takes_its_time
def test_an_elastic_group_goes_on_with_the_machines_that_are_left(make_study, cluster, s3_uri):
    """Two workers on two nodes, one of which is removed; batch and patches stay the same."""
    first, _ = _add(cluster), _add(cluster)
    study = make_study(
        "elastic", "--address", cluster.address, "--storage", s3_uri,
        space="label_frac=1", trials=1, seeds=2, steps=400, num_validations=20, models=["unet"],
        workers="1..2",
    )  # fmt: skip
    store = Store(s3_uri).at("elastic", "trials", "confirm-unet-f1.00-s1")
    study.start()
    study.wait_for(lambda: "checkpoint.pt" in store.names(), "a checkpoint")
    cluster.remove_node(first, allow_graceful=False)
    study.finish()
    records = study.results()
    assert records.keys() == {"confirm-unet-f1.00-s1", "confirm-unet-f1.00-s2"}
    for key, record in records.items():
        assert record["metrics"]["perf/workers"] == 1, key
        validated = [row["step"] for row in record["history"] if "val/oa" in row]
        assert validated == [20 * step for step in range(1, 21)], key
    assert (study.trials / "confirm-unet-f1.00-s1" / "failures.txt").read_text() == "1"
