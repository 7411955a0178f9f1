"""Reports from the first worker of a group to the process of its trial, each answered.

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
from multiprocessing.connection import (
    Connection,
    Listener,
    answer_challenge,
    deliver_challenge,
)
from types import TracebackType
from typing import Any, Final, TypeAlias

Address: TypeAlias = tuple[str, int, bytes]
"""Host, port and key."""

_TAKEN: Final = b"taken"
_CONNECT_S: Final = 60.0


class Receiver:
    """The side of the trial's process; as a context manager, it hangs up at the end."""

    def __init__(self, host: str) -> None:
        """Listen.

        Args:
            host: Address of this machine that the workers' machines reach.
        """
        key = secrets.token_bytes(32)
        self._listener = Listener((host, 0), family="AF_INET6" if ":" in host else "AF_INET")
        self.address: Address = (host, self._listener.address[1], key)
        self._received: queue.Queue[tuple[Connection, bytes]] = queue.Queue()
        self._open: set[Connection] = set()
        self._asked: Connection | None = None
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
        for connection in tuple(self._open):
            _hang_up(connection)
        with suppress(OSError):  # wakes the thread, which listens
            socket.create_connection(self.address[:2], timeout=1.0).close()

    def receive(self, timeout_s: float) -> dict[str, Any] | None:
        """The next report, to be answered by `take`; None where none came in time."""
        try:
            self._asked, content = self._received.get(timeout=timeout_s)
        except queue.Empty:
            return None
        report: dict[str, Any] = json.loads(content)
        return report

    def take(self) -> None:
        """Let the worker go on."""
        assert self._asked is not None
        try:
            self._asked.send_bytes(_TAKEN)
        except OSError:  # it is gone; its group says why
            return

    def _listen(self) -> None:
        with self._listener:
            while not self._is_closed:
                with suppress(OSError):  # gone before it was accepted
                    connection = self._listener.accept()
                    # Each in a thread of its own: a stranger who says nothing keeps no worker out.
                    threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: Connection) -> None:
        self._open.add(connection)
        try:
            deliver_challenge(connection, self.address[2])
            answer_challenge(connection, self.address[2])
            while not self._is_closed:
                self._received.put((connection, connection.recv_bytes()))
        except (EOFError, OSError, AuthenticationError):
            return  # the worker is gone, or it was somebody else
        finally:
            self._open.discard(connection)
            connection.close()


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
        try:
            if self._connection is None:
                line = socket.create_connection((host, port), timeout=_CONNECT_S)
                line.settimeout(None)
                self._connection = Connection(line.detach())
                answer_challenge(self._connection, key)
                deliver_challenge(self._connection, key)
            self._connection.send_bytes(json.dumps(report).encode())
            self._connection.recv_bytes()
        except EOFError:
            raise ConnectionError("the trial's process ends this trial") from None
