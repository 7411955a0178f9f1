"""Ray Tune's view of pruning: which running trial is stopped early."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.tune.searcher import StudySearcher
from trainables.trial.folder.outcomes import Rows


class ArmScheduler(FIFOScheduler):
    """Stops the search trials that the pruner of their own arm gives up."""

    def __init__(self, searcher: StudySearcher) -> None:
        """Ask `searcher`, which knows the arm of a trial."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP, at a validation."""
        rows: Rows = result.get("rows") or ()
        prune = self._searcher.should_prune(trial.config["trial"]["key"], rows)
        return str(TrialScheduler.STOP if prune else TrialScheduler.CONTINUE)
