"""One arm from its first search trial to its last confirmation, without Ray.

An arm is confirmed as soon as its own search has ended: no arm waits for another. All state lies
in Optuna's database and in the trial folders, so a study continues from what they hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from optuna.trial import TrialState

from study.design.arms import Arm, confirm_seeds, confirm_trial, search_trial
from study.search.arm_trials import ArmTrials
from study.settings.config import StudyConfig
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class ArmSearch:
    """Search and confirmation of one arm, without Ray."""

    def __init__(
        self,
        config: StudyConfig,
        arm: Arm,
        storage: str,
        outcome_of: Callable[[str], Outcome | None],
    ) -> None:
        """Open the arm's Optuna study and take up what is already done.

        Args:
            config: The study.
            arm: The arm.
            storage: Optuna's database URI.
            outcome_of: How the trial with this key ended; None where it has not.
        """
        self.arm = arm
        self._config = config
        self._trials = ArmTrials(config, arm, storage)
        self._interrupted: deque[int] = deque()
        self._running: dict[str, int] = {}
        self._num_asked = 0
        self._take_up(outcome_of)
        self._seeds: deque[int] = deque()
        for seed in confirm_seeds(config):
            ended = outcome_of(confirm_trial(config, arm, seed, {}).key)
            if ended is None or ended.state == "failed":
                self._seeds.append(seed)
        self._give_up_confirmation()

    @property
    def num_left(self) -> int:
        """Trials not started yet, confirmation included."""
        return self.arm.num_search - self._num_asked + len(self._interrupted) + len(self._seeds)

    def next_trial(self) -> TrialConfig | None:
        """The next trial, or None while the search is still running or when nothing is left."""
        if self._interrupted:
            return self._search_trial(self._interrupted.popleft())
        if self._num_asked < self.arm.num_search:
            self._num_asked += 1
            return self._search_trial(self._trials.add())
        if self._running or not self._seeds:
            return None
        values = self._trials.best_values() or {}
        return confirm_trial(self._config, self.arm, self._seeds.popleft(), values)

    def should_prune(self, key: str, rows: Rows) -> bool:
        """Tell Optuna the validations of a search trial; whether it is to be stopped.

        Pruning compares trials of this arm alone: its Optuna study holds no others.
        """
        number = self._running.get(key)
        return number is not None and self._trials.should_prune(number, rows)

    def complete(self, outcome: Outcome) -> None:
        """Tell Optuna how a search trial ended; confirmation is none of its business."""
        number = self._running.get(outcome.trial.key)
        if number is not None:
            self._trials.end(number, outcome)
            del self._running[outcome.trial.key]
            self._give_up_confirmation()

    def requeue(self, trial: TrialConfig) -> None:
        """Serve a trial again that was lost, before those not started yet."""
        number = self._running.pop(trial.key, None)
        if number is not None:
            self._interrupted.appendleft(number)
        else:
            self._seeds.appendleft(trial.seed)

    def _take_up(self, outcome_of: Callable[[str], Outcome | None]) -> None:
        for trial in self._trials.all():
            self._num_asked += 1
            if trial.state == TrialState.RUNNING:
                key = search_trial(self._config, self.arm, trial.number, {}).key
                outcome = outcome_of(key)
                if outcome is None:
                    self._interrupted.append(trial.number)
                else:
                    self._trials.end(trial.number, outcome)

    def _give_up_confirmation(self) -> None:
        """Confirm nothing where there is something to choose and no search trial to choose."""
        searched = self._num_asked == self.arm.num_search
        ended = searched and not self._running and not self._interrupted
        if self.arm.searched and ended and self._trials.best_values() is None:
            self._seeds.clear()

    def _search_trial(self, number: int) -> TrialConfig:
        values = self._trials.values(number)
        trial = search_trial(self._config, self.arm, number, values)
        self._running[trial.key] = number
        return trial
