"""A candidate in a process of its own, where its allocator, threads and memory are its alone."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, Self

_WAIT_FOR_END_S = 30.0


class OwnProcess:
    """An object in another process: it does what it is asked, and waits in between."""

    def __init__(
        self,
        build: Callable[..., Any],
        *arguments: Any,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process and build the object there.

        Args:
            build: Makes the object; a class or function at the top of a module.
            arguments: What it is made from.
            variables: Of the environment, for this process alone.

        Raises:
            RuntimeError: With the traceback, if the object cannot be built.
        """
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, arguments), daemon=True)
        before = dict(os.environ)
        os.environ.update(variables or {})
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()
        self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(_WAIT_FOR_END_S)
        self._process.kill()

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the object.

        Raises:
            RuntimeError: With the traceback, if it raises, or if the process has ended.
        """
        self._connection.send((method, arguments))
        return self._receive()

    def _receive(self) -> Any:
        try:
            failure, value = self._connection.recv()
        except EOFError:
            self._process.join(_WAIT_FOR_END_S)
            raise RuntimeError(
                f"the process of a candidate must live, got exit code {self._process.exitcode}"
            ) from None
        if failure is not None:
            raise RuntimeError(f"a candidate failed:\n{failure}")
        return value


def _serve(connection: Connection, build: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Answer requests with (traceback or None, value) until the other side closes."""
    answer, subject = _attempt(build, arguments)
    connection.send((answer, None))
    while answer is None:
        try:
            method, given = connection.recv()
        except EOFError:
            return
        answer, value = _attempt(getattr(subject, method), given)
        connection.send((answer, value))


def _attempt(call: Callable[..., Any], arguments: Sequence[Any]) -> tuple[str | None, Any]:
    """Traceback or None, and what the call returned."""
    try:
        return None, call(*arguments)
    except Exception:  # noqa: BLE001 - it is raised again where it was asked for
        return traceback.format_exc(), None
