"""The annotations that one variant needs for another's score, bounded by measured fractions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import CONFIDENCE, MIN_SEEDS, Values, seeds_and_tiles_interval
from analysis.statistics.label_efficiency.efficiency import different_fractions

if TYPE_CHECKING:
    from analysis.statistics.label_efficiency.efficiency import ScoreGrid

REACHED_CONFIDENCE = 0.99
"""Confidence of the interval that says whether a score is surely reached: one bound errs in 0.5 of
100.

Stricter than CONFIDENCE, because savings are printed where the reference came out low by chance:
with this, what is printed is right in nine of ten studies and more (benchmarks/claims.py)."""

_FINE = 1.5
"""Bounds no further apart than this factor are close enough: no fraction is missing between."""

_NEAR = 0.25
"""A round number may lie so far from the middle of two bounds, as a share of their distance on a
log scale: nearer to one of them it could be the fraction that was asked for there."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Fractions of the labelled training pixels between which a variant reaches a score.

    Both are fractions that were measured. A low of 0 means: no fraction measured surely falls
    short. A high of infinity means: none measured surely reaches it. NaN: cannot be said.
    """

    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there were seeds enough for an interval."""
        return not math.isnan(self.low)


@dataclass(frozen=True, kw_only=True)
class AnnotationNeeded:
    """The annotations with which one variant reaches another's score at a fraction."""

    variant: str
    reference: str
    """Whose score is to be reached."""
    label_frac: float
    """Fraction of the arm that got it, as asked."""
    reached: float
    """The same as its budgets reached it; bounds are to be held against it."""
    over_seeds: Bounds
    """On the same test tiles."""
    over_tiles: Bounds
    """For other seeds on other test tiles."""
    measured: tuple[float, ...]
    """Fractions at which the two were measured, ascending: nothing is said between them."""
    asked: tuple[float, ...]
    """The same as they were asked for."""
    num: int
    """Seeds that have the scores of both at this fraction."""
    direction: int
    """1 where a test shows that the variant scores higher here, -1 lower, 0 where none does."""

    @property
    def bounds(self) -> Bounds:
        """The wider of both intervals.

        At most all of the reference's annotations, where a test shows the variant to score higher.
        """
        wider = _wider([self.over_seeds, self.over_tiles])
        if self.direction <= 0:
            return wider
        return Bounds(low=wider.low, high=min(wider.high, self.reached))

    def asked_of(self, bound: float) -> float:
        """What was asked for at a bound; NaN where it is no fraction that was measured."""
        return dict(zip(self.measured, self.asked, strict=True)).get(bound, math.nan)

    @property
    def saves(self) -> bool:
        """Whether a saving may be claimed.

        A test shows that the variant scores higher, at a fraction below which was measured too.
        """
        return self.direction > 0 and self.bounds.is_known and self.reached > self.measured[0]

    @property
    def next_frac(self) -> float:
        """A fraction that would narrow the bounds where more seeds could not; NaN where none.

        Halfway, on a log scale, between bounds that have no measured fraction between them.
        """
        low, high = self.bounds.low, self.bounds.high
        if not self.bounds.is_known or math.isinf(high):
            return math.nan
        if any(low < frac < high for frac in self.measured) or high <= _FINE * low:
            return math.nan
        span = math.log(high / low) if low else math.log(10.0)
        middle = high / math.exp(span / 2.0)
        rounded = (float(f"{middle:.{digits}g}") for digits in (1, 2, 3))
        near = (one for one in rounded if abs(math.log(one / middle)) <= _NEAR * span)
        return next(near, math.nan)


