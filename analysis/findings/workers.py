"""Work that does not wait for other work: in processes of its own, or at once in this one."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

_MOST_PROCESSES = 2
_COLLECTED_AFTER = 100_000
"""New objects after which Python looks for those that only hold each other; by itself it waits for
a hundredth of that, or a little more."""


def worker_processes() -> Executor:
    """Processes that load the drawing libraries at once, while the study is still being read.

    This process has a core of its own where there are two or more. They begin anew rather than as
    copies of it, whose threads they would inherit; so the program that calls this must be a module
    or file with a guarded main.
    """
    num = num_processes()
    pool = ProcessPoolExecutor(max_workers=num, mp_context=get_context("spawn"), initializer=_begin)
    for _ in range(num):
        pool.submit(_nothing)
    return pool


def num_processes() -> int:
    """How many draw: what is left of this machine's cores, one at least."""
    has_affinity = hasattr(os, "sched_getaffinity")
    num_cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(_MOST_PROCESSES, num_cpus - 1))


def collect_rarely() -> None:
    """Let Python look for garbage less often: for a process that lives for one report.

    By its own rule it spends a fifth of a large report on it, and finds next to nothing.
    """
    gc.set_threshold(_COLLECTED_AFTER)


def _begin() -> None:
    """In a new process: end with the one that started it, leave Ctrl-C to it, load libraries."""
    collect_rarely()
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
