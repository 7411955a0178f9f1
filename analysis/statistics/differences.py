"""Differences between the variants, paired by seed: intervals, tests, chances of improvement."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.intervals import Interval, seeds_and_tiles_interval, t_interval
from analysis.statistics.significance import LEVEL, holm, pairs_needed, share_higher, sign_flip_p

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.tile_scores import TileResamples

_SEED = 13
"""Seed of the random signs where there are more pairs than can be tried out."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """One variant minus another at one annotation fraction, over the seeds that both have."""

    variant: str
    reference: str
    """What is subtracted."""
    label_frac: float
    measure: str
    difference: Interval
    """Over seeds, on the same test tiles."""
    over_tiles: Interval
    """Over seeds and test tiles together."""
    num_shared: int
    """Seeds that both have, also those without a score."""
    p: float
    """The p value of a sign-flip test; NaN with too few pairs for the test."""
    p_holm: float
    """Corrected over the fractions and pairs of variants of this measure; NaN until it is."""
    pairs_needed: int
    """Fewest pairs with which a test of this family can show a difference; 0 without a family."""
    num_higher: int
    """Pairs in which `variant` scored higher."""
    num_untied: int
    """Pairs whose scores differ."""
    higher_low: float
    """Bounds of the 95 % interval of the probability that `variant` scores higher."""
    higher_high: float

    @property
    def is_shown(self) -> bool:
        """Whether the corrected test calls it a difference."""
        return self.p_holm <= LEVEL

    @property
    def is_testable(self) -> bool:
        """Whether there are enough pairs for a test that could show a difference."""
        return not math.isnan(self.p_holm)


def all_differences(
    scores: pd.DataFrame,
    measure: str,
    pairs: Iterable[tuple[str, str]],
    resamples: TileResamples | None = None,
    num_planned: int = 0,
) -> tuple[PairedDifference, ...]:
    """The `paired_differences` of all pairs, one pair after the other, corrected.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns.
        pairs: (variant, reference), as from `styles.pairs_in`.
        resamples: As in `paired_differences`.
        num_planned: Tests that the study set out to make, fractions times pairs: those not there
            yet, or failed, count in the correction too. Their number must not depend on what
            came out.
    """
    family = [
        paired
        for variant, reference in pairs
        for paired in paired_differences(scores, measure, variant, reference, resamples)
    ]
    return _corrected(family, max(num_planned, sum(one.difference.num > 0 for one in family)))


def paired_differences(
    scores: pd.DataFrame,
    measure: str,
    variant: str,
    reference: str,
    resamples: TileResamples | None = None,
) -> tuple[PairedDifference, ...]:
    """One variant minus another, paired by seed, at every fraction both were confirmed at.

    Seed s is the same budget draw, patch order and augmentation for all variants, so the
    difference of a pair is free of what the seed itself does to the score.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns.
        variant: Name of one variant.
        reference: Name of the one that is subtracted.
        resamples: As from `tile_scores.resample_tiles`; None: no interval over tiles.

    Returns:
        One entry per shared fraction, ascending, its p not corrected; its interval counts pairs
        (none shared: 0).
    """
    rows = scores.to_dict("records")
    minuends, subtrahends = (
        {
            (float(row["label_frac"]), int(row["seed"])): row
            for row in rows
            if row["variant"] == name
        }
        for name in (variant, reference)
    )
    found = []
    for frac in sorted({frac for frac, _ in minuends} & {frac for frac, _ in subtrahends}):
        shared = sorted(key for key in minuends.keys() & subtrahends if key[0] == frac)
        pairs = [
            (minuends[key], subtrahends[key])
            for key in shared
            if not math.isnan(minuends[key][measure] - subtrahends[key][measure])
        ]
        values = [float(a[measure] - b[measure]) for a, b in pairs]
        higher, untied, low, high = share_higher(values)
        found.append(
            PairedDifference(
                variant=variant,
                reference=reference,
                label_frac=frac,
                measure=measure,
                difference=t_interval(values),
                over_tiles=_over_tiles(pairs, values, measure, resamples),
                num_shared=len(shared),
                p=sign_flip_p(values, np.random.default_rng(_SEED)),
                p_holm=math.nan,
                pairs_needed=0,
                num_higher=higher,
                num_untied=untied,
                higher_low=low,
                higher_high=high,
            )
        )
    return tuple(found)


def _over_tiles(
    pairs: Sequence[tuple[dict[Hashable, Any], dict[Hashable, Any]]],
    values: Sequence[float],
    measure: str,
    resamples: TileResamples | None,
) -> Interval:
    if resamples is None or not pairs:
        return replace(t_interval(values), low=math.nan, high=math.nan)
    drawn = resamples.by_measure[measure]
    resampled = np.stack(
        [drawn[str(a["trial_key"])] - drawn[str(b["trial_key"])] for a, b in pairs], axis=1
    )
    return seeds_and_tiles_interval(np.array(values), resampled, resamples.num_tiles)


def _corrected(family: Sequence[PairedDifference], num_tests: int) -> tuple[PairedDifference, ...]:
    """The same after Holm's correction for `num_tests`.

    A test with fewer pairs than the first of so many needs is not made, and counts all the same.
    """
    needed = pairs_needed(max(1, num_tests))
    paired = [index for index, one in enumerate(family) if one.difference.num]
    made = [family[i].p if family[i].difference.num >= needed else math.nan for i in paired]
    # What has no pair is one of the missing.
    adjusted = holm([*made, *[math.nan] * (num_tests - len(paired))])
    p_holm = dict(zip(paired, adjusted, strict=False))
    return tuple(
        replace(one, p_holm=p_holm.get(index, math.nan), pairs_needed=needed)
        for index, one in enumerate(family)
    )
