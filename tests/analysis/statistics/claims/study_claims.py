"""What is claimed of simulated studies, without tables of trials: many a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.claims.failures import arm_losses, failed_as_worst
from analysis.statistics.claims.family import Family, tested
from analysis.statistics.differences import area_difference, paired_differences
from analysis.statistics.label_efficiency.efficiency import score_grid
from tests.analysis.statistics.worlds import Values, World, frame_of

PAIR = ("urec", "unet")
COLUMNS = ["variant", "label_frac", "seed"]


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Shares of studies."""

    area: float
    """In which U-REC is said to score higher, or lower, over the whole curve."""
    fraction: float
    """The same at some fraction."""
    any_p: float
    """In which anything is printed with a p of at most the level."""
    higher: float
    """In which U-REC is said to score higher, over the curve or at some fraction."""


def claims(
    world: World,
    num_studies: int,
    generator: np.random.Generator,
    *,
    failing: float = 0.0,
    level: float = 0.05,
) -> Claims:
    """How often something is claimed.

    Args:
        world: What studies are drawn from.
        num_studies: How many.
        generator: Draws them.
        failing: Chance that a trial of U-REC fails.
        level: Of a study.
    """
    said = [
        [
            any(one.direction for one in family.areas),
            any(one.direction for one in family.fractions),
            any(one.p_adjusted <= level for one in (*family.areas, *family.fractions)),
            any(one.direction > 0 for one in (*family.areas, *family.fractions)),
        ]
        for family in _families(world, num_studies, generator, failing, level)
    ]
    area, fraction, any_p, higher = np.mean(said, axis=0).tolist()
    return Claims(area=area, fraction=fraction, any_p=any_p, higher=higher)


def _families(
    world: World, num_studies: int, generator: np.random.Generator, failing: float, level: float
) -> Iterator[Family]:
    drawn = world.draw(num_studies, generator)
    for index in range(num_studies):
        scores = {model: values[index] for model, values in drawn.items()}
        has_failed = generator.random(scores["urec"].shape) < failing
        scores["urec"] = np.where(has_failed, np.nan, scores["urec"])
        yield family_of(scores, world.fractions, level)


def family_of(
    scores: dict[str, Values],
    fractions: tuple[float, ...],
    level: float,
    pairs: Sequence[tuple[str, str]] = (PAIR,),
) -> Family:
    """The tested differences of one study, scores (S, F) by model; NaN: failed."""
    frame = frame_of(scores, fractions)
    failed = pd.DataFrame(
        [
            (model, fractions[place], int(seed))
            for model, values in scores.items()
            for seed, place in np.argwhere(np.isnan(values))
        ],
        columns=COLUMNS,
    )
    complete = _differences(frame, pairs)
    worst = complete
    if not failed.empty:
        worst = _differences(failed_as_worst(frame, failed, ["mean_f1"]), pairs)
    losses = arm_losses(frame, failed, "mean_f1")
    return tested(complete, worst, losses, level=level, has_areas=len(fractions) > 1)


def _differences(frame: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> Family:
    grids = {pair: score_grid(frame, "mean_f1", pair) for pair in pairs}
    return Family(
        areas=tuple(area_difference(grid, *pair) for pair, grid in grids.items()),
        fractions=tuple(
            one for pair in pairs for one in paired_differences(frame, "mean_f1", *pair)
        ),
    )
