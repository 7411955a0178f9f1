"""Finds where images lie on the ground, and which of them show the same place."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import from_gcps
from rasterio.warp import transform as transform_points

from trainables.data.access.decoding_errors import decoding
from trainables.data.access.gdal_options import gdal_options
from trainables.data.places.cuts import TileWindow
from trainables.errors import DataError

Corners = NDArray[np.float64]
"""x, y of points of an image, such as its corners in their order (N, 2); NaN where unknown."""

_TOLERANCE_PX: Final = 1.0
"""Images that share an edge of this width lie beside each other."""
_STEPS: Final = 16
"""Steps of an edge, which another system may bend: an edge of 100 km errs by a metre at most."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """The place of a georeferenced image."""

    crs: CRS | None
    """Reference system; None where only a transform is known, as from a world file."""
    transform: Affine
    """The transform from column, row to x, y in the CRS."""
    height_px: int
    width_px: int
    error_px: float = 0.0
    """How far ground control points lie from this transform, in pixels; 0 where there are none."""

    def of_window(self, window: TileWindow | None) -> Footprint:
        """The place of a part of the image; None for all of it."""
        if window is None:
            return self
        return replace(
            self,
            transform=self.transform @ Affine.translation(window.left_px, window.top_px),
            height_px=window.height_px,
            width_px=window.width_px,
        )

    def outline(self, num_steps: int = 1) -> Corners:
        """Points around the image in its CRS (4 num_steps, 2), each edge in so many steps."""
        w, h = self.width_px, self.height_px
        corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
        return _mapped(self.transform, _in_steps(corners, num_steps))

    def grid(self) -> Corners:
        """Corners, middles of edges and centre in the CRS of the image (9, 2)."""
        w, h = self.width_px, self.height_px
        shares = [(x, y) for y in (0.0, 0.5, 1.0) for x in (0.0, 0.5, 1.0)]
        return _mapped(self.transform, np.array(shares) * (w, h))

    def in_pixels(self, points: Corners) -> Corners:
        """Column, row in this image of points in its CRS."""
        return _mapped(~self.transform, points)

    def on_ground(self, pixels: Corners) -> Corners:
        """Points in its CRS of column, row in this image."""
        return _mapped(self.transform, pixels)


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two images that show the same place."""

    first: int
    second: int
    """Positions of the two images in what `find_overlaps` was given."""
    pixels: float
    """Area they share, in pixels of the first."""
    share: float
    """Area they share, as a share of the first, 0-1."""


def footprint_of(source: DatasetReader) -> Footprint | None:
    """The place of an open raster; None where nothing says it.

    A transform counts also without a reference system, unless it begins at 0, 0, as that of an
    image which was never placed. Ground control points count by the transform that fits them best.
    """
    points, points_crs = source.gcps
    size = {"height_px": source.height, "width_px": source.width}
    if points:
        return _fitted(points, _on_earth(points_crs), **size)
    transform, crs = source.transform, _on_earth(source.crs)
    is_finite = all(map(math.isfinite, transform[:6]))
    if transform == Affine.identity() or not is_finite or transform.is_degenerate:
        return None
    place = Footprint(crs=crs, transform=transform, **size)
    return None if crs is None and _begins_at_zero(place) else place


def place_of(image: Path) -> Footprint | None:
    """The place of an image; None where nothing says it, or the image cannot be opened."""
    try:
        with _opened(image) as source:
            return footprint_of(source)
    except DataError:  # why is for the inspection to say
        return None


def size_of(image: Path) -> tuple[int, int]:
    """Height and width of an image in pixels, as it is stored.

    Raises:
        DataError: If it cannot be opened.
    """
    with _opened(image) as source:
        return source.height, source.width


@contextmanager
def _opened(image: Path) -> Iterator[DatasetReader]:
    with warnings.catch_warnings(), gdal_options(), decoding(image):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(image) as source:
            yield source


def in_one_system(places: Sequence[Footprint], num_steps: int = 1) -> list[Corners]:
    """Outlines of images in the reference system of the first (4 num_steps, 2) each.

    Args:
        places: The images.
        num_steps: Steps of an edge, which another system may bend.
    """
    first, outlines = places[0].crs, []
    for place in places:
        outline = place.outline(num_steps)
        if place.crs is not None and first is not None and place.crs != first:
            outline = transformed(place.crs, first, outline)
        outlines.append(outline)
    return outlines


