"""Arms, their trials, trial keys and paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from contract.methods import Method
from contract.names import arm_name, confirm_key, search_key
from contract.parameters import PARAMETERS, Value
from contract.space import Varied
from contract.variants import Variant
from study.design.compute import with_steps_of
from study.settings.checks import SEARCH_SEEDS_APART
from study.settings.config import StudyConfig
from study.settings.variation import value_of, with_values
from trainables.methods import METHODS
from trainables.settings.config import Phase, TrainingConfig, TrialConfig

_PUBLISHED: Final = ("w1", "lr")
"""Searched parameters of which the paper gives a value that is not one of scale."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant at one annotation fraction."""

    method: Method
    variant: Variant
    label_frac: float
    searched: tuple[Varied, ...]
    """Hyperparameters tuned inside the arm; none for a method that has nothing to tune."""
    num_search: int
    """Suggestions of the search; none where nothing is searched: confirmation comes at once."""
    search_seeds: tuple[int, ...]
    """With each of which every suggestion is trained."""

    @property
    def num_search_trials(self) -> int:
        """Search trials: one for each suggestion and seed."""
        return self.num_search * len(self.search_seeds)

    def search_key(self, number: int, seed: int) -> str:
        """Key of the search trial of a suggestion, by its number, and a seed."""
        return search_key(self.name, number, seed if len(self.search_seeds) > 1 else None)

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
            seeds = search_seeds(config) if searched else (config.seed,)
            arms += [
                Arm(
                    method=method,
                    variant=variant,
                    label_frac=fraction,
                    searched=searched,
                    num_search=_num_search(config, searched),
                    search_seeds=seeds,
                )
                for variant in config.variants
                if variant.method == method.name
            ]
    return tuple(arms)


def longest_first(config: StudyConfig, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """The arms whose trials take longest first: at the end of a study short ones fill the gaps."""
    return tuple(sorted(arms, key=lambda arm: _work(config, arm), reverse=True))


def _work(config: StudyConfig, arm: Arm) -> float:
    """Order of the work of a step: a second decoder, more patches for it, and views take longer."""
    levels = arm.variant.levels
    objective = METHODS[arm.method.unannotated]
    training = with_values(config.training, levels)
    draws_more = objective.num_anywhere(training) > 0
    has_views = objective.num_views(training) > 0
    return (1 + objective.needs_reconstruction + draws_more + has_views) * math.prod(
        float(level)
        for name, level in levels.items()
        if name in PARAMETERS and PARAMETERS[name].takes_time
    )


def search_trial(
    config: StudyConfig,
    arm: Arm,
    number: int,
    values: Mapping[str, Any],
    seed: int | None = None,
) -> TrialConfig:
    """A trial that tries hyperparameters; all suggestions of a study share their seeds.

    Args:
        config: The study.
        arm: The arm.
        number: Place of the suggestion in the arm's search, from 0.
        values: The hyperparameters to try.
        seed: One of the arm's `search_seeds`; None for the first.
    """
    seed = arm.search_seeds[0] if seed is None else seed
    return _trial(config, arm, arm.search_key(number, seed), "search", seed, values)


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
    method, chosen = arm.method, {**arm.variant.levels, **values}
    training = replace(config.training, method_parameters=config.own_values(method))
    trial = TrialConfig(
        key=key,
        phase=phase,
        model=method.name,
        network=method.network,
        unannotated=method.unannotated,
        encoder=method.encoder,
        variant=arm.variant.name,
        label_frac=arm.label_frac,
        seed=seed,
        training=with_values(training, chosen),
    )
    if config.compute is None:
        return trial
    return with_steps_of(trial, config.compute, scale_warmup="warmup_steps" not in chosen)


def confirm_seeds(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of confirmation, the same for every arm and none of them the search's."""
    return tuple(range(config.seed + 1, config.seed + 1 + config.seeds))


def search_seeds(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of the search, the same for every arm and none of them ever one of confirmation.

    One where nothing is searched: there is nothing to choose.
    """
    beyond = config.seed + SEARCH_SEEDS_APART
    num_more = config.search_seeds - 1 if config.searched else 0
    return (config.seed, *range(beyond + 1, beyond + 1 + num_more))


def simplest_setting(config: StudyConfig) -> dict[str, Value]:
    """What a search of several seeds prefers where it cannot tell: values by parameter.

    The published ones of what the paper searched for or names as its own choice, the preset's of
    everything else, which is a matter of scale.
    """
    paper = TrainingConfig()
    return {
        one.name: value_of(paper if one.name in _PUBLISHED else config.training, one.parameter)
        for one in config.searched
    }


def num_trials(config: StudyConfig, arms: tuple[Arm, ...]) -> int:
    """Search and confirmation trials together, up to the look at which the command is to end."""
    return sum(arm.num_search_trials + config.seeds_now for arm in arms)


def _num_search(config: StudyConfig, searched: tuple[Varied, ...]) -> int:
    if not searched:
        return 0
    if config.sampler == "grid":
        return math.prod(len(one.levels or ()) for one in searched)
    return config.trials
