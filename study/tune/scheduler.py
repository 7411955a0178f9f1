"""Ray Tune's view of pruning: which running trial is stopped early."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.search.study_search import StudySearch
from study.tune.tune_trial import task_of
from trainables.trial.folder.outcomes import Rows


class ArmScheduler(FIFOScheduler):
    """Stops the search trials that the pruner of their own arm gives up."""

    def __init__(self, search: StudySearch) -> None:
        """Ask `search`, which knows the arm of a trial."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._search = search

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its scheduler into a file, and nobody reads it."""
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP, at a validation."""
        rows: Rows = result.get("rows") or ()
        prune = self._search.should_prune(task_of(trial).trial.key, rows)
        return str(TrialScheduler.STOP if prune else TrialScheduler.CONTINUE)
