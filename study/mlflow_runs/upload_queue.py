"""Carries records to MLflow in a thread of its own; a server that went away is waited for.

What waits is in memory, and the outcomes of trials are on disk besides: a study that ends before
all has arrived delivers the rest when it is continued.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final

from mlflow.exceptions import MlflowException

_LONGEST_WAIT_S: Final = 15.0
_LOOK_S: Final = 1.0
"""Between two looks whether the store takes records, while they are waited for."""
_REFUSALS: Final = (
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
)
"""MLflow's words for what would be refused again; anything else may pass with time."""


class UploadQueue:
    """Sends records one after the other, each until it has arrived."""

    def __init__(self) -> None:
        """Start with nothing to send."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self._pending: list[Future[bool]] = []
        self._given_up = threading.Event()
        self.is_away = False
        """Whether the store did not take the last record yet."""
        self.sending_s = 0.0
        """Wall seconds of all calls so far, those that failed too; not the waits between them."""
        self.refused: list[str] = []
        """What the store said to records that it will never take."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is sent."""
        return self._given_up.is_set()

    @property
    def num_waiting(self) -> int:
        """Records that have not arrived."""
        return sum(not one.done() for one in self._pending)

    @property
    def num_delayed(self) -> int:
        """Records that the store, being away, has not taken; 0 while it takes them."""
        return self.num_waiting * self.is_away

    def put(self, send: Callable[..., None], *given: Any) -> None:
        """Send in its turn: `send` is called with `given`, again until it passes or is refused."""
        self._pending.append(self._executor.submit(self._send, send, given))

    def check(self) -> None:
        """Raise what went wrong in the thread and is neither the store's absence nor refusal."""
        for one in [one for one in self._pending if one.done()]:
            self._pending.remove(one)
            one.result()

    def close(self, timeout_s: float, *, while_it_takes: bool = False) -> bool:
        """Wait for what is left; whether all has been sent.

        Args:
            timeout_s: How long.
            while_it_takes: Whether only time counts in which the store is away, at a stretch: the
                networks of many arms are gigabytes, and a server that takes them is waited for.

        Raises:
            KeyboardInterrupt: If a person does not want to wait.
        """
        end_s = time.monotonic() + timeout_s
        try:
            while wait(self._pending, timeout=min(timeout_s, _LOOK_S)).not_done:
                if while_it_takes and not self.is_away:
                    end_s = time.monotonic() + timeout_s
                elif time.monotonic() >= end_s:
                    break
        finally:
            self._given_up.set()
            self._executor.shutdown(wait=True, cancel_futures=True)
        return all(not one.cancelled() and one.result() for one in self._pending)

    def _send(self, send: Callable[..., None], given: tuple[Any, ...]) -> bool:
        """Returns whether the record has been dealt with, rather than given up."""
        delay_s = 0.5
        while not self._given_up.is_set():
            try:
                self._call(send, given)
            except (MlflowException, OSError) as error:
                if getattr(error, "error_code", None) in _REFUSALS:
                    self.refused.append(" ".join(str(error).split()))
                    return True
                self.is_away = True
                self._given_up.wait(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_WAIT_S)
            else:
                self.is_away = False
                return True
        return False

    def _call(self, send: Callable[..., None], given: tuple[Any, ...]) -> None:
        start = time.perf_counter()
        try:
            send(*given)
        finally:
            self.sending_s += time.perf_counter() - start


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow stamps its metrics."""
    return int(time.time() * 1000)
