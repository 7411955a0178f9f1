"""The search trials of one arm: suggested and compared in memory, by what their folders say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial, TrialState

from contract.names import search_key, search_number
from study.design.arms import Arm, confirm_seeds, confirm_trial, search_trial
from study.search.optuna_database import OptunaDatabase
from study.search.samplers import ArmSampler, Values, distributions, tried_first
from study.settings.config import StudyConfig
from study.trials.study_trials import StudyTrials
from trainables.settings.config import TrialConfig
from trainables.trial.folder.outcomes import Outcome, Rows, TrialPlan

_STATES: Final = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


class ArmTrials:
    """An Optuna study in memory, built from the trials' folders and copied to `optuna.db`.

    Samplers and pruners read all trials again and again: from a database, that took most of the
    time of a suggestion.
    """

    def __init__(
        self, config: StudyConfig, arm: Arm, database: OptunaDatabase, trials: StudyTrials
    ) -> None:
        """Take up the trials that have begun.

        Args:
            config: The study.
            arm: The arm.
            database: Is made to agree with the trials' folders.
            trials: The study's trials.
        """
        self._config = config
        self._arm = arm
        self._trials = trials
        self._distributions = distributions(arm)
        self._first = tried_first(config, arm)
        self._known = optuna.create_study(direction="maximize", pruner=_build_pruner(config))
        self._stopped_at: dict[int, int] = {}
        self.notes: list[str] = []
        """What a person must know of trials whose records were lost, a line each."""
        self._take_up(database.values(arm.name))
        self._record = database.write(arm.name, self.all())

    def all(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers; not to be changed."""
        return self._known.get_trials(deepcopy=False)

    def add(self) -> TrialConfig:
        """The next trial; it is on record, values and all, or not at all."""
        trial = self._draw()
        self._trials.record(TrialPlan(trial=trial))
        self._record.add(self.all()[-1])
        return trial

    def trial(self, number: int) -> TrialConfig:
        """The trial with this number."""
        values = dict(self.all()[number].params)
        return search_trial(self._config, self._arm, number, values)

    def best_values(self) -> dict[str, Any] | None:
        """Hyperparameters of the best complete trial, the earliest of equals; None without one."""
        complete = [one for one in self.all() if one.state == TrialState.COMPLETE]
        if not complete:
            return None
        return dict(max(complete, key=lambda trial: (trial.value, -trial.number)).params)

    def confirmed_values(self) -> Values | None:
        """Hyperparameters that are being confirmed; None before the first confirmation trial.

        They stay the chosen ones where a search trial was lost and has another score this time:
        the repeats of an arm are of one setting.
        """
        for seed in confirm_seeds(self._config):
            key = confirm_trial(self._config, self._arm, seed, {}).key
            plan = self._trials.recorded(key)
            if plan is not None:
                return self._values(plan.trial)
        return None

    def end(self, number: int, outcome: Outcome) -> None:
        """Take note of the end of a trial."""
        self._tell(number, outcome)
        self._record.end(self.all()[number])

    def should_prune(self, number: int, rows: Rows) -> bool:
        """Take note of the validations of a trial; returns whether it is to be stopped.

        Without a pruner nobody asks for them, and they are on record elsewhere. A trial that was
        given up, but whose driver was lost before it was stopped, is given up again.
        """
        if self._config.pruner == "none":
            return False
        trial = self.all()[number]
        for validation, score in self._validations(rows):
            if (
                validation not in trial.intermediate_values
            ):  # else known from before it was interrupted
                if self._report(number, validation, score):
                    self._stopped_at[number] = validation
                trial = self.all()[number]
                self._trials.note_validations(
                    self.trial(number).key,
                    trial.intermediate_values,
                    self._stopped_at.get(number),
                )
                self._record.add_validation(number, validation, score)
            if self._stopped_at.get(number) == validation:
                return True
        return False

    def _take_up(self, in_database: dict[int, Any]) -> None:
        """Add every trial that has a folder, or a place in the database, by its number."""
        numbers = [self._number(key) for key in self._trials.keys()]  # noqa: SIM118  no dictionary
        for number in range(1 + max([-1, *numbers, *in_database])):
            key = search_trial(self._config, self._arm, number, {}).key
            plan = self._trials.recorded(key)
            if plan is not None:
                self._add_known(self._values(plan.trial))
            elif number in in_database and len(in_database[number]) == len(self._distributions):
                self._add_known(dict(in_database[number]))
                self._trials.record(TrialPlan(trial=self.trial(number)))
            else:
                self._trials.begin_again(self._draw())
                if self._distributions:
                    self.notes.append(
                        f"the values of {key} were lost with its record; it is run with values "
                        "that are drawn anew"
                    )
            outcome = self._trials.outcome(key)
            if plan is not None:
                self._take_validations(number, plan, outcome)
            if outcome is not None:
                self._tell(number, outcome)

    def _take_validations(self, number: int, plan: TrialPlan, outcome: Outcome | None) -> None:
        """Tell Optuna the validations of a trial that an earlier session knew."""
        if self._config.pruner == "none":
            return
        if plan.stopped_at is not None:
            self._stopped_at[number] = plan.stopped_at
        known = dict(plan.validations)
        if outcome is not None:
            known |= dict(self._validations(outcome.history))
        for validation, score in sorted(known.items()):
            self._report(number, validation, score)

    def _draw(self) -> TrialConfig:
        """Add the next trial to those in memory."""
        number = len(self.all())
        if number < len(self._first):
            self._add_known(self._first[number])
        else:
            self._known.sampler = ArmSampler(self._config, self._arm, number)
            self._known.ask(self._distributions)
        return self.trial(number)

    def _add_known(self, values: Values) -> None:
        self._known.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING, params=values, distributions=self._distributions
            )
        )

    def _tell(self, number: int, outcome: Outcome) -> None:
        score = outcome.score if outcome.state == "finished" else None
        self._known.tell(number, score, _STATES[outcome.state])

    def _report(self, number: int, validation: int, score: float) -> bool:
        """Tell the pruner a validation; returns whether it gives the trial up."""
        trial = optuna.Trial(self._known, self.all()[number]._trial_id)
        trial.report(score, validation)
        # A trial at its end has nothing left to save.
        is_last = validation == self._config.training.num_validations
        return not is_last and trial.should_prune()

    def _validations(self, rows: Rows) -> list[tuple[int, float]]:
        """Number, from 1, and selected measure of the validations among rows."""
        steps = self._config.training.validation_steps()
        measure = f"val/{self._config.training.select_by}"
        return [(steps.index(int(row["step"])) + 1, row[measure]) for row in rows if measure in row]

    def _number(self, key: str) -> int:
        """Place of a trial in this arm's search; -1 for trials of others."""
        number = search_number(key)
        return number if key == search_key(self._arm.name, number) else -1

    def _values(self, trial: TrialConfig) -> Values:
        """The hyperparameters among the fields of a trial."""
        fields = asdict(trial.training)
        fields |= fields.pop("method_parameters", {})
        return {name: fields[name] for name in self._distributions}


def _build_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """Asynchronous successive halving over validations: rungs at a ninth and a third of a run."""
    if config.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=max(1, config.training.num_validations // 9), reduction_factor=3
    )
