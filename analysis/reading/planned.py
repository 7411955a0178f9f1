"""The arms that a study's configuration asks for, whether or not a run of them is on record."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.reading.compared import AXIS
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
