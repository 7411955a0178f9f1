"""What the process of a group makes of its workers' reports and failures; groups: tests/cluster."""

import queue
import threading
from concurrent.futures import Future

import pytest
import torch
from ray.exceptions import RayActorError
from ray.train import WorkerGroupError

from trainables.trial import worker_group
from trainables.trial.worker_reports import Receiver, Sender

LOST = RayActorError(error_msg="the node died")
AWAY = RuntimeError("Connection closed by peer")
NAN = FloatingPointError("loss must be finite")
FULL = torch.OutOfMemoryError("out of memory")


@pytest.mark.parametrize(
    ("failures", "cause"),
    [
        ({0: AWAY, 1: NAN}, NAN),
        ({0: NAN, 1: AWAY}, NAN),
        ({0: AWAY, 1: LOST}, LOST),
        ({0: ConnectionError("the trial's process ends this trial"), 1: LOST}, LOST),
        ({0: AWAY, 1: FULL}, FULL),
        ({0: ConnectionRefusedError("the trial's process is gone"), 1: NAN}, NAN),
        ({0: AWAY, 1: AWAY}, AWAY),
    ],
)
def test_the_cause_is_told_and_not_what_it_took_along(monkeypatch, failures, cause):
    class Trainer:
        def fit(self):
            raise WorkerGroupError("workers failed", failures)

    monkeypatch.setattr(worker_group, "_trainer", lambda *_: Trainer())
    monkeypatch.setattr(worker_group, "get_node_ip_address", lambda: "127.0.0.1")
    with pytest.raises(type(cause)) as raised:
        worker_group.run_group({}, lambda told: None)
    assert raised.value is cause


def test_every_report_is_passed_on_before_the_end():
    ended, told = Future(), []
    with Receiver("127.0.0.1") as receiver:
        sender = Sender(receiver.address)

        def work():
            for step in range(3):
                sender.send({"step": step})
            ended.set_result(None)

        threading.Thread(target=work, daemon=True).start()
        worker_group._pass_on(receiver, ended, told.append)
    assert told == [{"step": 0}, {"step": 1}, {"step": 2}]


def test_a_stop_by_tune_reaches_the_worker_that_waits(monkeypatch):
    """Tune stops a trial by ending the thread that reports."""
    outcome: queue.Queue[ConnectionError] = queue.Queue()

    def trainer(task, address, scratch):
        class Trainer:
            def fit(self):
                try:
                    Sender(address).send({"step": 1})
                except ConnectionError as error:
                    outcome.put(error)

        return Trainer()

    def stop(told):
        raise SystemExit

    monkeypatch.setattr(worker_group, "_trainer", trainer)
    monkeypatch.setattr(worker_group, "get_node_ip_address", lambda: "127.0.0.1")
    with pytest.raises(SystemExit):
        worker_group.run_group({}, stop)
    assert "ends this trial" in str(outcome.get(timeout=10))
