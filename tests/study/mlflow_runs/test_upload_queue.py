"""Records that wait for a store that went away."""

import threading
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from study.mlflow_runs.upload_queue import UploadQueue


class Store:
    """Takes records while it is up."""

    def __init__(self):
        self.up = threading.Event()
        self.up.set()
        self.asked = threading.Event()
        self.took = []

    def take(self, record, error):
        self.asked.set()
        if not self.up.is_set():
            raise error
        self.took.append(record)


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request failed", INTERNAL_ERROR),
        MlflowException("database is locked", TEMPORARILY_UNAVAILABLE),
        ConnectionRefusedError(111, "Connection refused"),
    ],
)
def test_records_wait_and_arrive_once_each_in_order(error):
    store, queue = Store(), UploadQueue()
    queue.put(lambda: store.take(0, error))
    store.up.clear()
    store.asked.clear()
    for number in (1, 2, 3):
        queue.put(lambda number=number: store.take(number, error))
    assert store.asked.wait(10)
    assert queue.num_waiting >= 3
    store.up.set()
    assert queue.close(30)
    assert store.took == [0, 1, 2, 3]
    assert (queue.num_waiting, queue.is_away, queue.refused) == (0, False, [])


def test_what_has_not_arrived_in_time_is_said():
    store, queue = Store(), UploadQueue()
    store.up.clear()
    for number in range(20):
        queue.put(lambda number=number: store.take(number, OSError("away")))
    assert store.asked.wait(10)
    assert not queue.close(0.05)
    assert store.took == []


def test_a_server_that_took_networks_for_long_was_said_not_to_answer():
    """Those of many arms take longer than a server that is away is waited for."""
    queue = UploadQueue()
    for _ in range(6):
        queue.put(time.sleep, 0.05)
    assert queue.close(0.1, while_it_takes=True)


def test_a_store_that_is_away_is_not_waited_for_any_longer():
    store, queue = Store(), UploadQueue()
    store.up.clear()
    queue.put(lambda: store.take(1, OSError("away")))
    assert store.asked.wait(10)
    assert not queue.close(0.1, while_it_takes=True)


def test_a_refused_record_is_kept_in_mind_and_the_next_is_sent():
    """Somebody deleted the run of a trial: sending it again and again would block all others."""
    store, queue = Store(), UploadQueue()

    def refuse():
        raise MlflowException("no run\nof this id", RESOURCE_DOES_NOT_EXIST)

    queue.put(refuse)
    queue.put(lambda: store.take(1, OSError()))
    assert queue.close(30)
    assert store.took == [1]
    (said,) = queue.refused
    assert "no run of this id" in said


def test_a_mistake_of_our_own_is_raised():
    queue = UploadQueue()
    queue.put(lambda: {}["absent"])
    with pytest.raises(KeyError, match="absent"):
        queue.close(30)


def test_the_time_of_calls_is_added_up_and_not_that_of_waiting(monkeypatch):
    now, failing = [0.0], [OSError("away")]
    monkeypatch.setattr("study.mlflow_runs.upload_queue.time.perf_counter", lambda: now[0])
    queue = UploadQueue()

    def wait(delay_s):
        now[0] += 100.0

    monkeypatch.setattr(queue._given_up, "wait", wait)

    def send():
        now[0] += 2.0
        if failing:
            raise failing.pop()

    queue.put(send)
    assert queue.close(30)
    assert queue.sending_s == 4.0
