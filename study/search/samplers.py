"""What a search tries: the paper's setting first, then what a sampler of Optuna suggests."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from contract.parameters import PARAMETERS, Parameter, Value
from contract.space import Varied
from study.design.arms import Arm
from study.settings.config import StudyConfig
from study.settings.variation import value_of
from trainables.settings.config import TrainingConfig

Values = dict[str, Any]
Distributions = dict[str, BaseDistribution]

_TRIES: Final = 20
"""Before a repeated suggestion is taken for want of another: few levels may all be tried."""
_MOST_POINTS: Final = 10_000
"""A larger space is not looked through for a point that is left."""


def distributions(arm: Arm) -> Distributions:
    """Optuna's description of what is searched inside an arm."""
    found: Distributions = {}
    for one in arm.searched:
        log = one.parameter.log
        if one.levels is not None:
            found[one.name] = CategoricalDistribution(one.levels)
        elif one.parameter.kind == "integer":
            low, high = int(one.low), int(one.high)
            found[one.name] = IntDistribution(low, high, log=log)
        else:
            found[one.name] = FloatDistribution(one.low, one.high, log=log)
    return found


def tried_first(config: StudyConfig, arm: Arm) -> list[Values]:
    """What is tried before a sampler chooses, in this order.

    The paper's setting (w1 0.1, lr 1e-4; the default of what the paper does not have), then the
    preset's own where it differs in what every method has; with the sampler `grid`, the rest of
    the grid after them. A value outside of the space is replaced by the nearest level or end, and
    a choice that is no level by the first.
    """
    if not arm.searched:
        return []
    paper, own = (_nearest(training, arm) for training in (TrainingConfig(), config.training))
    # In what every method has: so the positions of the methods' arms stay paired.
    shared = [one.name for one in arm.searched if _is_shared(one.parameter)] or list(own)
    differs = any(own[name] != paper[name] for name in shared)
    first = [paper, own] if differs else [paper]
    if config.sampler == "grid":
        # Not by Optuna's GridSampler: it tries what is enqueued twice and leaves out a point.
        names = [one.name for one in arm.searched]
        points = itertools.product(*(one.levels or () for one in arm.searched))
        grid = [dict(zip(names, point, strict=True)) for point in points]
        first += [values for values in grid if values not in first]
    return first[: arm.num_search]


def _nearest(training: TrainingConfig, arm: Arm) -> Values:
    return {
        one.name: _nearest_value(one, value_of(training, one.parameter)) for one in arm.searched
    }


def _nearest_value(one: Varied, value: Value) -> Value:
    if not one.parameter.is_number:
        levels = one.levels or ()
        return value if value in levels else levels[0]
    if one.levels is not None:
        return min(one.levels, key=lambda level: abs(float(level) - float(value)))
    assert not isinstance(value, str)
    return min(max(value, one.low), one.high)


def _is_shared(parameter: Parameter) -> bool:
    """Whether every method has it: all arms then draw the same values, position by position."""
    return PARAMETERS.get(parameter.name) == parameter and parameter.unannotated is None


class _Sobol(optuna.samplers.QMCSampler):
    """One point of a Sobol sequence, by its number; the first, 0, is the corner of the space.

    Optuna's own counter lies in its database and goes on where a trial was cut off.
    """

    def __init__(self, number: int, *, seed: int) -> None:
        super().__init__(qmc_type="sobol", seed=seed, warn_independent_sampling=False)
        self._number = number

    def _find_sample_id(self, study: optuna.Study, search_space: Distributions) -> int:
        return self._number


