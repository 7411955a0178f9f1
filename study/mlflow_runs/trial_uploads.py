"""What happens to trials, on its way to their runs in MLflow."""

from __future__ import annotations

from pathlib import Path

from study.mlflow_runs.trial_runs import TrialRuns
from study.mlflow_runs.upload_queue import UploadQueue, now_ms
from study.trials.listener import TrialListener
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class TrialUploads(TrialListener):
    """Sends what it is told of trials to MLflow, in the thread of a queue."""

    def __init__(self, runs: TrialRuns, queue: UploadQueue) -> None:
        """Send to the trials' runs.

        Args:
            runs: The runs.
            queue: Carries records to MLflow.
        """
        self._runs = runs
        self._queue = queue

    def on_start(self, trial: TrialConfig, *, is_first: bool) -> None:
        """Begin the trial's run, once in a session."""
        if is_first:
            self._queue.put(self._runs.begin, trial)

    def on_step(self, trial: TrialConfig, step: int, rows: Rows) -> None:
        """Add to the trial's curves."""
        if rows:
            self._queue.put(self._runs.log_rows, trial.key, rows, now_ms())

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """End the trial's run."""
        self._queue.put(self._runs.end, folder, outcome, now_ms())

    def add(self, outcome: Outcome, folder: Path) -> None:
        """Record a trial that ended in an earlier session, unless its run has ended too."""
        self._queue.put(self._runs.add, folder, outcome, now_ms())
