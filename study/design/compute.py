"""Equal compute: as many steps for every trial as its own settings can take of one budget."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from contract.parameters import PARAMETERS
from study.settings.equal import ComputeBudget
from trainables.settings.config import TrainingConfig, TrialConfig, training_fields
from trainables.training.flop import step_flop


def with_steps_of(
    trial: TrialConfig, budget: ComputeBudget, *, scale_warmup: bool = True
) -> TrialConfig:
    """A trial that spends the budget: its steps, and with them validations and schedule, scaled.

    Args:
        trial: With the steps that the costliest trial of the study takes.
        budget: What to spend, to half a step.
        scale_warmup: Whether the warm-up is a share of the steps; not where the study varies it,
            whose values are steps.

    Raises:
        ConfigError: If the steps are fewer than the validations or not more than the warm-up.
    """
    asked = trial.training
    flop = flop_of_step(trial, budget.num_bands, budget.num_classes)
    steps = (2 * budget.flop + flop) // (2 * flop)  # to the nearest
    warmup = asked.warmup_steps * steps // asked.steps if scale_warmup else asked.warmup_steps
    return replace(trial, training=replace(asked, steps=steps, warmup_steps=warmup))


def flop_of_step(trial: TrialConfig, num_bands: int, num_classes: int) -> int:
    """Floating-point operations of a step of a trial, as `step_flop`; counted once for all alike.

    Args:
        trial: The trial.
        num_bands: Bands of the images.
        num_classes: Classes.
    """
    alike = {
        "network": trial.network,
        "unannotated": trial.unannotated,
        "encoder": trial.encoder,
        "training": _sizes(trial.training),
    }
    return _counted(json.dumps(alike, sort_keys=True), num_bands, num_classes)


def _sizes(training: TrainingConfig) -> dict[str, Any]:
    """What can change the operations of a step: no number that takes no time."""
    values = asdict(training)
    names = [
        one.name
        for one in PARAMETERS.values()
        if one.name in training_fields() and (one.takes_time or not one.is_number)
    ]
    return {name: values[name] for name in (*names, "method_parameters")}


@cache
def _counted(alike: str, num_bands: int, num_classes: int) -> int:
    given = json.loads(alike)
    training = TrainingConfig(sampling="random", **given.pop("training"))
    trial = TrialConfig(
        key="counted",
        phase="confirm",
        model="counted",
        label_frac=1.0,
        seed=0,
        training=training,
        **given,
    )
    return step_flop(trial, num_bands, num_classes)
