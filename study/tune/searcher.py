"""What Ray Tune runs next: the trials of the arms, in the order in which the arms are served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from study.search.arm_search import ArmSearch
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows


class StudySearcher(Searcher):
    """Ray Tune's view of the arms."""

    def __init__(
        self,
        searches: list[ArmSearch],
        hand_out: Callable[[TrialConfig], dict[str, Any]],
        *,
        room: Callable[[], int],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve the arms' trials.

        Args:
            searches: One per arm, in the order in which they are served.
            hand_out: Turns a trial into everything its process is given.
            room: How many trials may run at once now.
            on_change: Called when the arms' Optuna studies hold something new, before the trial
                that it is about starts.
        """
        super().__init__(metric="score", mode="max")
        self._searches = searches
        self._hand_out = hand_out
        self._room = room
        self._on_change = on_change
        self._running: dict[str, ArmSearch] = {}
        self._pruned: set[str] = set()

    @property
    def num_left(self) -> int:
        """Trials that have not ended."""
        return len(self._running) + sum(search.num_left for search in self._searches)

    @property
    def is_done(self) -> bool:
        """Whether every trial has been started and has ended."""
        return not self._running and not any(search.num_left for search in self._searches)

    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """What the next process is given; None = not yet; FINISHED = nothing is left."""
        if self._running and len(self._running) >= self._room():
            return None
        for search in self._searches:
            trial = search.next_trial()
            if trial is not None:
                self._running[trial.key] = search
                self._on_change()
                return self._hand_out(trial)
        return None if self._running else Searcher.FINISHED

    def should_prune(self, key: str, rows: Rows) -> bool:
        """Whether a running trial is to be stopped, by what it reports now."""
        if self._running[key].should_prune(key, rows):
            self._pruned.add(key)
        return key in self._pruned

    def was_pruned(self, key: str) -> bool:
        """Whether a trial was stopped early."""
        return key in self._pruned

    def end(self, outcome: Outcome) -> None:
        """A trial has ended, and its outcome is on disk."""
        self._running[outcome.trial.key].complete(outcome)
        del self._running[outcome.trial.key]
        self._on_change()

    def requeue(self, trial: TrialConfig) -> None:
        """Serve a trial again that was lost and that Tune has given up."""
        self._running.pop(trial.key).requeue(trial)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: Tune says so before the outcome is on disk; see `end`."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is done lies in Optuna's database and the trial folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""
