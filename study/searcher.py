"""What Ray Tune runs next: search trials from one Optuna study per arm, then confirmation.

An arm is confirmed as soon as its own search has ended: no arm waits for another. All state lies
in Optuna's database and in the trial folders, so a study continues from what they hold.
"""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from study.arms import Arm, confirm_seeds, confirm_trial, search_trial
from study.config import StudyConfig
from study.space import Varied
from trainables.config import TrialConfig

Outcome = float | None
"""Selected validation measure of a trial, or None where it failed."""


class ArmSearch:
    """Search and confirmation of one arm, without Ray."""

    def __init__(
        self,
        config: StudyConfig,
        arm: Arm,
        storage: str,
        finished: Callable[[str], float | None],
    ) -> None:
        """Open the arm's Optuna study and take up what is already done.

        Args:
            config: The study.
            arm: The arm.
            storage: Optuna's database URI.
            finished: Score of a trial by its key where its record is complete, else None.
        """
        self.arm = arm
        self._config = config
        self._optuna_study = optuna.create_study(
            storage=storage,
            study_name=arm.name,
            direction="maximize",
            load_if_exists=True,
        )
        self._distributions = {one.name: _distribution(one) for one in arm.searched}
        num_known = len(self._optuna_study.get_trials(deepcopy=False))
        for values in _tried_first(config, arm)[num_known:]:
            self._optuna_study.enqueue_trial(values)
        self._interrupted: deque[int] = deque()
        self._num_asked = 0
        self._take_up(finished)
        self._seeds = deque(
            seed for seed in confirm_seeds(config) if finished(self._confirm_key(seed)) is None
        )
        self._running: dict[str, int] = {}

    @property
    def num_left(self) -> int:
        """Trials not started yet, confirmation included."""
        return self.arm.num_search - self._num_asked + len(self._interrupted) + len(self._seeds)

    def next_trial(self) -> TrialConfig | None:
        """The next trial, or None while the search is still running or when nothing is left."""
        if self._interrupted:
            return self._search_trial(self._interrupted.popleft())
        if self._num_asked < self.arm.num_search:
            # Seeded for each trial: a continued search draws what an undisturbed one would have.
            self._optuna_study.sampler = _build_sampler(self._config, self._num_asked)
            self._num_asked += 1
            return self._search_trial(self._optuna_study.ask(self._distributions).number)
        if self._running or not self._seeds:
            return None
        values = self.chosen_values() if self.arm.searched else {}
        if values is None:
            self._seeds.clear()
            return None
        return confirm_trial(self._config, self.arm, self._seeds.popleft(), values)

    def complete(self, key: str, outcome: Outcome) -> None:
        """Tell Optuna how a search trial ended; confirmation is none of its business."""
        number = self._running.pop(key, None)
        if number is not None:
            self._tell(number, outcome)

    def chosen_values(self) -> dict[str, float] | None:
        """Hyperparameters of the best search trial, the earliest of equals; None without one."""
        complete = self._optuna_study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return None
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        return dict(best.params)

    def _take_up(self, finished: Callable[[str], float | None]) -> None:
        for trial in self._optuna_study.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING:
                continue
            self._num_asked += 1
            if trial.state == TrialState.RUNNING:
                score = finished(self._search_key(trial.number))
                if score is None:
                    self._interrupted.append(trial.number)
                else:
                    self._tell(trial.number, score)

    def _tell(self, number: int, outcome: Outcome) -> None:
        if outcome is None:
            self._optuna_study.tell(number, state=TrialState.FAIL)
        else:
            self._optuna_study.tell(number, outcome)

    def _search_trial(self, number: int) -> TrialConfig:
        values = self._optuna_study.get_trials(deepcopy=False)[number].params
        trial = search_trial(self._config, self.arm, number, values)
        self._running[trial.key] = number
        return trial

    def _search_key(self, number: int) -> str:
        return search_trial(self._config, self.arm, number, {}).key

    def _confirm_key(self, seed: int) -> str:
        return confirm_trial(self._config, self.arm, seed, {}).key


class StudySearcher(Searcher):
    """Ray Tune's view of the arms."""

    def __init__(
        self, searches: list[ArmSearch], hand_out: Callable[[TrialConfig], dict[str, Any]]
    ) -> None:
        """Serve the arms' trials.

        Args:
            searches: One per arm, in the order in which they are served.
            hand_out: Turns a trial into everything its process is given.
        """
        super().__init__(metric="score", mode="max")
        self._searches = searches
        self._hand_out = hand_out
        self._running: dict[str, tuple[ArmSearch, str]] = {}

    @property
    def is_done(self) -> bool:
        """Whether every trial has been started and has ended."""
        return not self._running and not any(search.num_left for search in self._searches)

    def suggest(  # type: ignore[override]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """What the next process is given; None = not yet; FINISHED = nothing is left."""
        for search in self._searches:
            trial = search.next_trial()
            if trial is not None:
                self._running[trial_id] = (search, trial.key)
                return self._hand_out(trial)
        return None if self._running else Searcher.FINISHED

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Pass the trial's score on; a trial that did not reach its last report has failed."""
        search, key = self._running.pop(trial_id)
        finished = not error and result is not None and result.get("finished")
        search.complete(key, result["score"] if finished and result else None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: what is done lies in Optuna's database and the trial folders."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


def _tried_first(config: StudyConfig, arm: Arm) -> list[dict[str, float]]:
    """What is tried before a sampler chooses: the defaults, or the whole grid from them on."""
    if not arm.searched:
        return []
    defaults = _defaults(config, arm)
    if config.sampler != "grid":
        return [defaults]
    # Not by Optuna's GridSampler: it tries defaults given beforehand twice and leaves out a point.
    names = [one.name for one in arm.searched]
    points = itertools.product(*(one.levels or () for one in arm.searched))
    grid = [dict(zip(names, point, strict=True)) for point in points]
    return sorted(grid, key=lambda values: values != defaults)


def _defaults(config: StudyConfig, arm: Arm) -> dict[str, float]:
    """The preset's own values, tried first; the nearest level or end where they lie outside."""
    values = {}
    for one in arm.searched:
        default = float(getattr(config.training, one.name))
        if one.levels is not None:
            values[one.name] = min(one.levels, key=lambda level: abs(level - default))
        else:
            values[one.name] = min(max(default, one.low), one.high)
    return values


def _distribution(one: Varied) -> optuna.distributions.BaseDistribution:
    if one.levels is not None:
        return optuna.distributions.CategoricalDistribution(one.levels)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=True)


def _build_sampler(config: StudyConfig, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of the search trial with this number."""
    samplers = optuna.samplers
    # A third of the trials at random, then by what they showed; Optuna's ten would be all of them.
    num_random = max(2, config.trials // 3)
    kinds: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "grid": samplers.RandomSampler,  # never draws: the whole grid is tried first
        "tpe": partial(samplers.TPESampler, n_startup_trials=num_random),
        "random": samplers.RandomSampler,
        "qmc": samplers.QMCSampler,
        "gp": partial(samplers.GPSampler, n_startup_trials=num_random),
    }
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # QMC, since 2022
        return kinds[config.sampler](seed=seed)