def _begins_at_zero(place: Footprint) -> bool:
    """Whether a corner lies at 0, 0 to a pixel: programs write images of unknown place so."""
    zero = place.in_pixels(np.zeros((1, 2)))
    return bool((np.abs(zero - place.in_pixels(place.outline())).max(axis=1) <= 1).any())


def _on_earth(crs: CRS | None) -> CRS | None:
    """A reference system that others can be transformed to; a local one is as good as none."""
    return crs if crs is not None and (crs.is_projected or crs.is_geographic) else None


def _fitted(
    points: Sequence[GroundControlPoint], crs: CRS | None, *, height_px: int, width_px: int
) -> Footprint | None:
    """The place that ground control points give; None if they are too few or on one line."""
    try:
        transform = from_gcps(points)
    except (ValueError, RasterioError, CPLE_BaseError):
        return None
    if not all(map(math.isfinite, transform[:6])) or transform.is_degenerate:
        return None
    place = Footprint(crs=crs, transform=transform, height_px=height_px, width_px=width_px)
    fitted = place.in_pixels(np.array([[one.x, one.y] for one in points], dtype=np.float64))
    error = np.abs(fitted - np.array([[one.col, one.row] for one in points])).max()
    return replace(place, error_px=float(error))


def offset_px(image: Footprint, other: Footprint) -> float:
    """How far two images lie apart, in pixels of the first.

    Args:
        image: The first image.
        other: An image of the same size, in any reference system. Where one of the two has none,
            it is taken to be in that of the other.

    Returns:
        The largest distance of the same place in both along rows or columns, over corners, middles
        of edges and centre; infinity where one system cannot be transformed into the other.
    """
    places = other.grid()
    if image.crs is not None and other.crs is not None and image.crs != other.crs:
        places = transformed(other.crs, image.crs, places)
    offsets = np.abs(image.in_pixels(places) - image.in_pixels(image.grid()))
    return float(offsets.max()) if np.isfinite(offsets).all() else math.inf


def find_overlaps(footprints: Sequence[Footprint], groups: Sequence[str]) -> Iterator[Overlap]:
    """Pairs of images of different groups that show the same place.

    Each is taken as the polygon of its edges, compared in the CRS of the first of a pair; where
    there are several systems, edges are bent and are taken in steps. Images that share no more
    than an edge of one pixel (of the coarser one) lie beside each other. A CRS that cannot be
    transformed into another one counts as another place.

    Args:
        footprints: The images (N).
        groups: The group of each, such as its split (N).
    """
    systems, system_of = distinct_systems(footprints)
    num_steps = 1 if len(systems) == 1 else _STEPS
    outlines_in = [
        _all_outlines(footprints, systems, system_of, target, num_steps) for target in systems
    ]
    boxes_in = [(outlines.min(axis=1), outlines.max(axis=1)) for outlines in outlines_in]
    _, group_of = np.unique(np.array(groups), return_inverse=True)
    for index, first in enumerate(footprints):
        outlines = outlines_in[system_of[index]]
        # Bounding boxes first: most pairs are far apart.
        low, high = boxes_in[system_of[index]]
        near = ((low <= high[index]) & (high >= low[index])).all(axis=1)
        near &= group_of != group_of[index]
        for other in (np.flatnonzero(near[index + 1 :]) + index + 1).tolist():
            pixels = _shared_pixels(first, first.in_pixels(outlines[other]), footprints[other])
            if pixels > 0:
                area = first.height_px * first.width_px
                yield Overlap(
                    first=index, second=other, pixels=pixels, share=min(1.0, pixels / area)
                )


def _in_steps(corners: Corners, num_steps: int) -> Corners:
    """A polygon with each of its edges in so many steps (N num_steps, 2)."""
    shares = np.arange(num_steps)[:, None] / num_steps
    edges = np.roll(corners, -1, axis=0) - corners
    return (corners[:, None] + shares * edges[:, None]).reshape(-1, 2)


def _mapped(transform: Affine, points: Corners) -> Corners:
    x, y = points[:, 0], points[:, 1]
    return np.stack(
        [
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        ],
        axis=1,
    )


