"""What a study will be able to show, said before its first trial."""

from __future__ import annotations

import math

from contract.protocol.looks import Look
from contract.protocol.power import (
    AREA_SHARE,
    LEVEL,
    POWER,
    difference_found,
    fewest_seeds,
    study_seeds,
)
from contract.variants import variant_pairs
from study.settings.config import StudyConfig

_SPREADS = (0.01, 0.02)
"""Standard deviations of paired differences for which the plan gives differences of scores."""


def detectable_text(config: StudyConfig, look: Look | None = None) -> str:
    """Which differences the tests of a study would find in POWER of such studies.

    Args:
        config: The study.
        look: Whose seeds and level the tests have; None: all seeds, and the whole level.

    Returns:
        One line, "" for a study that compares nothing; where the seeds are too few for any test,
        says so and how many are enough.
    """
    num_pairs, num_fracs = len(variant_pairs(config.variants)), len(config.fractions)
    seeds, level = (config.seeds, LEVEL) if look is None else (look.seeds, look.level)
    if num_pairs == 0:
        return ""
    needed = study_seeds(num_fracs, level)
    if seeds < needed:
        return (
            f"seeds should be at least {needed}, got {seeds}: with fewer no test can show a "
            f"difference, whatever the scores, and the report only describes; --seeds {needed}"
        )
    parts, alone = [], level
    if num_fracs > 1:
        found = difference_found(seeds, num_pairs, level * AREA_SHARE)
        parts.append(f"{_size(found)} over the whole curve")
        alone = level * (1.0 - AREA_SHARE)
    found = difference_found(seeds, num_pairs * num_fracs, alone)
    where = "at a single fraction alone" if num_fracs > 1 else "at its one fraction"
    if math.isinf(found):
        most = fewest_seeds(alone)
        enough = f" (that needs {most} seeds)" if seeds < most else ""
        parts.append(f"none {where}{enough}")
    else:
        parts.append(f"{_size(found)} {where}")
    return (
        f"{seeds} seeds: {100.0 * POWER:.0f} % of such studies would show a difference of "
        + "; ".join(parts)
    )


def _size(found: float) -> str:
    """Such as '1.3 standard deviations of paired differences (0.013 where that is 0.01, ...)'.

    'none' where no size is enough.
    """
    if math.isinf(found):
        return "none"
    scores = ", ".join(f"{found * spread:.3f} where that is {spread:g}" for spread in _SPREADS)
    return f"{found:.1f} standard deviations of paired differences ({scores})"
