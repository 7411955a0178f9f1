"""The search trials of one arm: suggested and compared in memory, on record in a database."""

from __future__ import annotations

from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.design.arms import Arm
from study.errors import StudyHaltedError
from study.search.samplers import ArmSampler, Values, distributions, tried_first
from study.settings.config import StudyConfig
from trainables.trial.folder.outcomes import Outcome, Rows

_STOPPED_AT: Final = "urec:stopped_at"
"""System attribute of a trial that the pruner gave up: the validation (from 1) after which."""


class ArmTrials:
    """An Optuna study in memory and its record in the database.

    Samplers and pruners read all trials again and again: from a database, that took most of the
    time of a suggestion.
    """

    def __init__(self, config: StudyConfig, arm: Arm, storage: str) -> None:
        """Open the arm's study in the database, or create it.

        Args:
            config: The study.
            arm: The arm.
            storage: Optuna's database URI.

        Raises:
            StudyHaltedError: If an earlier version of this package left a search half way.
        """
        self._config = config
        self._arm = arm
        self._distributions = distributions(arm)
        self._first = tried_first(config, arm)
        self._record = optuna.storages.RDBStorage(storage)
        opened = optuna.create_study(
            storage=self._record, study_name=arm.name, direction="maximize", load_if_exists=True
        )
        self._record_id = self._record.get_study_id_from_name(arm.name)
        self._known = optuna.create_study(direction="maximize", pruner=_build_pruner(config))
        self._ids: list[int] = []
        for trial in opened.get_trials(deepcopy=False):
            if len(trial.params) < len(self._distributions):
                raise StudyHaltedError(
                    f"the search of {arm.name} was begun by an earlier version, which left a trial "
                    "without values; take another --name"
                )
            self._known.add_trial(trial)
            self._ids.append(trial._trial_id)

    def all(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers; not to be changed."""
        return self._known.get_trials(deepcopy=False)

    def add(self) -> int:
        """Put the next trial on record, values and all, or not at all; returns its number."""
        number = len(self.all())
        if number < len(self._first):
            self._known.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.RUNNING,
                    params=self._first[number],
                    distributions=self._distributions,
                )
            )
        else:
            self._known.sampler = ArmSampler(self._config, self._arm, number)
            self._known.ask(self._distributions)
        self._ids.append(self._record.create_new_trial(self._record_id, self.all()[number]))
        return number

    def values(self, number: int) -> Values:
        """Hyperparameters of a trial."""
        return dict(self.all()[number].params)

    def best_values(self) -> dict[str, Any] | None:
        """Hyperparameters of the best complete trial, the earliest of equals; None without one."""
        complete = [one for one in self.all() if one.state == TrialState.COMPLETE]
        if not complete:
            return None
        return dict(max(complete, key=lambda trial: (trial.value, -trial.number)).params)

    def end(self, number: int, outcome: Outcome) -> None:
        """Put the end of a trial on record."""
        states = {
            "finished": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        score = outcome.score if outcome.state == "finished" else None
        self._known.tell(number, score, states[outcome.state])
        told = self.all()[number]
        self._record.set_trial_state_values(self._ids[number], told.state, told.values)

    def should_prune(self, number: int, rows: Rows) -> bool:
        """Put the validations of a trial on record; whether it is to be stopped.

        Without a pruner nobody asks for them, and they are on record elsewhere. A trial that was
        given up, but whose driver was lost before it was stopped, is given up again.
        """
        if self._config.pruner == "none":
            return False
        frozen = self.all()[number]
        trial = optuna.Trial(self._known, frozen._trial_id)
        validations = self._config.training.validation_steps()
        measure = f"val/{self._config.training.select_by}"
        for row in rows:
            if measure not in row:
                continue
            validation = validations.index(int(row["step"])) + 1
            if validation not in frozen.intermediate_values:  # else told before it was interrupted
                trial.report(row[measure], validation)
                # A trial at its end has nothing left to save.
                if validation < len(validations) and trial.should_prune():
                    trial.storage.set_trial_system_attr(frozen._trial_id, _STOPPED_AT, validation)
                self._put_validation(number, validation, row[measure])
            if self.all()[number].system_attrs.get(_STOPPED_AT) == validation:
                return True
        return False

    def _put_validation(self, number: int, validation: int, score: float) -> None:
        """Put a validation on record, and what is noted of the trial: its rungs, and its end.

        The score goes last: what was cut off before it is done again.
        """
        for name, value in self.all()[number].system_attrs.items():
            self._record.set_trial_system_attr(self._ids[number], name, value)
        self._record.set_trial_intermediate_value(self._ids[number], validation, score)


def _build_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """Asynchronous successive halving over validations: rungs at a ninth and a third of a run."""
    if config.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=max(1, config.training.num_validations // 9), reduction_factor=3
    )
