"""Scores of every trial on resampled test tiles, for intervals that hold for other tiles too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.intervals import MIN_TILES, NUM_TILE_RESAMPLES, draw_tiles
from analysis.statistics.scores import score_counts
from contract.measures import Values, has_reference

if TYPE_CHECKING:
    from analysis.reading.confusion import TrialConfusion
    from analysis.reading.sources.load import StudyRecord

_SEED = 20190728
"""Seed of the resamples: the same study gives the same intervals."""


@dataclass(frozen=True, kw_only=True)
class TileResamples:
    """Every trial's scores on the same resamples of the test tiles."""

    num_tiles: int
    worth: Mapping[str, float]
    """By score column: tiles of equal weight that the test tiles are worth, for the class of the
    mean that lies on the fewest (Kish, 1965: the square of the sum of reference pixels over the
    sum of squares)."""
    withheld: Mapping[str, tuple[str, ...]]
    """By score column: classes of the mean that lie on so few tiles, MIN_TILES - 1 by worth or
    fewer, that resampling them says nothing of others; empty where there are intervals."""
    by_measure: Mapping[str, Mapping[str, Values]]
    """By score column, then by trial_key: (NUM_TILE_RESAMPLES,); NaN where withheld."""


def resample_tiles(record: StudyRecord, measures: Sequence[str]) -> TileResamples | None:
    """Every trial's scores on resampled test tiles.

    All trials see the same resamples, so that differences between them stay paired by tile. A
    score is a mean of ratios of sums over tiles. It is resampled as what it is near the sums seen:
    each tile moves each ratio by its own part (the linearised ratio estimator of surveys; Cochran,
    1977). So the classes of a mean are the same in every resample, also where a resample has no
    tile of a rare class; a class on few tiles has its part widened by what its few tiles are
    worth.

    Args:
        record: The study.
        measures: Of "oa", "mean_f1", "miou".

    Returns:
        None with fewer than MIN_TILES tiles, or where trials were scored on different tiles.
    """
    layouts = {tuple(sorted(tile.name for tile in c.tiles)) for c in record.confusions.values()}
    if len(layouts) != 1 or len(names := layouts.pop()) < MIN_TILES:
        return None
    drawn = draw_tiles(len(names), np.random.default_rng(_SEED))
    worth = dict.fromkeys(measures, float(len(names)))
    withheld: dict[str, dict[str, None]] = {measure: {} for measure in measures}
    by_measure: dict[str, dict[str, Values]] = {measure: {} for measure in measures}
    for key, confusion in record.confusions.items():
        tiles = _stacked(confusion)
        for measure in measures:
            parts = _parts(measure, tiles, confusion)
            score = score_counts(
                measure, tiles.sum(axis=0), confusion.classes, confusion.exclude_from_mean
            )
            by_measure[measure][key] = score + drawn @ parts.moves
            worth[measure] = min(worth[measure], float(parts.worth.min(initial=len(names))))
            withheld[measure] |= dict.fromkeys(parts.rare)
    for measure in measures:
        if withheld[measure]:
            unknown = np.full(NUM_TILE_RESAMPLES, np.nan)
            by_measure[measure] = dict.fromkeys(by_measure[measure], unknown)
    return TileResamples(
        num_tiles=len(names),
        worth=worth,
        withheld={measure: tuple(rare) for measure, rare in withheld.items()},
        by_measure=by_measure,
    )


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """How the test tiles make up a score."""

    moves: Values
    """By how much the score moves with every time that a tile is drawn, (T,); their sum is 0."""
    worth: Values
    """Tiles of equal weight, one value per ratio."""
    rare: tuple[str, ...]
    """Classes of ratios that are worth MIN_TILES - 1 tiles or fewer."""


def _parts(measure: str, tiles: Values, confusion: TrialConfusion) -> _Parts:
    """The parts of a score that is a mean of ratios, linearised at the sums of its tiles."""
    hits = np.diagonal(tiles, axis1=1, axis2=2)  # (T, K)
    reference, predicted = tiles.sum(axis=2), tiles.sum(axis=1)
    names = confusion.classes
    if measure == "oa":
        above, below = hits.sum(axis=1, keepdims=True), reference.sum(axis=1, keepdims=True)
        weights, names = below, ("all classes",)
    else:
        kept = has_reference(tiles.sum(axis=0)) & np.array(
            [name not in confusion.exclude_from_mean for name in names]
        )
        weights = reference[:, kept]
        names = tuple(name for name, is_kept in zip(names, kept, strict=True) if is_kept)
        both = (reference + predicted)[:, kept]
        above, below = {
            "mean_f1": (2.0 * hits[:, kept], both),
            "miou": (hits[:, kept], both - hits[:, kept]),
        }[measure]
    worth = weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0)
    moves = (above - below * (above.sum(axis=0) / below.sum(axis=0))) / below.sum(axis=0)
    return _Parts(
        moves=_widened(moves, worth).sum(axis=1) / max(len(names), 1),
        worth=worth,
        rare=tuple(
            name for name, num in zip(names, worth.tolist(), strict=True) if num <= MIN_TILES - 1
        ),
    )


def _widened(moves: Values, worth: Values) -> Values:
    """Moves such that the variance over resamples of T - 1 draws is unbiased for few tiles.

    The variance of the sum of T - 1 draws is (T - 1) / T of the sum of squared moves; the unbiased
    one is n / (n - 1) of it for n tiles of equal weight.
    """
    num_tiles = len(moves)
    few = np.maximum(worth, MIN_TILES - 1.0)  # below, the interval is withheld
    widened: NDArray[np.float64] = moves * np.sqrt(
        num_tiles / (num_tiles - 1.0) * few / (few - 1.0)
    )
    return widened


def _stacked(confusion: TrialConfusion) -> Values:
    """Counts of the tiles in the order of their names, (T, K, K)."""
    ordered = sorted(confusion.tiles, key=lambda tile: tile.name)
    return np.stack([tile.full for tile in ordered]).astype(np.float64)
