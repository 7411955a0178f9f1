"""Label efficiency: area under the curve, and the annotations that a model needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import MIN_SEEDS, Values, t_factor

if TYPE_CHECKING:
    import pandas as pd

_POINTS_PER_OCTAVE = 100


@dataclass(frozen=True, kw_only=True)
class ScoreGrid:
    """Scores of several variants at the same fractions and seeds, without gaps."""

    label_frac: Values
    """(F,), ascending."""
    seeds: tuple[int, ...]
    scores: dict[str, Values]
    """By variant: (S, F)."""
    num_incomplete: int
    """Seeds left out, because a score is missing at a fraction that is kept."""
    dropped: tuple[float, ...] = ()
    """Shared fractions left out, because they would leave fewer than MIN_SEEDS seeds."""


def score_grid(scores: pd.DataFrame, measure: str, variants: Sequence[str]) -> ScoreGrid:
    """The fractions at which all variants have scores, and the seeds that have all of these.

    Where fewer than MIN_SEEDS seeds have all, the fraction that most seeds lack is left out, and
    the next, down to two.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns.
        variants: Their names, one or more.

    Returns:
        F and S may be 0.
    """
    cells: dict[str, dict[tuple[int, float], float]] = {variant: {} for variant in variants}
    columns = (scores[name] for name in ("variant", "seed", "label_frac", measure))
    for variant, seed, frac, score in zip(*columns, strict=True):
        if variant in cells and not math.isnan(score):
            cells[variant][int(seed), float(frac)] = float(score)
    every = {seed for held in cells.values() for seed, _ in held}
    fracs = sorted(set.intersection(*({frac for _, frac in held} for held in cells.values())))
    having = {
        frac: {s for s in every if all((s, frac) in held for held in cells.values())}
        for frac in fracs
    }
    dropped = []
    while len(fracs) > 2 and len(_in_all(having, fracs)) < MIN_SEEDS:
        worst = min(fracs, key=lambda frac: (len(having[frac]), frac))
        fracs.remove(worst)
        dropped.append(worst)
    seeds = sorted(_in_all(having, fracs))
    return ScoreGrid(
        label_frac=np.array(fracs, dtype=np.float64),
        seeds=tuple(seeds),
        scores={
            variant: np.array([[held[seed, frac] for frac in fracs] for seed in seeds]).reshape(
                len(seeds), len(fracs)
            )
            for variant, held in cells.items()
        },
        num_incomplete=len(every) - len(seeds),
        dropped=tuple(sorted(dropped)),
    )


def _in_all(having: Mapping[float, set[int]], fracs: Sequence[float]) -> set[int]:
    """The seeds that have every one of the fractions; none without a fraction."""
    return set.intersection(*(having[frac] for frac in fracs)) if fracs else set()


def area_under_curve(label_frac: Values, scores: Values) -> Values:
    """Mean height of the label-scarcity curve over log2 of the fraction, in units of the score.

    Args:
        label_frac: (F,), ascending.
        scores: (..., F).

    Returns:
        (...), by trapezoids; NaN with fewer than two fractions.
    """
    if len(label_frac) < 2:
        return np.full(scores.shape[:-1], np.nan)
    octaves = np.log2(label_frac)
    area: Values = np.trapezoid(scores, octaves, axis=-1) / (octaves[-1] - octaves[0])
    return area


@dataclass(frozen=True, kw_only=True)
class AnnotationNeeded:
    """The annotations with which one variant reaches another's score at a fraction.

    Fractions of the labelled training pixels. 0 means: no more than the smallest fraction
    measured. Infinity means: not reached at the largest. NaN: cannot be said.
    """

    variant: str
    reference: str
    """Whose score is to be reached."""
    label_frac: float
    """Fraction with which the reference got it."""
    needed: float
    low: float
    """Bounds of the 95 % interval; NaN with fewer than MIN_SEEDS seeds."""
    high: float
    smallest: float
    """Fractions measured: everything below and above them is censored."""
    largest: float
    num: int
    """Seeds."""
    falls_back: bool
    """Whether, with more annotations than needed, the variant scores lower again for sure."""

    @property
    def saves(self) -> bool:
        """Whether the interval lies below the reference's own fraction, and that was measured."""
        measured = self.label_frac > self.smallest
        return measured and self.high < self.label_frac and not self.falls_back

    @property
    def is_known(self) -> bool:
        """Whether there are bounds."""
        return not math.isnan(self.low)


