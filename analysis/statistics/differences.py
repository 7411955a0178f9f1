"""Differences between the variants, paired by seed: intervals, signs, chances of improvement."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.intervals import Interval, seeds_and_tiles_interval, t_interval
from analysis.statistics.label_efficiency.efficiency import area_under_curve
from analysis.statistics.significance import share_higher
from contract.protocol.power import AREA_SHARE, LEVEL, fewest_seeds

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.label_efficiency.efficiency import ScoreGrid
    from analysis.statistics.tile_scores import TileResamples


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One variant minus another over the seeds that both have, and what may be claimed of it.

    What is tested is written by `claims.family`; until then, and for scores that findings do not
    rest on, there is no test.
    """

    variant: str
    reference: str
    """What is subtracted."""
    difference: Interval
    """Over seeds, on the same test tiles."""
    by_seed: Mapping[int, float] = field(repr=False)
    """The differences, by seed; never NaN."""
    num_higher: int
    """Pairs in which `variant` scored higher."""
    num_untied: int
    """Pairs whose scores differ."""
    higher_low: float
    """Bounds of the 95 % interval of the probability that `variant` scores higher."""
    higher_high: float
    p_complete: float = math.nan
    """Adjusted p value over the pairs in which both trials have scores; NaN without a test."""
    p_worst: float = math.nan
    """The same where a failed trial counts as the worst score of its arm."""
    worst_mean: float = math.nan
    """Mean difference where a failed trial counts as the worst score of its arm."""
    unseen_loss: float = 0.0
    """What the variant that scores higher may lose on average, in units of the score, by failures
    and collapses that chance did not show here; see `claims.failures`."""
    level: float = LEVEL
    """The level that p values are held against."""

    @property
    def p_adjusted(self) -> float:
        """The larger of both p values: what is shown must be so whatever failures count as."""
        return float(np.maximum(self.p_complete, self.p_worst))

    @property
    def pairs_needed(self) -> int:
        """Fewest pairs with which a test can show a difference."""
        return fewest_seeds(self.level)

    @property
    def is_testable(self) -> bool:
        """Whether there are enough pairs for a test that could show a difference."""
        return not math.isnan(self.p_adjusted)

    @property
    def is_shown(self) -> bool:
        """Whether the test calls it a difference, and everything agrees on its sign."""
        return self.direction != 0

    @property
    def is_disputed(self) -> bool:
        """Whether the test over complete pairs shows a difference, and something speaks against."""
        return self.p_complete <= self.level and not self.is_shown

    @property
    def direction(self) -> int:
        """1 where `variant` may be said to score higher, -1 lower, 0 where neither may be said.

        Said is what the corrected test shows where three agree: the mean, the majority of the
        pairs, and the mean with failed trials as the worst of their arms; and where more failures
        and collapses like those seen would not turn it.
        """
        if not self.p_adjusted <= self.level:
            return 0
        means = (self.difference.mean, self.worst_mean)
        signs = {math.copysign(1.0, mean) for mean in means if mean}
        signs |= {math.copysign(1.0, 2 * self.num_higher - self.num_untied)}
        is_majority = 2 * self.num_higher != self.num_untied
        if len(signs) > 1 or not is_majority or not all(means) or self.is_outweighed:
            return 0
        return int(signs.pop())

    @property
    def is_outweighed(self) -> bool:
        """Whether failures and collapses like those seen could turn the sign.

        They could where what they may cost reaches the interval of the difference.
        """
        found = self.difference
        nearer = found.low if found.mean > 0.0 else -found.high
        cost = self.unseen_loss
        return cost > 0.0 and not min(nearer, abs(self.worst_mean)) > cost


@dataclass(frozen=True, kw_only=True)
class PairedDifference(Difference):
    """A difference of scores at one annotation fraction."""

    label_frac: float
    measure: str
    over_tiles: Interval
    """Over seeds and test tiles together."""
    num_shared: int
    """Seeds that both have, also those without a score."""


@dataclass(frozen=True, kw_only=True)
class AreaDifference(Difference):
    """A difference of areas under the label-scarcity curves.

    `difference` is the mean over log2 of the fraction, in units of the score.
    """

    smallest: float
    """Fractions between which the area lies."""
    largest: float

    @property
    def area(self) -> Interval:
        """Another name of `difference`."""
        return self.difference

    @property
    def pairs_needed(self) -> int:
        """Fewest seeds with all fractions with which a test can show a difference."""
        return fewest_seeds(self.level * AREA_SHARE)


def area_difference(grid: ScoreGrid, variant: str, reference: str) -> AreaDifference:
    """The area under one variant's curve minus that under another's, over the seeds that have all.

    Args:
        grid: With both variants.
        variant: Name of one variant.
        reference: Name of the one that is subtracted.
    """
    gained = area_under_curve(grid.fractions, grid.scores[variant] - grid.scores[reference])
    fracs = grid.measured.tolist() or [math.nan]
    by_seed = {
        seed: value
        for seed, value in zip(grid.seeds, gained.tolist(), strict=True)
        if not math.isnan(value)
    }
    return AreaDifference(
        variant=variant,
        reference=reference,
        smallest=fracs[0],
        largest=fracs[-1],
        **_over_seeds(by_seed),
    )


def _over_seeds(by_seed: Mapping[int, float]) -> dict[str, Any]:
    higher, untied, low, high = share_higher(list(by_seed.values()))
    return {
        "difference": t_interval(by_seed.values()),
        "by_seed": by_seed,
        "num_higher": higher,
        "num_untied": untied,
        "higher_low": low,
        "higher_high": high,
    }


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
        One entry per shared fraction, ascending, not tested; its interval counts pairs (none
        shared: 0).
    """
    columns = [
        "variant",
        "label_frac",
        "seed",
        measure,
        *([] if resamples is None else ["trial_key"]),
    ]
    rows = scores.loc[scores["variant"].isin([variant, reference]), columns].to_dict("records")
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
        by_seed = {int(a["seed"]): float(a[measure] - b[measure]) for a, b in pairs}
        found.append(
            PairedDifference(
                variant=variant,
                reference=reference,
                label_frac=frac,
                measure=measure,
                over_tiles=_over_tiles(pairs, list(by_seed.values()), measure, resamples),
                num_shared=len(shared),
                **_over_seeds(by_seed),
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
    return seeds_and_tiles_interval(np.array(values), resampled, resamples.worth[measure])
