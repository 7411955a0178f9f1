"""Label efficiency: the label-scarcity curves of several variants, and the areas under them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import Values

if TYPE_CHECKING:
    import pandas as pd


_SAME = 1e-9
"""Fractions that differ by less than this share of themselves are one: their budgets are equal."""


@dataclass(frozen=True, kw_only=True)
class ScoreGrid:
    """Scores of several variants at the same fractions and seeds."""

    label_frac: Values
    """Fractions asked for, which name the arms, (F,), ascending."""
    seeds: tuple[int, ...]
    scores: dict[str, Values]
    """By variant: (S, F); NaN where a seed has no score."""
    num_incomplete: int
    """Seeds without a score of some variant at some fraction: they have no area."""
    reached: Values | None = None
    """What the budgets of each seed reached, (S, F), finite; None: what was asked. Where that of a
    seed is not on record, since its trials failed, it is the mean of the other seeds."""
    trial_keys: dict[str, dict[tuple[int, int], str]] = field(default_factory=dict)
    """By variant, then by place (s, f) in its scores: the trial that has the score; a failed one,
    that counts as its arm's worst, has none."""

    @property
    def fractions(self) -> Values:
        """The fractions of each seed, (S, F): what its budgets reached."""
        shape = (len(self.seeds), len(self.label_frac))
        return np.broadcast_to(self.label_frac, shape) if self.reached is None else self.reached

    @property
    def measured(self) -> Values:
        """The fraction of each arm, (F,): the mean over seeds of what its budgets reached."""
        if not self.seeds:
            return self.label_frac
        first = self.fractions[0]
        means: Values = first + (self.fractions - first).mean(axis=0)  # exact where all are equal
        return means


def score_grid(scores: pd.DataFrame, measure: str, variants: Sequence[str]) -> ScoreGrid:
    """The fractions at which all variants have scores, and the seeds that have any of these.

    Args:
        scores: As from `scores.score_trials`; `reached_frac` and `trial_key` may be missing.
        measure: One of its score columns.
        variants: Their names, one or more.

    Returns:
        F and S may be 0.
    """
    cells: dict[str, dict[tuple[int, float], float]] = {variant: {} for variant in variants}
    keys: dict[str, dict[tuple[int, float], str]] = {variant: {} for variant in variants}
    reached: dict[tuple[int, float], float] = {}
    for row in scores.to_dict("records"):
        variant, score = row["variant"], float(row[measure])
        at = int(row["seed"]), float(row["label_frac"])
        if not math.isnan(frac := float(row.get("reached_frac", math.nan))):
            reached[at] = frac  # the same for all variants of a seed
        if variant not in cells or math.isnan(score):
            continue
        cells[variant][at] = score
        if key := str(row.get("trial_key", "")):
            keys[variant][at] = key
    fracs = sorted(set.intersection(*({frac for _, frac in held} for held in cells.values())))
    every = {seed for held in cells.values() for seed, frac in held if frac in fracs}
    seeds = sorted(every)
    places = [[(seed, frac) for frac in fracs] for seed in seeds]
    shape = (len(seeds), len(fracs))
    usual = _means(reached)
    values = {
        variant: np.array([[held.get(at, math.nan) for at in row] for row in places]).reshape(shape)
        for variant, held in cells.items()
    }
    missing = np.isnan([*values.values()]).any(axis=(0, 2)) if seeds else np.zeros(0)
    return ScoreGrid(
        label_frac=np.array(fracs, dtype=np.float64),
        seeds=tuple(seeds),
        scores=values,
        num_incomplete=int(missing.sum()),
        reached=np.array(
            [[reached.get(at, usual.get(at[1], at[1])) for at in row] for row in places]
        ).reshape(shape),
        trial_keys={
            variant: {
                (s, f): held[at]
                for s, row in enumerate(places)
                for f, at in enumerate(row)
                if at in held
            }
            for variant, held in keys.items()
        },
    )


def _means(reached: Mapping[tuple[int, float], float]) -> dict[float, float]:
    """Mean over seeds of what was reached, by fraction asked; none where nothing is on record."""
    by_frac: dict[float, list[float]] = {}
    for (_, frac), share in reached.items():
        by_frac.setdefault(frac, []).append(share)
    return {frac: math.fsum(shares) / len(shares) for frac, shares in by_frac.items()}


def different_fractions(measured: Values) -> list[int]:
    """Places of the ascending fractions (F,) that exceed the one before."""
    kept: list[int] = []
    for place, frac in enumerate(measured.tolist()):
        if not kept or frac > (1.0 + _SAME) * measured[kept[-1]]:
            kept.append(place)
    return kept


def area_under_curve(fractions: Values, scores: Values) -> Values:
    """Mean height of the label-scarcity curve over log2 of the fraction, in units of the score.

    Args:
        fractions: (F,), or (..., F) for curves that have each their own; ascending.
        scores: (..., F).

    Returns:
        (...), by trapezoids; NaN where a score is missing, and with fewer than two different
        fractions.
    """
    octaves = np.broadcast_to(np.log2(fractions), scores.shape)
    if scores.shape[-1] < 2:
        return np.full(scores.shape[:-1], np.nan)
    span = octaves[..., -1] - octaves[..., 0]
    area: Values = np.trapezoid(scores, octaves, axis=-1) / np.where(span > 0.0, span, np.nan)
    return area
