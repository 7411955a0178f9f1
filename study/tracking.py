"""Tune callback: carries what Ray Tune sees into the study's record in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune import Callback

from study.record import TRACEBACK, StudyRecord
from trainables.config import TrialConfig
from trainables.trial import RESULT, read_result


class TrackingCallback(Callback):
    """Carries what Ray Tune sees into the record."""

    def __init__(self, record: StudyRecord) -> None:
        """Write to `record`."""
        self._record = record
        self._begun: set[str] = set()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begin the run; Tune may start a trial more than once."""
        self._begin(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Log the rows of a validation."""
        self._record.log_rows(trial.config["trial"]["key"], result.get("rows") or ())

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the run with what the trial left on disk."""
        folder = Path(trial.config["folder"])
        record = read_result(folder)
        if record is None:
            raise RuntimeError(f"a complete trial must have left {RESULT}, got none in {folder}")
        self._record.finish_trial(trial.config["trial"]["key"], folder, record)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the run as failed and keep the traceback beside the trial's files."""
        self._begin(trial)  # whose process may never have come up
        error = trial.get_error()
        text = str(error) if error is not None else "the trial's process ended without an error"
        folder = Path(trial.config["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TRACEBACK).write_text(text)
        self._record.fail_trial(trial.config["trial"]["key"], text)

    def _begin(self, trial: Any) -> None:
        told = TrialConfig.from_plain(trial.config["trial"])
        if told.key not in self._begun:
            self._begun.add(told.key)
            self._record.begin_trial(told)