def annotations_needed(
    grid: ScoreGrid,
    variant: str,
    reference: str,
    as_worst: ScoreGrid | None = None,
    resamples: Mapping[str, Values] | None = None,
    num_tiles: float = 0.0,
    directions: Mapping[float, int] | None = None,
    losses: Mapping[float, float] | None = None,
) -> tuple[AnnotationNeeded, ...]:
    """How much annotation `variant` needs for the scores of `reference`, at every fraction.

    Only measured fractions are compared, each by an interval of the paired difference, variant
    there minus reference at its own fraction; nothing is interpolated. See `measured_bounds`.
    A seed counts wherever it has both scores. Fractions whose budgets are the same are one.

    Args:
        grid: With both variants.
        variant: Name of the one that saves.
        reference: Name of the one whose scores are to be reached.
        as_worst: The same where failed trials have the worst score of their arm, at the same
            fractions: bounds are the wider of both; None where no trial failed.
        resamples: Scores of trials on resampled test tiles, by trial key; None: no bounds over
            tiles.
        num_tiles: How many test tiles of equal weight there are, as in
            `intervals.seeds_and_tiles_interval`.
        directions: By fraction asked: 1 where a test shows that the variant scores higher, -1
            lower; 0 elsewhere.
        losses: By fraction asked: what the variant may lose there on average by failures that were
            seen elsewhere, in units of the score; it reaches only what it exceeds by that.

    Returns:
        One entry per different fraction of the grid, ascending; none with fewer than two or
        without a seed.
    """
    kept = different_fractions(grid.measured)
    if len(kept) < 2 or not grid.seeds:
        return ()
    measured = grid.measured[kept]
    asked = grid.label_frac[kept].tolist()
    loss = np.array([(losses or {}).get(frac, 0.0) for frac in asked])
    found = []
    for place, frac in enumerate(asked):
        over_seeds, over_tiles = [], []
        for made in (grid, as_worst or grid):
            ours, its = (
                _Compared(made, name, reference, kept, place) for name in (variant, reference)
            )
            seeds, its_seeds = t_bounds(ours.differences), t_bounds(its.differences)
            over_seeds.append(_bounds(measured, place, seeds, its_seeds, loss))
            tiles, its_tiles = (one.over_tiles(resamples or {}, num_tiles) for one in (ours, its))
            over_tiles.append(_bounds(measured, place, tiles, its_tiles, loss))
        pairs = grid.scores[variant][:, kept[place]] - grid.scores[reference][:, kept[place]]
        found.append(
            AnnotationNeeded(
                variant=variant,
                reference=reference,
                label_frac=frac,
                reached=float(measured[place]),
                over_seeds=_wider(over_seeds),
                over_tiles=_wider(over_tiles),
                measured=tuple(measured.tolist()),
                asked=tuple(asked),
                num=int((~np.isnan(pairs)).sum()),
                direction=(directions or {}).get(frac, 0),
            )
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Differences:
    """Bounds of mean differences from the score to be reached, at every fraction, (..., F)."""

    surely: Values
    """Lower bound at REACHED_CONFIDENCE: reached for sure where it is at least 0; NaN unknown."""
    high: Values
    """Upper bound at CONFIDENCE: missed for sure where it is below 0; NaN unknown."""


def _bounds(
    measured: Values, place: int, ours: Differences, its: Differences, loss: Values
) -> Bounds:
    """Bounds of one study whose variant may lose so much of what was seen; NaN without seeds."""
    if np.isnan(ours.high).all():
        return Bounds(low=math.nan, high=math.nan)
    less = Differences(surely=ours.surely - loss, high=ours.high)
    low, high = measured_bounds(measured, place, less, its)
    return Bounds(low=float(low), high=float(high))


def _wider(several: Sequence[Bounds]) -> Bounds:
    """The bounds around all that are known; NaN where none is."""
    known = [one for one in several if one.is_known]
    if not known:
        return Bounds(low=math.nan, high=math.nan)
    return Bounds(low=min(one.low for one in known), high=max(one.high for one in known))


def measured_bounds(
    measured: Values, place: int, ours: Differences, its: Differences
) -> tuple[Values, Values]:
    """Between which measured fractions a variant reaches the reference's score at one of them.

    Two walks over the measured fractions, each of which ends at the first that says no; so neither
    needs a correction for the number of fractions (a fixed sequence of tests), and the bounds hold
    for every curve, also one that falls back.

    The low bound walks up from the smallest fraction as long as the variant surely stays below the
    score. The high bound walks down from the reference's own fraction as long as the variant surely
    reaches the score, and the reference itself, with so few, surely does not: where it might, its
    own score came out low by chance, or its curve is flat, and neither is a saving. Where the score
    is not surely reached at the reference's own fraction, the walk goes from the largest fraction
    down to there. Fractions at which too few seeds can be compared are passed over.

    Args:
        measured: (F,), ascending.
        place: Of the reference's own fraction.
        ours: Of the variant from the reference's score there.
        its: Of the reference itself from the same.

    Returns:
        Low and high, each (...): 0 and infinity where no fraction is a bound.
    """
    falls_short, reaches = ours.high < 0.0, ours.surely >= 0.0
    spares = its.high < 0.0
    unknown = np.isnan(ours.high)
    low = np.where(_leading(falls_short, unknown), measured, 0.0).max(axis=-1)
    at_most = reaches & (spares | (np.arange(len(measured)) == place))
    down = slice(place, None, -1)
    high = _lowest(measured[down], at_most[..., down], unknown[..., down])
    beyond = slice(None, place, -1)
    more = _lowest(measured[beyond], reaches[..., beyond], unknown[..., beyond])
    return low, np.where(np.isinf(high), more, high)


def _leading(holds: Flags, unknown: Flags) -> Flags:
    """Which places hold before the first that does not, (..., F); unknown ones are passed over."""
    unbroken: Flags = np.logical_and.accumulate(holds | unknown, axis=-1)
    return unbroken & ~unknown


def _lowest(fractions: Values, holds: Flags, unknown: Flags) -> Values:
    """The last of descending fractions that holds without a break; infinity where none does."""
    if not len(fractions):
        return np.full(holds.shape[:-1], np.inf)
    lowest: Values = np.where(_leading(holds, unknown), fractions, np.inf).min(axis=-1)
    return lowest


def t_bounds(differences: Values) -> Differences:
    """Student t bounds of the mean differences over seeds.

    Args:
        differences: (..., S, F); NaN where a seed has no difference.

    Returns:
        (..., F); NaN with fewer than MIN_SEEDS differences.
    """
    from scipy.special import stdtrit

    known = ~np.isnan(differences)
    num = known.sum(axis=-2)
    enough = np.where(num >= MIN_SEEDS, num, np.nan)
    mean = np.where(known, differences, 0.0).sum(axis=-2) / enough
    from_mean = np.where(known, differences - mean[..., None, :], 0.0)
    error = np.sqrt((from_mean**2).sum(axis=-2) / (enough - 1.0) / enough)
    return Differences(
        surely=mean - stdtrit(enough - 1.0, 0.5 + REACHED_CONFIDENCE / 2.0) * error,
        high=mean + stdtrit(enough - 1.0, 0.5 + CONFIDENCE / 2.0) * error,
    )


@dataclass(frozen=True)
class _Compared:
    """One variant at all kept fractions, and the reference at one of them."""

    grid: ScoreGrid
    variant: str
    reference: str
    kept: list[int]
    """Places of the kept fractions in the grid, (F,)."""
    place: int
    """Place of the reference's own fraction among the kept ones."""

    @property
    def differences(self) -> Values:
        """Variant at each fraction minus the reference at its own, (S, F)."""
        own = self.kept[self.place]
        ours, its = (self.grid.scores[name] for name in (self.variant, self.reference))
        compared: Values = ours[:, self.kept] - its[:, own : own + 1]
        return compared

    def over_tiles(self, resamples: Mapping[str, Values], num_tiles: float) -> Differences:
        """Bounds over seeds and test tiles together; NaN where there are none."""
        surely, high = np.full((2, len(self.kept)), np.nan)
        for column, by_seed in enumerate(self.differences.T if resamples else ()):
            drawn = self._resampled(resamples, column)
            surely[column], high[column] = (
                seeds_and_tiles_interval(by_seed, drawn, num_tiles, REACHED_CONFIDENCE).low,
                seeds_and_tiles_interval(by_seed, drawn, num_tiles).high,
            )
        return Differences(surely=surely, high=high)

    def _resampled(self, drawn: Mapping[str, Values], column: int) -> Values:
        """The differences at one fraction on resampled test tiles, (NUM_TILE_RESAMPLES, S).

        What a failed trial counts as is the same on all tiles.
        """
        own, at = self.kept[self.place], self.kept[column]
        ours, its = (self.grid.trial_keys[name] for name in (self.variant, self.reference))
        pairs = np.tile(self.differences[:, column], (len(next(iter(drawn.values()))), 1))
        for seed in range(len(self.grid.seeds)):
            if (seed, at) in ours and (seed, own) in its:
                pairs[:, seed] = drawn[ours[seed, at]] - drawn[its[seed, own]]
        return pairs