class ArmSampler(optuna.samplers.BaseSampler):
    """One suggestion of one of Optuna's samplers that repeats none of the arm's.

    Seeded by study and position: a continued search draws what an undisturbed one would have.
    """

    def __init__(self, config: StudyConfig, arm: Arm, number: int) -> None:
        """Suggest the values of the arm's search trial with this number."""
        self._config = config
        self._arm = arm
        self._space = distributions(arm)
        self._shared = {one.name for one in arm.searched if _is_shared(one.parameter)}
        self._number = number

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Distributions:
        """All of the arm's parameters: they are suggested together."""
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Distributions
    ) -> Values:
        """Values that no trial of the arm has; a repeated one where there is no other."""
        others = [
            one.params
            for one in study.get_trials(deepcopy=False)
            if one.number != trial.number and one.state != TrialState.WAITING
        ]
        values: Values = {}
        for attempt in range(_TRIES):
            values = self._suggest(study, trial, attempt)
            if values not in others:
                return values
        return self._untried(others) or values

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        distribution: BaseDistribution,
    ) -> Any:
        """Never needed: every parameter is suggested by `sample_relative`."""
        raise NotImplementedError(param_name)

    def _untried(self, others: list[Values]) -> Values | None:
        """A point that is left of a space of few points: a sampler may insist on the best."""
        levels: list[Sequence[Any]] = []
        for one in self._space.values():
            if isinstance(one, CategoricalDistribution):
                levels.append(one.choices)
            elif isinstance(one, IntDistribution):
                levels.append(range(one.low, one.high + 1))
            else:
                return None
        if math.prod(map(len, levels)) > _MOST_POINTS:
            return None
        points = [
            dict(zip(self._space, point, strict=True)) for point in itertools.product(*levels)
        ]
        left = [point for point in points if point not in others]
        return left[_seed(self._config.seed, self._number) % len(left)] if left else None

    def _shared_level(self, name: str, levels: tuple[Any, ...]) -> Any:
        """Level of a parameter that every method has: each once, then again, alike for all."""
        rest = [level for level in levels if level not in (tried := self._tried_first(name))]
        generator = np.random.default_rng(_seed(self._config.seed, *name.encode()))
        order = [*tried, *(rest[index] for index in generator.permutation(len(rest)))]
        again, place = divmod(self._number, len(order))
        if again and len(self._shared) > 1:  # else the levels of two would always meet in step
            generator = np.random.default_rng(_seed(self._config.seed, again, *name.encode()))
            place = int(generator.permutation(len(order))[place])
        return order[place]

    def _shared_integer(
        self, study: optuna.Study, trial: FrozenTrial, name: str, one: IntDistribution
    ) -> int:
        """Integer of a parameter that every method has: none twice, as long as there are others."""
        tried = self._tried_first(name)
        for number in range(len(tried_first(self._config, self._arm)), self._number + 1):
            for attempt in range(_TRIES):
                value = self._draw(study, trial, name, one, number=number, attempt=attempt)
                if value not in tried:
                    break
            tried.append(value)
        return int(tried[-1])

    def _draw(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        name: str,
        one: BaseDistribution,
        *,
        number: int,
        attempt: int,
    ) -> Any:
        """A value from a stream of the parameter alone, the same in the arms of all methods."""
        sampler = optuna.samplers.RandomSampler(
            seed=_seed(self._config.seed, number, attempt, *name.encode())
        )
        return sampler.sample_independent(study, trial, name, one)

    def _tried_first(self, name: str) -> list[Any]:
        return list(dict.fromkeys(values[name] for values in tried_first(self._config, self._arm)))

    def _suggest(self, study: optuna.Study, trial: FrozenTrial, attempt: int) -> Values:
        if self._config.sampler in ("random", "grid"):
            # A stream for each parameter: U-Net's arm draws the same lr as U-REC's, which has w1.
            values: Values = {}
            for name, one in self._space.items():
                shared = name in self._shared
                if shared and isinstance(one, CategoricalDistribution):
                    values[name] = self._shared_level(name, one.choices)
                elif shared and isinstance(one, IntDistribution):
                    values[name] = self._shared_integer(study, trial, name, one)
                else:
                    again = 0 if shared else attempt
                    values[name] = self._draw(
                        study, trial, name, one, number=self._number, attempt=again
                    )
            return values
        inner = self._inner(attempt)
        space = self._space
        if self._config.sampler != "qmc":
            space = inner.infer_relative_search_space(study, trial)
        values = dict(inner.sample_relative(study, trial, space))
        for name, distribution in self._space.items():
            if name not in values:
                values[name] = inner.sample_independent(study, trial, name, distribution)
        return values

    def _inner(self, attempt: int) -> optuna.samplers.BaseSampler:
        # A third of the trials at random, then by what they showed; Optuna's ten would be all.
        num_random = max(2, self._config.trials // 3)
        kinds: Mapping[str, Callable[..., optuna.samplers.BaseSampler]] = {
            "tpe": partial(
                optuna.samplers.TPESampler, n_startup_trials=num_random, constant_liar=True
            ),
            "qmc": partial(_Sobol, 1 + self._number + attempt * self._config.trials),
            "gp": partial(
                optuna.samplers.GPSampler,
                n_startup_trials=num_random,
                warn_independent_sampling=False,
            ),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return kinds[self._config.sampler](seed=_seed(self._config.seed, self._number, attempt))


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
