"""Which tiles lie wholly in the polygons of one split, and in those of no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from rasterio.crs import CRS

from trainables.data.places.footprints import Corners, Footprint, transformed

_STEPS: Final = 16
"""Steps of an edge, which another reference system may bend."""
_EDGE_PX: Final = 0.5
"""How far a polygon may fall short of the edge of a tile: both are rounded when written."""


@dataclass(frozen=True, kw_only=True)
class HeldTiles:
    """Where tiles lie, by their position in what `held_tiles` was given."""

    held: Mapping[str, Sequence[int]]
    """Those that lie wholly in the polygons of one group and touch no other's, by group."""
    shared: Sequence[int]
    """Those that touch the polygons of several groups."""
    outside: Sequence[int]
    """All others: no polygon holds them, or only part of them."""


def held_tiles(
    places: Sequence[Footprint], areas: Mapping[str, shapely.Geometry], crs: CRS
) -> HeldTiles:
    """Sort tiles by the polygons that hold them; no two groups have ground in common then.

    An edge of half a pixel counts neither way, since tiles and polygons are rounded.

    Args:
        places: The tiles (T), all with a reference system.
        areas: All polygons of each group, one geometry each.
        crs: Reference system of the polygons; their edges are straight in it.
    """
    shapely.prepare([*areas.values()])
    held: dict[str, list[int]] = {group: [] for group in areas}
    shared, outside = [], []
    for index, place in enumerate(places):
        corners = _inner(place, crs)
        has_place = np.isfinite(corners).all()
        tile = shapely.Polygon(corners) if has_place else shapely.Polygon()
        touched = [group for group, area in areas.items() if shapely.intersects(area, tile)]
        if len(touched) > 1:
            shared.append(index)
        elif touched and shapely.covers(areas[touched[0]], tile):
            held[touched[0]].append(index)
        else:
            outside.append(index)
    return HeldTiles(held=held, shared=shared, outside=outside)


def _inner(place: Footprint, crs: CRS) -> Corners:
    """Points around a tile without its edge, in another reference system (4 _STEPS, 2)."""
    assert place.crs is not None  # checked by who reads the polygons
    size = np.array([place.width_px, place.height_px], dtype=np.float64)
    edge = np.minimum(_EDGE_PX, size / 4)
    around = place.in_pixels(place.outline(_STEPS)) / size * (size - 2 * edge) + edge
    return transformed(place.crs, crs, place.on_ground(around))
