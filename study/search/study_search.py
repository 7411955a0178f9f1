"""The searches of all arms as one: which trial of the study comes next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from study.search.arm_search import ArmSearch
from study.trials.listener import TrialListener
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class StudySearch(TrialListener):
    """Serves the trials of the arms, and is told how they go."""

    def __init__(
        self, searches: Sequence[ArmSearch], look_seeds: Sequence[float] = (math.inf,)
    ) -> None:
        """Serve the arms' trials.

        Args:
            searches: One per arm, in the order in which they are served.
            look_seeds: The last seed of each look, ascending: no arm is confirmed beyond a look
                while another has trials for it that could run.
        """
        self._searches = searches
        self._look_seeds = look_seeds
        self._running: dict[str, ArmSearch] = {}

    @property
    def num_running(self) -> int:
        """Trials that were served and have not ended."""
        return len(self._running)

    @property
    def num_left(self) -> int:
        """Trials that have not ended."""
        return len(self._running) + sum(search.num_left for search in self._searches)

    def next_trial(self) -> TrialConfig | None:
        """The next trial; None where none can run now."""
        for last_seed in self._look_seeds:
            for search in self._searches:
                trial = search.next_trial(last_seed)
                if trial is not None:
                    self._running[trial.key] = search
                    return trial
        return None

    def should_prune(self, key: str, rows: Rows) -> bool:
        """Whether a running trial is to be stopped, by what it reports now."""
        return self._running[key].should_prune(key, rows)

    def on_interrupt(self, trial: TrialConfig) -> None:
        """Serve the trial again."""
        self._running.pop(trial.key).requeue(trial)

    def on_end(self, outcome: Outcome, folder: Path) -> None:
        """Take the trial's end into account; of one that was given up unserved, its arm knows."""
        search = self._running.pop(outcome.trial.key, None)
        if search is not None:
            search.complete(outcome)