def annotations_needed(
    grid: ScoreGrid, variant: str, reference: str
) -> tuple[AnnotationNeeded, ...]:
    """How much annotation `variant` needs for the scores of `reference`, at every fraction.

    Between fractions, each seed's curve is interpolated by monotone cubics over log2 of the
    fraction. At every fraction x the t interval over seeds of the paired difference, variant at
    x minus reference at its own fraction, says whether x may be enough: the interval of the
    fraction needed runs from the first x that may be enough to the first that surely is (after
    Fieller, 1954). So it is open where the score is never reached, and needs no distribution of
    a ratio. A curve that surely falls below the score again is marked: it saves nothing for sure.

    Args:
        grid: With both variants.
        variant: Name of the one that saves.
        reference: Name of the one whose scores are to be reached.

    Returns:
        One entry per fraction of the grid, ascending; none with fewer than two fractions or
        without a seed.
    """
    from scipy.interpolate import PchipInterpolator

    fracs = grid.label_frac
    if len(fracs) < 2 or not grid.seeds:
        return ()
    octaves = np.log2(fracs)
    num_points = max(2, round(_POINTS_PER_OCTAVE * (octaves[-1] - octaves[0])))
    fine = np.union1d(np.linspace(octaves[0], octaves[-1], num_points), octaves)
    curves = PchipInterpolator(octaves, grid.scores[variant], axis=1)(fine)  # (S, X)
    found = []
    for index, frac in enumerate(fracs.tolist()):
        differences = curves - grid.scores[reference][:, index : index + 1]
        mean, half = differences.mean(axis=0), _half_widths(differences)
        known = len(grid.seeds) >= MIN_SEEDS
        found.append(
            AnnotationNeeded(
                variant=variant,
                reference=reference,
                label_frac=frac,
                needed=_first_at_least_zero(fine, mean),
                low=_first_at_least_zero(fine, mean + half) if known else math.nan,
                high=_first_at_least_zero(fine, mean - half) if known else math.nan,
                smallest=float(fracs[0]),
                largest=float(fracs[-1]),
                num=len(grid.seeds),
                falls_back=known and _falls_back(mean, half),
            )
        )
    return tuple(found)


def _half_widths(differences: Values) -> Values:
    """Half the t interval of each column, (X,)."""
    num = len(differences)
    if num < MIN_SEEDS:
        return np.full(differences.shape[1], np.nan)
    half: Values = t_factor(num - 1) * differences.std(axis=0, ddof=1) / math.sqrt(num)
    return half


def _falls_back(mean: Values, half: Values) -> bool:
    """Whether a curve, once at zero, is surely below it somewhere further on."""
    reached = np.flatnonzero(mean >= 0.0)
    return len(reached) > 0 and bool((mean[reached[0] :] + half[reached[0] :] < 0.0).any())


def _first_at_least_zero(octaves: Values, heights: Values) -> float:
    """The fraction where a curve first reaches zero: 0 at the left end, infinity if never."""
    reached = np.flatnonzero(heights >= 0.0)
    if len(reached) == 0:
        return math.inf
    right = int(reached[0])
    if right == 0:
        return 0.0
    below, above = heights[right - 1], heights[right]
    at = octaves[right - 1] + (octaves[right] - octaves[right - 1]) * -below / (above - below)
    return float(2.0**at)
