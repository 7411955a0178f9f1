"""Which of the settings that an arm has tried is the one to confirm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contract.parameters import Value
from contract.protocol.choice import choose, distance, share_apart
from contract.space import Varied
from study.design.arms import Arm, simplest_setting
from study.settings.config import StudyConfig


def chosen_setting(
    config: StudyConfig,
    arm: Arm,
    settings: Sequence[Mapping[str, Value]],
    scores: Sequence[Sequence[float]],
) -> int:
    """The place of the setting that an arm's search chooses, by the rule in `study.yaml`.

    Args:
        config: The study.
        arm: The arm.
        settings: Values by parameter, of S settings in the order of suggestion; at least one.
        scores: Validation score of each with every seed of the search, (S, N).
    """
    simplest = simplest_setting(config)
    distances = [
        distance([_apart(one, values[one.name], simplest[one.name]) for one in arm.searched])
        for values in settings
    ]
    return choose(np.array(scores, dtype=np.float64), distances)


def _apart(one: Varied, value: Value, simplest: Value) -> float:
    if not one.parameter.is_number:
        return float(value != simplest)
    ends = (one.low, one.high) if one.levels is None else one.levels
    return share_apart(float(value), float(simplest), list(map(float, ends)), log=one.parameter.log)
