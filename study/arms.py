"""Arms, their trials, trial keys and paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from study.config import StudyConfig
from study.space import PARAMETERS, Varied
from trainables.config import Model, TrialConfig


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One model at one annotation fraction."""

    model: Model
    label_frac: float
    searched: tuple[Varied, ...]
    """Hyperparameters tuned inside the arm; none for a model that has nothing to tune."""
    num_search: int
    """Search trials."""

    @property
    def name(self) -> str:
        """`urec-f0.10`: unique in a study."""
        return arm_name(self.model, self.label_frac)


def arm_name(model: str, label_frac: float) -> str:
    """`urec-f0.10`: unique in a study."""
    return f"{model}-f{fraction_text(label_frac)}"


def fraction_text(fraction: float) -> str:
    """At least two decimals and as many as the number has: 0.1 -> `0.10`, 0.005 -> `0.005`."""
    return max(f"{fraction:.2f}", f"{fraction:.10f}".rstrip("0"), key=len)


def plan_arms(config: StudyConfig) -> tuple[Arm, ...]:
    """Every model at every annotation fraction, by fraction and then by model."""
    fractions: tuple[float, ...] = (1.0,)
    for one in config.varied:
        if one.name == "label_frac" and one.levels is not None:
            fractions = one.levels
    arms = []
    for fraction in sorted(fractions):
        for model in config.models:
            searched = _searched(config.varied, model)
            arms.append(
                Arm(
                    model=model,  # type: ignore[arg-type]
                    label_frac=fraction,
                    searched=searched,
                    num_search=_num_search(config, searched),
                )
            )
    return tuple(arms)


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
    return TrialConfig(
        key=f"search-{arm.name}-t{number:03d}",
        phase="search",
        model=arm.model,
        label_frac=arm.label_frac,
        seed=config.seed,
        training=replace(config.training, **values),
    )


def confirm_trial(
    config: StudyConfig, arm: Arm, seed: int, values: Mapping[str, Any]
) -> TrialConfig:
    """A trial that repeats the chosen hyperparameters with a fresh seed."""
    return TrialConfig(
        key=f"confirm-{arm.name}-s{seed}",
        phase="confirm",
        model=arm.model,
        label_frac=arm.label_frac,
        seed=seed,
        training=replace(config.training, **values),
    )


def confirm_seeds(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of confirmation, the same for every arm and none of them the search's."""
    return tuple(range(config.seed + 1, config.seed + 1 + config.seeds))


def num_trials(config: StudyConfig, arms: tuple[Arm, ...]) -> int:
    """Search and confirmation trials of a study together."""
    return sum(arm.num_search + config.seeds for arm in arms)


def _searched(varied: tuple[Varied, ...], model: str) -> tuple[Varied, ...]:
    return tuple(
        one
        for one in varied
        if not PARAMETERS[one.name].is_factor and model in PARAMETERS[one.name].models
    )


def _num_search(config: StudyConfig, searched: tuple[Varied, ...]) -> int:
    if not searched:
        return 1
    if config.sampler == "grid":
        return math.prod(len(one.levels or ()) for one in searched)
    return config.trials
