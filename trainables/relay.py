"""From the first worker of a group to the process of its trial: reports, each answered.

A report returns when Ray Tune has taken it, as in a trial of one process: a trial that is to be
stopped goes no further. Ray's own way from Train to Tune can lock up: two threads fill a queue of
one. A connection of its own also spares every trial the start of another process.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import threading
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from types import TracebackType
from typing import Any, TypeAlias

Address: TypeAlias = tuple[str, int, bytes]
"""Host, port and key."""

_TAKEN = b"taken"


class Receiver:
    """The side of the trial's process; as a context manager, it hangs up at the end."""

    def __init__(self, host: str) -> None:
        """Listen.

        Args:
            host: Address of this machine that the workers' machines reach.
        """
        key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), authkey=key)
        self.address: Address = (host, self._listener.address[1], key)
        self._told: queue.Queue[tuple[Connection, bytes]] = queue.Queue()
        self._connection: Connection | None = None
        self._is_closed = False
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closed = True
        if self._connection is not None:
            _hang_up(self._connection)
        with suppress(OSError):  # wakes the thread, which listens
            socket.create_connection(self.address[:2], timeout=1.0).close()

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """The next report, to be answered by `take`; None where none came in time."""
        try:
            self._connection, told = self._told.get(timeout=timeout_s)
        except queue.Empty:
            return None
        report: dict[str, Any] = json.loads(told)
        return report

    def take(self) -> None:
        """Let the worker go on."""
        assert self._connection is not None
        try:
            self._connection.send_bytes(_TAKEN)
        except OSError:  # it is gone; its group says why
            return

    def _listen(self) -> None:
        """One connection after the other: a group that starts again connects anew."""
        with self._listener:
            while not self._is_closed:
                try:
                    connection = self._listener.accept()
                    while True:
                        self._told.put((connection, connection.recv_bytes()))
                except (EOFError, OSError, AuthenticationError):
                    continue  # the worker is gone, or it was somebody else


def _hang_up(connection: Connection) -> None:
    """End a connection that another thread reads: closing it alone would wake neither side."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


class Sender:
    """The side of the first worker."""

    def __init__(self, address: Address) -> None:
        """Connect to nothing yet."""
        self._address = address
        self._connection: Connection | None = None

    def send(self, report: dict[str, Any]) -> None:
        """Tell the trial's process, and wait until it has taken the report.

        Raises:
            ConnectionError: If it is gone, or stops the trial.
        """
        host, port, key = self._address
        if self._connection is None:
            self._connection = Client((host, port), authkey=key)
        try:
            self._connection.send_bytes(json.dumps(report).encode())
            self._connection.recv_bytes()
        except EOFError:
            raise ConnectionError("the trial's process ends this trial") from None
