"""Work that does not wait for other work: in processes of its own, or at once in this one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

_NUM_PROCESSES = 2


def worker_processes() -> Executor:
    """Processes that load the drawing libraries at once, while the study is still being read.

    They begin anew rather than as copies of this process, whose threads they would inherit; so
    the program that calls this must be a module or file with a guarded main.
    """
    pool = ProcessPoolExecutor(
        max_workers=_NUM_PROCESSES, mp_context=get_context("spawn"), initializer=_begin
    )
    for _ in range(_NUM_PROCESSES):
        pool.submit(_nothing)
    return pool


def _begin() -> None:
    """In a new process: end with the one that started it, leave Ctrl-C to it, load libraries."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import seaborn  # noqa: F401


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _nothing() -> None:
    """Makes the pool start a process."""


class InThisProcess(Executor):
    """Does everything when it is asked, and before it returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result as a finished future; errors are raised here."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future
