"""What the study's callbacks take of the driver, measured from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback


class TimedCallback(Callback):
    """Measures what the study's callbacks do of what Tune offers."""

    def __init__(self, inner: Callback, take: Callable[[float], None]) -> None:
        """Stand before another callback.

        Args:
            inner: The callback.
            take: Is given the seconds of every call.
        """
        self._inner = inner
        self._take = take

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Pass on."""
        self._pass_on("on_step_end", iteration=iteration, trials=trials, **info)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on."""
        self._pass_on("on_trial_start", iteration=iteration, trials=trials, trial=trial, **info)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on."""
        given = {"iteration": iteration, "trials": trials, "trial": trial, "result": result}
        self._pass_on("on_trial_result", **given, **info)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on."""
        self._pass_on("on_trial_recover", iteration=iteration, trials=trials, trial=trial, **info)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on."""
        self._pass_on("on_trial_complete", iteration=iteration, trials=trials, trial=trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on."""
        self._pass_on("on_trial_error", iteration=iteration, trials=trials, trial=trial, **info)

    def _pass_on(self, event: str, **given: Any) -> None:
        start = time.perf_counter()
        try:
            getattr(self._inner, event)(**given)
        finally:
            self._take(time.perf_counter() - start)
