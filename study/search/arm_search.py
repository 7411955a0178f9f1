"""One arm from its first search trial to its last confirmation, without Ray.

An arm is confirmed as soon as its own search has ended: no arm waits for another. All state lies
in the trials' folders, so a study continues from what they hold.
"""

from __future__ import annotations

import math
from collections import deque

from contract.names import search_number
from study.design.arms import Arm, confirm_seeds, confirm_trial
from study.search.arm_trials import ArmTrials
from study.search.optuna_database import OptunaDatabase
from study.settings.config import StudyConfig
from study.trials.study_trials import StudyTrials
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class ArmSearch:
    """Search and confirmation of one arm, without Ray."""

    def __init__(
        self, config: StudyConfig, arm: Arm, database: OptunaDatabase, trials: StudyTrials
    ) -> None:
        """Take up what is already done.

        Args:
            config: The study.
            arm: The arm.
            database: Where the search is shown to other tools.
            trials: The study's trials.
        """
        self.arm = arm
        self._config = config
        self._trials = ArmTrials(config, arm, database, trials)
        self.notes = self._trials.notes
        """What a person must know of trials whose records were lost, a line each."""
        self._num_asked = len(self._trials.all())
        self.num_unplanned = max(0, self._num_asked - arm.num_search)
        """Search trials of an earlier version, which ran one where nothing is searched."""
        self._open: deque[TrialConfig] = deque()
        """Trials of suggestions that were made, before those of new ones."""
        self._held: dict[int, list[TrialConfig]] = {}
        """Trials of a suggestion that wait for the pruner's verdict on its first seed."""
        for number in range(self._num_asked):
            self._put(number, self._trials.unended(number))
        self._running: dict[str, int] = {}
        self._seeds = deque(
            seed
            for seed in confirm_seeds(config)[: config.seeds_now]
            if trials.state(confirm_trial(config, arm, seed, {}).key) not in ("finished", "pruned")
        )
        self._give_up_confirmation()

    @property
    def num_left(self) -> int:
        """Trials not started yet, confirmation included."""
        suggestions = max(0, self.arm.num_search - self._num_asked)
        begun = len(self._open) + sum(map(len, self._held.values()))
        return suggestions * len(self.arm.search_seeds) + begun + len(self._seeds)

    def next_trial(self, last_seed: float = math.inf) -> TrialConfig | None:
        """The next trial, or None while the search is still running or when nothing is left.

        Args:
            last_seed: Confirmation trials with a higher seed are not served yet.
        """
        if not self._open and self._num_asked < self.arm.num_search:
            self._num_asked += 1
            self._put(self._num_asked - 1, self._trials.add())
        if self._open:
            trial = self._open.popleft()
            self._running[trial.key] = search_number(trial.key)
            return trial
        if self._running or not self._seeds or self._seeds[0] > last_seed:
            return None
        values = self._trials.confirmed_values() or self._trials.chosen_values() or {}
        return confirm_trial(self._config, self.arm, self._seeds.popleft(), values)

    def should_prune(self, key: str, rows: Rows) -> bool:
        """Tell Optuna the validations of a search trial; returns whether it is to be stopped.

        Pruning compares trials of this arm alone: its Optuna study holds no others.
        """
        number = self._running.get(key)
        return number is not None and self._trials.should_prune(number, key, rows)

    def complete(self, outcome: Outcome) -> None:
        """Tell Optuna how a search trial ended; confirmation is none of its business."""
        number = self._running.pop(outcome.trial.key, None)
        if number is not None:
            self._trials.end(number, outcome)
            held = self._held.pop(number, [])
            if outcome.state != "pruned":
                self._open.extend(held)
            self._give_up_confirmation()

    def requeue(self, trial: TrialConfig) -> None:
        """Serve a trial again that was lost, before those not started yet."""
        if self._running.pop(trial.key, None) is not None:
            self._open.appendleft(trial)
        else:
            self._seeds.appendleft(trial.seed)

    def _put(self, number: int, trials: list[TrialConfig]) -> None:
        """Have the trials of a suggestion served, with a pruner the first seed's before others."""
        if self._config.pruner != "none" and trials and self._trials.is_judged(trials[0].key):
            self._held[number] = trials[1:]
            trials = trials[:1]
        self._open.extend(trials)

    def _give_up_confirmation(self) -> None:
        """Confirm nothing where there is something to choose and no search trial to choose."""
        searched = self._num_asked >= self.arm.num_search
        ended = searched and not self._running and not self._open
        if self.arm.searched and ended and self._trials.chosen_values() is None:
            self._seeds.clear()
