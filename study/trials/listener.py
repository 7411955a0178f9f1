"""The events of a trial's life."""

from __future__ import annotations

from pathlib import Path

from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class TrialListener:
    """Is told what happens to trials; a method that is not overridden does nothing.

    An event is on disk, and in the storage, before a listener hears of it: after a crash it can be
    told again by what the trials' folders say.
    """

    def on_plan(self, trial: TrialConfig) -> None:
        """A trial is about to be given to a process."""

    def on_start(self, trial: TrialConfig, *, is_first: bool) -> None:
        """A process runs the trial.

        Args:
            trial: The trial.
            is_first: Whether it is the first process in this session.
        """

    def on_step(self, trial: TrialConfig, step: int, rows: Rows) -> None:
        """A running trial got further.

        Args:
            trial: The trial.
            step: Its last optimiser step.
            rows: Rows of its curves that are new.
        """

    def on_interrupt(self, trial: TrialConfig) -> None:
        """A trial was lost with its process; it waits to be given to another one."""

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """A trial has ended.

        Args:
            outcome: How.
            folder: The trial's folder.
        """
