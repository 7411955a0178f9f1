"""Arms, their trials, trial keys and paired seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contract.names import arm_name, confirm_key, search_key
from contract.parameters import PARAMETERS, Value
from contract.space import Varied
from study.settings.config import StudyConfig
from trainables.settings.config import Model, TrialConfig


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One model at one annotation fraction."""

    model: Model
    variant: str
    """The model's name; `urec-annotated` where the study varies what U-REC reconstructs."""
    label_frac: float
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Training fields that make the variant."""
    searched: tuple[Varied, ...]
    """Hyperparameters tuned inside the arm; none for a model that has nothing to tune."""
    num_search: int
    """Search trials."""

    @property
    def name(self) -> str:
        """`urec-f0.10`: unique in a study."""
        return arm_name(self.variant, self.label_frac)


def arm_of(trial: TrialConfig) -> str:
    """Name of the arm of a trial."""
    return arm_name(trial.variant or trial.model, trial.label_frac)


def plan_arms(config: StudyConfig) -> tuple[Arm, ...]:
    """Every model, in every variant, at every annotation fraction; by fraction, then by model."""
    levels = {one.name: one.levels for one in config.varied if PARAMETERS[one.name].is_factor}
    arms = []
    for fraction in levels.get("label_frac") or (1.0,):
        for model in config.models:
            searched = _searched(config.varied, model)
            for variant, fixed in _variants(model, levels.get("reconstruct_on")):
                arms.append(
                    Arm(
                        model=model,  # type: ignore[arg-type]
                        variant=variant,
                        label_frac=float(fraction),
                        fixed=fixed,
                        searched=searched,
                        num_search=_num_search(config, searched),
                    )
                )
    return tuple(arms)


def longest_first(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """The arms whose trials take longest first: at the end of a study short ones fill the gaps."""
    return tuple(sorted(arms, key=_work, reverse=True))


def _work(arm: Arm) -> int:
    """Order of the work of a step: a second decoder, and patches for it alone, take longer."""
    if arm.model != "urec":
        return 0
    return 1 if arm.fixed.get("reconstruct_on") == "annotated" else 2


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
        key=search_key(arm.name, number),
        phase="search",
        model=arm.model,
        variant=arm.variant,
        label_frac=arm.label_frac,
        seed=config.seed,
        training=replace(config.training, **arm.fixed, **values),
    )


def confirm_trial(
    config: StudyConfig, arm: Arm, seed: int, values: Mapping[str, Any]
) -> TrialConfig:
    """A trial that repeats the chosen hyperparameters with a fresh seed."""
    return TrialConfig(
        key=confirm_key(arm.name, seed),
        phase="confirm",
        model=arm.model,
        variant=arm.variant,
        label_frac=arm.label_frac,
        seed=seed,
        training=replace(config.training, **arm.fixed, **values),
    )


def confirm_seeds(config: StudyConfig) -> tuple[int, ...]:
    """Seeds of confirmation, the same for every arm and none of them the search's."""
    return tuple(range(config.seed + 1, config.seed + 1 + config.seeds))


def num_trials(config: StudyConfig, arms: tuple[Arm, ...]) -> int:
    """Search and confirmation trials of a study together."""
    return sum(arm.num_search + config.seeds for arm in arms)


def _variants(
    model: str, reconstruct_on: tuple[Value, ...] | None
) -> list[tuple[str, dict[str, Any]]]:
    """Variants of a model, each with the training fields that make it."""
    if reconstruct_on is None or model not in PARAMETERS["reconstruct_on"].models:
        return [(model, {})]
    return [(f"{model}-{level}", {"reconstruct_on": level}) for level in reconstruct_on]


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
