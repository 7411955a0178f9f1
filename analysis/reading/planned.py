"""The arms and trials that a study's configuration asks for, whether or not one is on record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.reading.compared import AXIS, StudyParameter
from analysis.reading.schema import StudyDataError, StudyInfo
from contract.space import split_space


def planned_arms(info: StudyInfo) -> tuple[tuple[float, str], ...]:
    """Every variant at every annotation fraction of the configuration whose budget is its own.

    Args:
        info: Of which the variants and the space on record are read.

    Returns:
        (label_frac, variant) by label_frac, then in the order of the variants. Empty where the
        configuration is not on record, or names `label_frac` without its levels, so that nothing
        is known of the arms asked for.

    Raises:
        StudyDataError: If a fraction breaks its rule.
    """
    config = info.document.get("config")
    space = config.get("space") if isinstance(config, Mapping) else None
    if not isinstance(space, str):
        return ()
    levels = {part.name: part.levels for part in split_space(space)}
    fracs = [_fraction(text, info.name) for text in levels.get(AXIS, ("1",))]
    left_out = {frac for one in info.equal_budgets for frac in one.left_out}
    return tuple(
        (frac, one.name) for frac in sorted(set(fracs) - left_out) for one in info.variants
    )


def num_suggestions(info: StudyInfo, searched: Sequence[StudyParameter]) -> int:
    """How many settings the search of an arm tries; 1 where that is not on record.

    Args:
        info: The study.
        searched: The parameters that are tuned inside the arm; none for one that has nothing to
            search, and tries no setting.
    """
    config = info.document.get("config") or {}
    if not searched:
        return 0
    if config.get("sampler") == "grid":
        return math.prod(len(one.domain.split("/")) for one in searched)
    num = config.get("trials")
    return num if isinstance(num, int) else 1


def _fraction(text: str, study: str) -> float:
    try:
        frac = float(text)
    except ValueError:
        frac = -1.0
    if not 0.0 < frac <= 1.0:
        raise StudyDataError(
            f"label_frac must be in (0, 1], got {text!r} in the space of study {study}"
        )
    return frac
