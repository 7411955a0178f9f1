"""Contiguous blocks of tiles, so that splits lie apart on the ground as far as they can."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.places.footprints import Footprint, find_overlaps, in_one_system
from trainables.settings.seeds import numpy_generator

_NUMBERS: Final = re.compile(r"(\d+)")


def contiguous_blocks(
    names: Sequence[str],
    places: Sequence[Footprint | None],
    shares: Mapping[str, float],
    *,
    seed: int,
) -> dict[str, list[str]]:
    """Cut tiles into one block for each split, along the longer side of what they cover.

    The blocks follow each other in an order that the seed draws. Tiles that share ground stay
    together. Where not every tile has a place, they are cut in the order of their names, numbers
    by their value.

    Args:
        names: Names of the tiles (T), each once.
        places: Where they lie (T); None where nothing says it.
        shares: Wanted share of the tiles of each split; sums to 1.
        seed: Draws the order of the splits.

    Returns:
        Names of the tiles of each split, sorted; one at least, if there are tiles enough that may
        be apart, and else none.
    """
    order = np.array(sorted(range(len(names)), key=lambda index: _natural(names[index])))
    known = [place for place in places if place is not None]
    groups: list[list[int]] = [[index] for index in order.tolist()]
    if len(known) == len(places):
        middles = _middles(known)
        along = int(np.argmax(np.ptp(middles, axis=0)))
        groups = _together(known)
        groups.sort(key=lambda one: (*middles[one][:, [along, 1 - along]].mean(axis=0), one))
    splits = [[*shares][i] for i in numpy_generator(seed, "splits").permutation(len(shares))]
    sizes = np.array([len(group) for group in groups])
    ends = _ends(np.cumsum(sizes) / len(names), [shares[split] for split in splits])
    found: dict[str, list[str]] = {split: [] for split in shares}
    for split, first, last in zip(splits, [0, *ends[:-1]], ends, strict=True):
        found[split] = sorted(names[index] for group in groups[first:last] for index in group)
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which tile_2 comes before tile_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(name)]


def _middles(places: Sequence[Footprint]) -> NDArray[np.float64]:
    """The middle of each place in the reference system of the first (T, 2)."""
    middles = [outline.mean(axis=0) for outline in in_one_system(places)]
    found: NDArray[np.float64] = np.nan_to_num(np.array(middles))
    return found


def _together(places: Sequence[Footprint]) -> list[list[int]]:
    """Tiles that share ground with each other, directly or through others."""
    group_of = list(range(len(places)))
    for overlap in find_overlaps(places, [str(index) for index in range(len(places))]):
        one, other = group_of[overlap.first], group_of[overlap.second]
        group_of = [min(one, other) if group in (one, other) else group for group in group_of]
    groups: dict[int, list[int]] = {}
    for index, group in enumerate(group_of):
        groups.setdefault(group, []).append(index)
    return [*groups.values()]


def _ends(until: NDArray[np.float64], shares: Sequence[float]) -> list[int]:
    """After how many groups each block ends; each holds one at least, if there are enough.

    Args:
        until: Share of all tiles in the groups up to each (G,).
        shares: Wanted shares of the blocks, in their order.
    """
    num, ends = len(until), []
    begin = 0
    for place, target in enumerate(np.cumsum(shares)[:-1]):
        left = len(shares) - place - 1
        nearest = int(np.argmin(np.abs(until - target))) + 1
        begin = max(begin + 1, min(nearest, num - left))
        ends.append(min(begin, num))
    return [*ends, num]
