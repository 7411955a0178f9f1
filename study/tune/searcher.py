"""Ray Tune's view of the searches: it asks what to run next."""

from __future__ import annotations

from typing import Any

from ray.tune.search import Searcher

from study.machines.machines import Machines
from study.search.study_search import StudySearch
from study.trials.study_trials import StudyTrials
from study.trials.tasks import TaskBuilder
from trainables.trial.run import TASK
from trainables.trial.task import TrialTask


class StudySearcher(Searcher):
    """Gives Ray Tune the trials of the arms, in the order in which the arms are served."""

    def __init__(
        self,
        search: StudySearch,
        trials: StudyTrials,
        tasks: TaskBuilder,
        machines: Machines,
    ) -> None:
        """Translate between a study and Tune.

        Args:
            search: Says which trial comes next.
            trials: Is told that a trial is about to run.
            tasks: Makes of a trial what its process is given.
            machines: Say how many trials may run at once now.
        """
        super().__init__(metric="score", mode="max")
        self._search = search
        self._trials = trials
        self._tasks = tasks
        self._machines = machines

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher into a file, and nobody reads it."""
        return {}

    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, TrialTask] | str | None:
        """What the next process is given; None = not yet; FINISHED = nothing is left."""
        num_running = self._search.num_running
        if num_running and num_running >= self._machines.room():
            return None
        trial = self._search.next_trial()
        if trial is None:
            return None if num_running else Searcher.FINISHED
        self._trials.plan(trial)
        return {TASK: self._tasks.build(trial)}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: Tune says so before the outcome is on disk; see `StudySearch.on_end`."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is done lies in the trials' folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""
