"""Ray on a machine that has no time for it."""

import pytest

from study.errors import StudyHaltedError
from study.machines import cluster
from study.machines.slots import Slots
from trainables.errors import ConfigError

SLOTS = Slots(concurrent=1, num_cpus=1.0, num_gpus=0.0, gpus=0.0, group=1)


def start_with(error, monkeypatch):
    def init(options):
        raise error

    monkeypatch.setattr(cluster, "_init", init)
    with cluster.ray_on_this_machine(SLOTS):
        raise AssertionError("it did not start")


@pytest.mark.parametrize(
    "error",
    [
        Exception(
            "The current node timed out during startup. This could happen because some of the "
            "raylet failed to startup or the GCS has become overloaded."
        ),
        TimeoutError("Timed out after 60 seconds while waiting for node to startup."),
        RuntimeError("Timed out waiting for node info for node_id=1."),
    ],
)
def test_ray_that_started_too_slowly_was_a_traceback(error, monkeypatch):
    with pytest.raises(ConfigError, match=r"^starting Ray took longer than \d+ s; ") as raised:
        start_with(error, monkeypatch)
    assert "the same command continues" in str(raised.value)


def test_what_else_goes_wrong_is_told_as_before(monkeypatch):
    with pytest.raises(StudyHaltedError, match="Ray did not start: no port"):
        start_with(RuntimeError("no  port"), monkeypatch)
    with pytest.raises(KeyError):
        start_with(KeyError("a mistake of ours"), monkeypatch)
