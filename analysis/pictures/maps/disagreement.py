"""Where two models disagree: which of them is right, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pictures.maps.maps import UNKNOWN, ClassMap

BOTH_RIGHT, FIRST_RIGHT, SECOND_RIGHT, BOTH_WRONG, NOT_KNOWN = range(5)
"""Kinds of a pixel: which of two models is right; NOT_KNOWN where the reference has no class."""
NUM_KINDS = 5

Kinds = NDArray[np.uint8]
"""Kind of every pixel (H, W)."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Pixels of each kind."""

    both_right: int = 0
    first_right: int = 0
    """Pixels of which the first model alone is right."""
    second_right: int = 0
    """Pixels of which the second model alone is right."""
    both_wrong: int = 0
    unknown: int = 0

    @property
    def num_known(self) -> int:
        """Pixels with a reference: those of which shares are."""
        return self.both_right + self.num_deciding + self.both_wrong

    @property
    def num_deciding(self) -> int:
        """Pixels of which exactly one model is right."""
        return self.first_right + self.second_right

    def share(self, num: int) -> float:
        """Part of the pixels with a reference that num of them are; NaN where there is none."""
        return num / self.num_known if self.num_known else math.nan


@dataclass(frozen=True, kw_only=True)
class TileDisagreement:
    """One test tile: how many pixels of each kind, and a small map of them."""

    tile: str
    tally: Tally
    kinds: Kinds
    """(h, w): every n-th pixel of every n-th row, so that shares stay about the same."""
    every: int
    """n; 1 where the map is whole."""


def kinds_of(reference: ClassMap, first: ClassMap, second: ClassMap) -> Kinds:
    """Which of two models is right in every pixel.

    Args:
        reference: Class index or UNKNOWN (H, W).
        first: Prediction of the first model (H, W).
        second: Prediction of the second (H, W).

    Returns:
        BOTH_RIGHT ... NOT_KNOWN (H, W).

    Raises:
        ValueError: If the shapes differ.
    """
    if not reference.shape == first.shape == second.shape:
        raise ValueError(
            "maps must have the shape of their reference "
            f"{reference.shape}, got {first.shape} and {second.shape}"
        )
    kinds: Kinds = (first != reference) * np.uint8(SECOND_RIGHT)
    kinds += second != reference
    kinds[reference == UNKNOWN] = NOT_KNOWN
    return kinds


def tally(kinds: Kinds) -> Tally:
    """Pixels of each kind in a map (H, W)."""
    return Tally(
        both_right=int(np.count_nonzero(kinds == BOTH_RIGHT)),
        first_right=int(np.count_nonzero(kinds == FIRST_RIGHT)),
        second_right=int(np.count_nonzero(kinds == SECOND_RIGHT)),
        both_wrong=int(np.count_nonzero(kinds == BOTH_WRONG)),
        unknown=int(np.count_nonzero(kinds == NOT_KNOWN)),
    )


def summed(tallies: Sequence[Tally]) -> Tally:
    """Pixels of each kind in several maps together."""
    return Tally(
        both_right=sum(one.both_right for one in tallies),
        first_right=sum(one.first_right for one in tallies),
        second_right=sum(one.second_right for one in tallies),
        both_wrong=sum(one.both_wrong for one in tallies),
        unknown=sum(one.unknown for one in tallies),
    )


def tile_disagreement(tile: str, kinds: Kinds, max_side_px: int) -> TileDisagreement:
    """Counts of a tile and its map, reduced until no side is longer than max_side_px."""
    every = math.ceil(max(kinds.shape) / max_side_px)
    # the middle of what a pixel stands for, not its corner
    top, left = (min(every // 2, side - 1) for side in kinds.shape)
    return TileDisagreement(
        tile=tile, tally=tally(kinds), kinds=kinds[top::every, left::every].copy(), every=every
    )


def most_disagreeing(tiles: Sequence[TileDisagreement], num: int) -> list[TileDisagreement]:
    """The tiles with the largest share of pixels of which one model alone is right, that first.

    Tiles of equal shares stay in their order; those without a reference come last.
    """

    def agreement(one: TileDisagreement) -> float:
        share = one.tally.share(one.tally.num_deciding)
        return 1.0 if math.isnan(share) else -share

    return sorted(tiles, key=agreement)[:num]
