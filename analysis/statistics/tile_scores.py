"""Scores of every trial on resampled test tiles, for intervals that hold for other tiles too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import MIN_TILES, draw_tiles
from analysis.statistics.scores import score_counts
from contract.measures import Values

if TYPE_CHECKING:
    from analysis.reading.confusion import TrialConfusion
    from analysis.reading.sources.load import StudyRecord

_SEED = 20190728
"""Seed of the resamples: the same study gives the same intervals."""


@dataclass(frozen=True, kw_only=True)
class TileResamples:
    """Every trial's scores on the same resamples of the test tiles."""

    num_tiles: int
    by_measure: Mapping[str, Mapping[str, Values]]
    """By score column, then by trial_key: (NUM_TILE_RESAMPLES,)."""


def resample_tiles(record: StudyRecord, measures: Sequence[str]) -> TileResamples | None:
    """Pools every trial's confusion over resampled test tiles, and scores the sums.

    All trials see the same resamples, so that differences between them stay paired by tile.

    Args:
        record: The study.
        measures: Keys of SCORE_LABELS.

    Returns:
        None with fewer than MIN_TILES tiles, or where trials were scored on different tiles.
    """
    layouts = {tuple(sorted(tile.name for tile in c.tiles)) for c in record.confusions.values()}
    if len(layouts) != 1 or len(names := layouts.pop()) < MIN_TILES:
        return None
    drawn = draw_tiles(len(names), np.random.default_rng(_SEED))
    by_measure: dict[str, dict[str, Values]] = {measure: {} for measure in measures}
    for key, confusion in record.confusions.items():
        pooled = np.tensordot(drawn, _stacked(confusion), axes=1)
        for measure in measures:
            by_measure[measure][key] = score_counts(
                measure, pooled, confusion.classes, confusion.exclude_from_mean
            )
    return TileResamples(num_tiles=len(names), by_measure=by_measure)


def _stacked(confusion: TrialConfusion) -> Values:
    """Counts of the tiles in the order of their names, (T, K, K)."""
    ordered = sorted(confusion.tiles, key=lambda tile: tile.name)
    return np.stack([tile.full for tile in ordered]).astype(np.float64)
