"""Reports from a worker to the process of its trial."""

import socket
import threading
import time
from multiprocessing.connection import Client

import pytest

from trainables.trial.worker_reports import Receiver, Sender

HOST = "127.0.0.1"


def _in_thread(work):
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:  # noqa: BLE001  looked at by the test
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, outcome


def test_a_report_returns_once_it_is_taken():
    with Receiver(HOST) as receiver:
        sender = Sender(receiver.address)
        thread, outcome = _in_thread(lambda: sender.send({"step": 1, "score": float("nan")}))
        told = receiver.receive(10)
        assert told["step"] == 1
        assert told["score"] != told["score"]
        thread.join(0.2)
        assert outcome == []
        receiver.take()
        thread.join(10)
        assert outcome == [None]


def test_reports_arrive_in_their_order():
    with Receiver(HOST) as receiver:
        sender = Sender(receiver.address)
        thread, _ = _in_thread(lambda: [sender.send({"step": step}) for step in range(20)])
        for step in range(20):
            assert receiver.receive(10) == {"step": step}
            receiver.take()
        thread.join(10)
        assert not thread.is_alive()


def test_nothing_told_is_none():
    with Receiver(HOST) as receiver:
        assert receiver.receive(0.0) is None


def test_a_worker_that_waits_is_told_that_the_trial_ends():
    with Receiver(HOST) as receiver:
        sender = Sender(receiver.address)
        thread, outcome = _in_thread(lambda: sender.send({"step": 1}))
        assert receiver.receive(10) == {"step": 1}
        time.sleep(0.3)  # until it waits in earnest: hanging up must wake it
    thread.join(10)
    assert isinstance(outcome[0], ConnectionError)
    with pytest.raises(OSError):  # noqa: PT011  refused, or cut off
        Sender(receiver.address).send({"step": 2})


def test_a_group_that_starts_again_connects_anew():
    with Receiver(HOST) as receiver:
        first = Sender(receiver.address)
        thread, _ = _in_thread(lambda: first.send({"step": 1}))
        receiver.receive(10)
        first._connection.close()  # the worker was lost
        receiver.take()
        thread.join(10)
        again = Sender(receiver.address)
        thread, outcome = _in_thread(lambda: again.send({"step": 2}))
        assert receiver.receive(10) == {"step": 2}
        receiver.take()
        thread.join(10)
        assert outcome == [None]


def test_strangers_are_not_heard():
    with Receiver(HOST) as receiver:
        host, port, _ = receiver.address
        with pytest.raises(Exception, match=r"digest|reset|rejected"):
            Client((host, port), authkey=b"guess").send_bytes(b'{"step": 9}')
        thread, outcome = _in_thread(lambda: Sender(receiver.address).send({"step": 1}))
        assert receiver.receive(10) == {"step": 1}
        receiver.take()
        thread.join(10)
        assert outcome == [None]


def test_a_stranger_who_says_nothing_keeps_no_worker_out():
    with Receiver(HOST) as receiver, socket.create_connection(receiver.address[:2]):
        time.sleep(0.1)
        thread, outcome = _in_thread(lambda: Sender(receiver.address).send({"step": 1}))
        assert receiver.receive(10) == {"step": 1}
        receiver.take()
        thread.join(10)
        assert outcome == [None]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_addresses_of_version_6():
    try:
        receiver = Receiver("::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with receiver:
        thread, outcome = _in_thread(lambda: Sender(receiver.address).send({"step": 1}))
        assert receiver.receive(10) == {"step": 1}
        receiver.take()
        thread.join(10)
        assert outcome == [None]


def test_no_thread_is_left_behind():
    before = threading.active_count()
    for _ in range(5):
        with Receiver(HOST):
            pass
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