def distinct_systems(footprints: Sequence[Footprint]) -> tuple[list[CRS | None], NDArray[np.int64]]:
    """The distinct reference systems, and which of them each image has (N,).

    If all that have one have the same, images without one are taken to be in it.
    """
    systems: list[CRS | None] = []
    index_of: dict[str | None, int] = {}  # comparing texts is much faster than comparing CRSs
    for one in footprints:
        text = None if one.crs is None else one.crs.to_wkt()
        if text not in index_of:
            same = [known for known, crs in enumerate(systems) if _is_same(one, crs)]
            index_of[text] = same[0] if same else len(systems)
            systems += [] if same else [one.crs]
    if None in systems and len(systems) == 2:
        index_of = dict.fromkeys(index_of, 0)
        systems.remove(None)
    system_of = [index_of[None if one.crs is None else one.crs.to_wkt()] for one in footprints]
    return systems, np.array(system_of, dtype=np.int64)


def _is_same(place: Footprint, crs: CRS | None) -> bool:
    """Whether a system puts an image where its own does, to half a pixel."""
    if place.crs is None or crs is None:
        return place.crs is crs
    return place.crs == crs or offset_px(place, replace(place, crs=crs)) <= 0.5


def _all_outlines(
    footprints: Sequence[Footprint],
    systems: Sequence[CRS | None],
    system_of: NDArray[np.int64],
    target: CRS | None,
    num_steps: int,
) -> NDArray[np.float64]:
    """Outlines of all images in one CRS (N, 4 num_steps, 2); NaN where they have no place in it."""
    outlines = np.stack([one.outline(num_steps) for one in footprints])
    for number, system in enumerate(systems):
        if system is target:
            continue
        chosen = system_of == number
        if system is None or target is None:
            outlines[chosen] = np.nan
        else:
            flat = outlines[chosen].reshape(-1, 2)
            moved = transformed(system, target, flat)
            outlines[chosen] = moved.reshape(-1, 4 * num_steps, 2)
    return outlines


def transformed(system: CRS, target: CRS, points: Corners) -> Corners:
    """Points in another CRS (N, 2); NaN where they have no place in it.

    Systems are compared by what they do, not by how they are written: the same system may come
    with other axes, names or a height, depending on the program.
    """
    try:
        moved = transform_points(system, target, points[:, 0], points[:, 1])
    except (RasterioError, CPLE_BaseError):
        return np.full_like(points, np.nan)
    found = np.stack(moved[:2], axis=1)
    found[~np.isfinite(found)] = np.nan
    return found


def _shared_pixels(first: Footprint, outline: Corners, second: Footprint) -> float:
    """Area of a polygon within an image, in its pixels; 0 where they lie side by side.

    Args:
        first: The image.
        outline: Outline of the second image, in pixels of the first (4 num_steps, 2).
        second: The second image.
    """
    w, h = first.width_px, first.height_px
    rectangle = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    shared = _clipped(outline, w, h)
    if len(shared) < 3:
        return 0.0
    quad = outline[:: len(outline) // 4]
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    second_px = np.array([second.width_px, second.height_px] * 2)
    scale = max(1.0, float((sides / second_px).max()))
    tolerance = _TOLERANCE_PX * scale + first.error_px + second.error_px * scale
    tolerance *= 1 + 1e-3  # coordinates are rounded
    for polygon in (rectangle, quad):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        depths = np.ptp(normals @ shared.T, axis=1)
        # An image that is itself no wider than the tolerance lies inside, not beside.
        widths = [np.ptp(normals @ one.T, axis=1) for one in (rectangle, quad)]
        if not (depths > np.minimum(tolerance, np.minimum(*widths) / 2)).all():
            return 0.0
    return _area(shared)


def _clipped(polygon: Corners, width: float, height: float) -> Corners:
    """A polygon cut to 0 ... width, 0 ... height (Sutherland and Hodgman, 1974)."""
    for axis, sign, limit in ((0, 1.0, 0.0), (0, -1.0, width), (1, 1.0, 0.0), (1, -1.0, height)):
        kept = []
        distances = sign * (polygon[:, axis] - limit)
        for index in range(len(polygon)):
            before, now = distances[index - 1], distances[index]
            if (before < 0) != (now < 0):
                share = before / (before - now)
                kept.append(polygon[index - 1] + share * (polygon[index] - polygon[index - 1]))
            if now >= 0:
                kept.append(polygon[index])
        polygon = np.array(kept, dtype=np.float64).reshape(-1, 2)
        if not len(polygon):
            break
    return polygon


def _area(polygon: Corners) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
