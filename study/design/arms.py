"""Arms, their trials, trial keys and paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contract.methods import Method
from contract.names import arm_name, confirm_key, search_key
from contract.parameters import PARAMETERS
from contract.space import Varied
from contract.variants import Variant
from study.settings.config import StudyConfig
from study.settings.variation import with_values
from trainables.methods import METHODS
from trainables.settings.config import Phase, TrialConfig


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant at one annotation fraction."""

    method: Method
    variant: Variant
    label_frac: float
    searched: tuple[Varied, ...]
    """Hyperparameters tuned inside the arm; none for a method that has nothing to tune."""
    num_search: int
    """Search trials."""

    @property
    def name(self) -> str:
        """Unique in a study; see `contract.names.arm_name`."""
        return arm_name(self.variant.name, self.label_frac)


def arm_of(trial: TrialConfig) -> str:
    """Name of the arm of a trial."""
    return arm_name(trial.variant or trial.model, trial.label_frac)


def plan_arms(config: StudyConfig) -> tuple[Arm, ...]:
    """Every variant at every annotation fraction; by fraction, then in the order of `--models`."""
    arms = []
    for fraction in config.fractions:
        for method in config.methods:
            searched = tuple(one for one in config.searched if method.has(one.parameter))
            arms += [
                Arm(
                    method=method,
                    variant=variant,
                    label_frac=fraction,
                    searched=searched,
                    num_search=_num_search(config, searched),
                )
                for variant in config.variants
                if variant.method == method.name
            ]
    return tuple(arms)


def longest_first(config: StudyConfig, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """The arms whose trials take longest first: at the end of a study short ones fill the gaps."""
    return tuple(sorted(arms, key=lambda arm: _work(config, arm), reverse=True))


def _work(config: StudyConfig, arm: Arm) -> float:
    """Order of the work of a step: a second decoder, and patches for it alone, take longer."""
    levels = arm.variant.levels
    objective = METHODS[arm.method.unannotated]
    draws_more = objective.num_anywhere(with_values(config.training, levels)) > 0
    return (1 + objective.needs_reconstruction + draws_more) * math.prod(
        float(level)
        for name, level in levels.items()
        if name in PARAMETERS and PARAMETERS[name].takes_time
    )


def search_trial(
    config: StudyConfig, arm: Arm, number: int, values: Mapping[str, Any]
) -> TrialConfig:
    """A trial that tries hyperparameters; all of a study share one seed.

    Args:
        config: The study.
        arm: The arm.
        number: Place in the arm's search, from 0.
        values: The hyperparameters to try.
    """
    return _trial(config, arm, search_key(arm.name, number), "search", config.seed, values)


def confirm_trial(
    config: StudyConfig, arm: Arm, seed: int, values: Mapping[str, Any]
) -> TrialConfig:
    """A trial that repeats the chosen hyperparameters with a fresh seed."""
    return _trial(config, arm, confirm_key(arm.name, seed), "confirm", seed, values)


def _trial(
    config: StudyConfig,
    arm: Arm,
    key: str,
    phase: Phase,
    seed: int,
    values: Mapping[str, Any],
) -> TrialConfig:
    method = arm.method
    training = replace(config.training, method_parameters=config.own_values(method))
    return TrialConfig(
        key=key,
        phase=phase,
        model=method.name,
        network=method.network,
        unannotated=method.unannotated,
        variant=arm.variant.name,
        label_frac=arm.label_frac,
        seed=seed,
        training=with_values(training, {**arm.variant.levels, **values}),
    )


def confirm_seeds(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of confirmation, the same for every arm and none of them the search's."""
    return tuple(range(config.seed + 1, config.seed + 1 + config.seeds))


def num_trials(config: StudyConfig, arms: tuple[Arm, ...]) -> int:
    """Search and confirmation trials together, up to the look at which the command is to end."""
    return sum(arm.num_search + config.seeds_now for arm in arms)


def _num_search(config: StudyConfig, searched: tuple[Varied, ...]) -> int:
    if not searched:
        return 1
    if config.sampler == "grid":
        return math.prod(len(one.levels or ()) for one in searched)
    return config.trials
