"""Ray Tune's events, translated into those of a trial's life."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback

from study.mlflow_runs.upload_queue import UploadQueue
from study.trials.session_times import SessionTimes
from study.trials.study_trials import StudyTrials
from study.tune.tune_trial import adjust, error_text, task_of


class TrialCallback(Callback):
    """Tells the study what Tune says of its trials; it decides nothing."""

    def __init__(self, trials: StudyTrials, queue: UploadQueue, times: SessionTimes) -> None:
        """Translate for a study.

        Args:
            trials: Its trials.
            queue: Carries records to MLflow; its errors end the study.
            times: Measures what all this takes of the driver.
        """
        self._trials = trials
        self._queue = queue
        self._times = times

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into a file, and nobody reads it."""
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Stop the study where it cannot go on.

        Raises:
            StudyHaltedError: If no trial could succeed now.
        """
        with self._times.callback():
            self._queue.check()
            self._trials.check()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A process runs the trial; Tune starts it anew after it failed."""
        with self._times.callback():
            self._trials.start(task_of(trial).trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """The trial got further."""
        with self._times.callback():
            key, step = task_of(trial).trial.key, result.get("step", 0)
            self._trials.advance(key, step, result.get("rows") or ())

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial failed and will be started again."""
        with self._times.callback():
            is_free = self._trials.interrupt(task_of(trial).trial, error_text(trial))
            adjust(trial, is_free=is_free)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process returned, or the scheduler stopped it."""
        with self._times.callback():
            self._trials.stop(task_of(trial).trial)
            adjust(trial, has_ended=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tune gives the trial up.

        It does so too early where it tells the loss of a process twice: the second word meets a
        trial that waits already, and Tune takes that for final.
        """
        with self._times.callback():
            has_retries = trial.run_metadata.num_failures <= trial.max_failures
            self._trials.fail(task_of(trial).trial, error_text(trial), has_retries=has_retries)
            adjust(trial, has_ended=True)
