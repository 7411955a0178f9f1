"""The suggestions of one arm: made and compared in memory, by what their trials' folders say."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from contract.names import search_number
from study.design.arms import Arm, confirm_seeds, confirm_trial, search_trial
from study.search.choice import chosen_setting
from study.search.optuna_database import TRIAL_KEY, OptunaDatabase, ShownArm
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

    Optuna sees a suggestion as one trial, whose value is the mean over the seeds with which it was
    trained. It fails where one of these trials failed: the mean of the others would hide it.

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
        self._ended: dict[int, dict[int, Outcome]] = {}
        """How the trials of each suggestion ended, by its number and their seed."""
        self.notes: list[str] = []
        """What a person must know of trials whose records were lost, a line each."""
        self._validated: dict[int, dict[int, float]] = {}
        """Validations of each suggestion's first seed that Optuna's database is shown."""
        shown = ShownArm(
            title=self._title(),
            arm=arm.name,
            study=config.name,
            metric=f"val/{config.training.select_by}",
        )
        self._take_up(database.values(arm.name, shown.title))
        if arm.num_search or self.all():  # else there is no search to show
            self._record = database.write(shown, [self._shown(one) for one in self.all()])

    def all(self) -> list[FrozenTrial]:
        """All suggestions, in the order of their numbers; not to be changed."""
        return self._known.get_trials(deepcopy=False)

    def add(self) -> list[TrialConfig]:
        """The trials of the next suggestion; it is on record, values and all, or not at all."""
        first = self._draw()
        self._trials.record(TrialPlan(trial=first))
        self._record.add(self._shown(self.all()[-1]))
        return self.unended(len(self.all()) - 1)

    def unended(self, number: int) -> list[TrialConfig]:
        """The trials of a suggestion that have not ended, in the order of the seeds."""
        ended = self._ended.get(number, {})
        return [self._trial(number, seed) for seed in self._arm.search_seeds if seed not in ended]

    def is_judged(self, key: str) -> bool:
        """Whether the pruner compares the trial: of each suggestion, that of the first seed."""
        return key == self._arm.search_key(search_number(key), self._arm.search_seeds[0])

    def chosen_values(self) -> Values | None:
        """Hyperparameters of the complete suggestion that is chosen; None without one."""
        complete = [one for one in self.all() if one.state == TrialState.COMPLETE]
        if not complete:
            return None
        place = chosen_setting(
            self._config,
            self._arm,
            [one.params for one in complete],
            [self._scores(one.number) for one in complete],
        )
        return dict(complete[place].params)

    def confirmed_values(self) -> Values | None:
        """Hyperparameters that are being confirmed; None before the first confirmation trial.

        They stay the chosen ones where a search trial was lost and has another score this time:
        the repeats of an arm are of one setting.
        """
        for seed in confirm_seeds(self._config):
            key = confirm_trial(self._config, self._arm, seed, {}).key
            values = self._recorded_values(key)
            if values is not None:
                return values
        return None

    def end(self, number: int, outcome: Outcome) -> None:
        """Take note of the end of a trial of a suggestion."""
        self._note_end(number, outcome.trial.seed, outcome)
        if self.is_judged(outcome.trial.key):
            self._show_validations(number, outcome.history, outcome.trial)
        if self.all()[number].state.is_finished():
            self._record.end(self._shown(self.all()[number]))

    def should_prune(self, number: int, key: str, rows: Rows) -> bool:
        """Take note of the validations of a trial; returns whether it is to be stopped.

        Suggestions are compared by their first seed alone, since all of them have it. A trial that
        was given up, but whose driver was lost before it was stopped, is given up again.
        """
        if not self.is_judged(key):
            return False
        self._show_validations(number, rows, self._trial(number))
        if self._config.pruner == "none":
            return False
        trial = self.all()[number]
        for validation, score in self._validations(rows, self._trial(number)):
            if (
                validation not in trial.intermediate_values
            ):  # else known from before it was interrupted
                if self._report(number, validation, score):
                    self._stopped_at[number] = validation
                trial = self.all()[number]
                self._trials.note_validations(
                    key,
                    trial.intermediate_values,
                    self._stopped_at.get(number),
                )
            if self._stopped_at.get(number) == validation:
                return True
        return False

    def _take_up(self, in_database: dict[int, Any]) -> None:
        """Add every suggestion that has a folder, or a place in the database, by its number."""
        numbers = [self._number(key) for key in self._trials.keys()]  # noqa: SIM118  no dictionary
        for number in range(1 + max([-1, *numbers, *in_database])):
            self._take_suggestion(number, in_database.get(number))
        for seed in confirm_seeds(self._config):  # what they repeat must be of the space too
            self._recorded_values(confirm_trial(self._config, self._arm, seed, {}).key)

    def _take_suggestion(self, number: int, in_database: Mapping[str, Any] | None) -> None:
        """Add a suggestion by the records of its trials, else by the database, else drawn anew."""
        keys = {seed: self._arm.search_key(number, seed) for seed in self._arm.search_seeds}
        first = self._arm.search_seeds[0]
        known = {seed: self._recorded_values(key) for seed, key in keys.items()}
        values = next((one for one in known.values() if one is not None), None)
        if values is not None:
            self._add_known(values)
        elif self._is_whole(in_database):
            assert in_database is not None
            self._add_known(dict(in_database))
            self._trials.record(TrialPlan(trial=self._trial(number)))
        else:
            self._draw()
            for seed, key in keys.items():
                if seed == first or self._trials.state(key) != "planned":
                    self._trials.begin_again(self._trial(number, seed))
            if self._distributions:
                self.notes.append(
                    f"the values of {keys[first]} were lost with its record; it is run with values "
                    "that are drawn anew"
                )
        for seed, key in keys.items():
            found = known[seed]
            while found is not None and found != values:
                self._set_aside(key, "holds other values than the trials of the other seeds")
                found = self._recorded_values(key)
            if found is not None:
                self._take_trial(number, seed)

    def _take_trial(self, number: int, seed: int) -> None:
        """Take up what a trial on record has reached."""
        key = self._arm.search_key(number, seed)
        plan, outcome = self._trials.recorded(key), self._trials.outcome(key)
        assert plan is not None, key
        if self.is_judged(key):
            self._take_validations(number, plan, outcome)
        if outcome is not None and seed not in self._ended.get(number, {}):
            self._note_end(number, seed, outcome)

    def _recorded_values(self, key: str) -> Values | None:
        """The hyperparameters of a trial on record; a record that holds no such is set aside."""
        while (plan := self._trials.recorded(key)) is not None:
            values = self._values(plan.trial)
            if self._is_whole(values):
                return values
            shown = ", ".join(f"{name} {value!r}" for name, value in values.items())
            self._set_aside(key, f"holds values outside of the search space ({shown or 'none'})")
        return None

    def _set_aside(self, key: str, what: str) -> None:
        kept = self._trials.set_record_aside(key)
        name = kept.name.partition(".damaged")[0]
        self.notes.append(
            f"{kept.with_name(name)} {what} and is kept as {kept.name}; its values are looked up "
            "elsewhere"
        )

    def _is_whole(self, values: Mapping[str, Any] | None) -> bool:
        """Whether there is a value of its domain for everything that the arm searches."""
        return values is not None and all(
            name in values and _holds(domain, values[name])
            for name, domain in self._distributions.items()
        )

    def _take_validations(self, number: int, plan: TrialPlan, outcome: Outcome | None) -> None:
        """Tell Optuna the validations of a trial that an earlier session knew."""
        if self._config.pruner == "none":
            if outcome is not None:
                known = dict(self._validations(outcome.history, plan.trial))
                self._validated[number] = known
            return
        if plan.stopped_at is not None:
            self._stopped_at[number] = plan.stopped_at
        known = dict(plan.validations)
        if outcome is not None:
            known |= dict(self._validations(outcome.history, plan.trial))
        self._validated[number] = known
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
        return self._trial(number)

    def _add_known(self, values: Values) -> None:
        self._known.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING, params=values, distributions=self._distributions
            )
        )

    def _note_end(self, number: int, seed: int, outcome: Outcome) -> None:
        """Take note of a trial's end, and tell Optuna of its suggestion where that was the last.

        Where the pruner gave up the trial of the first seed, those of the others are not begun.
        """
        ended = self._ended.setdefault(number, {})
        ended[seed] = outcome
        if outcome.state == "pruned":
            for trial in self.unended(number):
                ended[trial.seed] = self._trials.give_up(trial)
        if len(ended) == len(self._arm.search_seeds):
            states = {one.state for one in ended.values()}
            state = next(state for state in ("failed", "pruned", "finished") if state in states)
            scores = self._scores(number) if state == "finished" else []
            value = math.fsum(scores) / len(scores) if scores else None
            self._known.tell(number, value, _STATES[state])

    def _scores(self, number: int) -> list[float]:
        """Validation scores of a complete suggestion, in the order of the seeds."""
        ended = self._ended[number]
        scores = [ended[seed].score for seed in self._arm.search_seeds]
        return [score for score in scores if score is not None]

    def _report(self, number: int, validation: int, score: float) -> bool:
        """Tell the pruner a validation; returns whether it gives the trial up."""
        trial = optuna.Trial(self._known, self.all()[number]._trial_id)
        trial.report(score, validation)
        # A trial at its end has nothing left to save.
        is_last = validation == self._config.training.num_validations
        return not is_last and trial.should_prune()

    def _validations(self, rows: Rows, trial: TrialConfig) -> list[tuple[int, float]]:
        """Number, from 1, and selected measure of the validations among rows of a trial."""
        steps = trial.training.validation_steps()
        measure = f"val/{self._config.training.select_by}"
        return [(steps.index(int(row["step"])) + 1, row[measure]) for row in rows if measure in row]

    def _show_validations(self, number: int, rows: Rows, trial: TrialConfig) -> None:
        """Write the validations among rows of a trial to the database, unless they are there."""
        shown = self._validated.setdefault(number, {})
        steps = trial.training.validation_steps()
        for validation, score in self._validations(rows, trial):
            if validation not in shown:
                shown[validation] = score
                self._record.add_validation(number, steps[validation - 1], score)

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        """A suggestion with what a person finds it by, and its validations."""
        shown = copy.copy(trial)
        keys = [self._arm.search_key(trial.number, seed) for seed in self._arm.search_seeds]
        shown.user_attrs = {TRIAL_KEY: keys[0] if len(keys) == 1 else keys}
        steps = self._trial(trial.number).training.validation_steps()
        shown.intermediate_values = {
            steps[validation - 1]: score
            for validation, score in self._validated.get(trial.number, {}).items()
        }
        return shown

    def _title(self) -> str:
        """The arm in a reader's words, and by its name where those are another arm's too."""
        variants = [one.label for one in self._config.variants]
        label, percent = self._arm.variant.label, f"{100 * self._arm.label_frac:.6g} %"
        title = f"{label}, {percent}"
        return title if variants.count(label) == 1 else f"{title} ({self._arm.name})"

    def _number(self, key: str) -> int:
        """Place of a trial in this arm's search; -1 for trials of others."""
        number = search_number(key)
        keys = [self._arm.search_key(number, seed) for seed in self._arm.search_seeds]
        return number if key in keys else -1

    def _trial(self, number: int, seed: int | None = None) -> TrialConfig:
        values = dict(self.all()[number].params)
        return search_trial(self._config, self._arm, number, values, seed)

    def _values(self, trial: TrialConfig) -> Values:
        """The hyperparameters among the fields of a trial, those that it has."""
        fields = asdict(trial.training)
        fields |= fields.pop("method_parameters", {})
        return {name: fields[name] for name in self._distributions if name in fields}


def _holds(domain: BaseDistribution, value: object) -> bool:
    """Whether a value is one that the search could have suggested."""
    if isinstance(domain, CategoricalDistribution):
        return value in domain.choices
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(domain, IntDistribution) and value != int(value):
        return False
    assert isinstance(domain, IntDistribution | FloatDistribution)
    return domain.low <= value <= domain.high


def _build_pruner(config: StudyConfig) -> optuna.pruners.BasePruner:
    """Asynchronous successive halving over validations: rungs at a ninth and a third of a run."""
    if config.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=max(1, config.training.num_validations // 9), reduction_factor=3
    )
