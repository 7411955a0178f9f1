"""Tiles that touch on the ground and share one grid of pixels, as parts of a mosaic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from trainables.data.places.footprints import Footprint, distinct_systems

_TOLERANCE_PX: Final = 0.1
"""How far the pixels of two neighbours may lie beside one grid: places are rounded when written."""


@dataclass(frozen=True, kw_only=True)
class Mosaic:
    """Tiles on one grid of pixels, each of which touches another one."""

    members: tuple[int, ...]
    """Positions of the tiles in what `find_mosaics` was given, in that order (M)."""
    corners: tuple[tuple[int, int], ...]
    """Row and column of the upper left pixel of each (M)."""
    height_px: int
    width_px: int
    is_full: bool
    """Whether every pixel of the mosaic lies on a tile."""


def find_mosaics(places: Sequence[Footprint], groups: Sequence[str]) -> list[Mosaic]:
    """Join tiles of one group that touch along an edge or overlap, directly or through others.

    Two tiles are neighbours if their pixels lie on one grid to a tenth of a pixel and their
    reference systems put them there alike. Neighbours of neighbours are placed through them: where
    two ways round give different places, which takes a grid that bends, the tiles stay apart.

    Args:
        places: The tiles (T).
        groups: What each belongs to (T); no mosaic has tiles of two groups.

    Returns:
        Mosaics with all tiles, each in one, in the order of their first tiles; a tile without a
        neighbour is a mosaic of its own.
    """
    offsets = _offsets(places, groups)
    seen: set[int] = set()
    found = []
    for index in range(len(places)):
        if index in seen:
            continue
        corners, is_sound = _placed(index, offsets)
        seen |= {*corners}
        if is_sound:
            found.append(_mosaic(places, corners))
        else:
            found += [_mosaic(places, {member: (0, 0)}) for member in sorted(corners)]
    return sorted(found, key=lambda one: one.members[0])


def _offsets(
    places: Sequence[Footprint], groups: Sequence[str]
) -> dict[int, dict[int, tuple[int, int]]]:
    """Rows and columns from each tile to each of its neighbours (T)."""
    _, system_of = distinct_systems(places)
    offsets: dict[int, dict[int, tuple[int, int]]] = {index: {} for index in range(len(places))}
    tiles_of: dict[tuple[int, str], list[int]] = {}
    for index, group in enumerate(groups):
        if places[index].error_px <= _TOLERANCE_PX:
            tiles_of.setdefault((int(system_of[index]), group), []).append(index)
    for tiles in tiles_of.values():
        outlines = np.stack([places[index].outline() for index in tiles])
        pixel = float(np.sqrt(abs(places[tiles[0]].transform.determinant)))
        polygons = shapely.buffer(shapely.polygons(outlines), pixel)
        tree = shapely.STRtree(polygons)
        for one, other in tree.query(polygons).T.tolist():
            first, second = tiles[one], tiles[other]
            if first < second and (offset := _offset(places[first], places[second])) is not None:
                offsets[first][second] = offset
                offsets[second][first] = -offset[0], -offset[1]
    return offsets


def _offset(first: Footprint, second: Footprint) -> tuple[int, int] | None:
    """Rows and columns from one tile to its neighbour; None where they are no neighbours."""
    corners = first.in_pixels(second.outline())
    column, row = (int(value) for value in corners[0].round())
    size = second.width_px, second.height_px
    expected = np.array([column, row]) + _corners(*size)
    if np.abs(corners - expected).max() > _TOLERANCE_PX:
        return None
    across = min(first.width_px, column + size[0]) - max(0, column)
    down = min(first.height_px, row + size[1]) - max(0, row)
    is_beside = (across > 0 and down >= 0) or (across >= 0 and down > 0)
    return (row, column) if is_beside else None


def _corners(width_px: int, height_px: int) -> NDArray[np.int64]:
    """Corners of a tile in its own pixels, in the order of `Footprint.outline` (4, 2)."""
    return np.array([[0, 0], [width_px, 0], [width_px, height_px], [0, height_px]])


def _placed(
    index: int, offsets: dict[int, dict[int, tuple[int, int]]]
) -> tuple[dict[int, tuple[int, int]], bool]:
    """Places of all that a tile is joined with, from its own, and whether all ways agree."""
    corners = {index: (0, 0)}
    waiting = [index]
    is_sound = True
    while waiting:
        here = waiting.pop()
        for other, corner in _around(corners[here], offsets[here]):
            if other not in corners:
                corners[other] = corner
                waiting.append(other)
            is_sound &= corners[other] == corner
    return corners, is_sound


def _around(
    corner: tuple[int, int], offsets: dict[int, tuple[int, int]]
) -> Iterator[tuple[int, tuple[int, int]]]:
    for other, (down, across) in offsets.items():
        yield other, (corner[0] + down, corner[1] + across)


def _mosaic(places: Sequence[Footprint], corners: dict[int, tuple[int, int]]) -> Mosaic:
    members = tuple(sorted(corners))
    top, left = (min(corner[axis] for corner in corners.values()) for axis in (0, 1))
    moved = tuple((corners[one][0] - top, corners[one][1] - left) for one in members)
    boxes = [
        shapely.box(x, y, x + places[one].width_px, y + places[one].height_px)
        for one, (y, x) in zip(members, moved, strict=True)
    ]
    _, _, width, height = (int(side) for side in shapely.total_bounds(boxes))
    return Mosaic(
        members=members,
        corners=moved,
        height_px=height,
        width_px=width,
        is_full=bool(shapely.union_all(boxes).area == height * width),
    )
