"""Where images lie on the ground, and which of them show the same place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import transform as transform_points

Corners = NDArray[np.float64]
"""x, y of the four corners of an image, in their order around it (4, 2); NaN where unknown."""

_TOLERANCE_PX: Final = 1.0
"""Images that share an edge of this width lie beside each other."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """The place of a georeferenced image."""

    crs: CRS
    transform: Affine
    """From column, row to x, y in the CRS."""
    height_px: int
    width_px: int

    def corners(self) -> Corners:
        """The four corners in the CRS of the image."""
        w, h = self.width_px, self.height_px
        return _mapped(self.transform, np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64))

    def in_pixels(self, points: Corners) -> Corners:
        """Column, row in this image of points in its CRS."""
        return _mapped(~self.transform, points)


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two images that show the same place."""

    first: int
    second: int
    """Their positions in what `find_overlaps` was given."""
    pixels: float
    """Area they share, in pixels of the first."""
    share: float
    """Area they share, as a share of the first, 0-1."""


def footprint_of(source: DatasetReader) -> Footprint | None:
    """The place of an open raster; None without a CRS, or without a transform that says where."""
    transform = source.transform
    if source.crs is None or transform == Affine.identity() or transform.is_degenerate:
        return None
    return Footprint(
        crs=source.crs, transform=transform, height_px=source.height, width_px=source.width
    )


def corner_offset_px(image: Footprint, other: Footprint) -> float:
    """Largest distance between the corners of two images of one CRS, in pixels of the first."""
    offsets = image.in_pixels(other.corners()) - image.in_pixels(image.corners())
    return float(np.hypot(offsets[:, 0], offsets[:, 1]).max())


def find_overlaps(footprints: Sequence[Footprint], groups: Sequence[str]) -> Iterator[Overlap]:
    """Pairs of images of different groups that show the same place.

    Each is taken as the convex quadrilateral of its corners, compared in the CRS of the first of
    a pair. Images that share no more than an edge of one pixel (of the coarser one) lie beside
    each other. A CRS that cannot be transformed into another one counts as another place.

    Args:
        footprints: The images (N).
        groups: The group of each, such as its split (N).
    """
    systems, system_of = _systems(footprints)
    corners_in = [_all_corners(footprints, systems, system_of, target) for target in systems]
    boxes_in = [(corners.min(axis=1), corners.max(axis=1)) for corners in corners_in]
    _, group_of = np.unique(np.array(groups), return_inverse=True)
    for index, first in enumerate(footprints):
        corners = corners_in[system_of[index]]
        # Bounding boxes first: most pairs are far apart.
        low, high = boxes_in[system_of[index]]
        near = ((low <= high[index]) & (high >= low[index])).all(axis=1)
        near &= group_of != group_of[index]
        for other in (np.flatnonzero(near[index + 1 :]) + index + 1).tolist():
            pixels = _shared_pixels(first, first.in_pixels(corners[other]), footprints[other])
            if pixels > 0:
                area = first.height_px * first.width_px
                yield Overlap(
                    first=index, second=other, pixels=pixels, share=min(1.0, pixels / area)
                )


def _mapped(transform: Affine, points: Corners) -> Corners:
    x, y = points[:, 0], points[:, 1]
    return np.stack(
        [
            transform.a * x + transform.b * y + transform.c,
            transform.d * x + transform.e * y + transform.f,
        ],
        axis=1,
    )


def _systems(footprints: Sequence[Footprint]) -> tuple[list[CRS], NDArray[np.int64]]:
    """The distinct CRSs, and which of them each image has (N,)."""
    systems: list[CRS] = []
    index_of: dict[str, int] = {}  # comparing texts is much faster than comparing CRSs
    system_of = []
    for one in footprints:
        text = one.crs.to_wkt()
        if text not in index_of:
            if one.crs not in systems:
                systems.append(one.crs)
            index_of[text] = systems.index(one.crs)
        system_of.append(index_of[text])
    return systems, np.array(system_of, dtype=np.int64)


def _all_corners(
    footprints: Sequence[Footprint],
    systems: Sequence[CRS],
    system_of: NDArray[np.int64],
    target: CRS,
) -> NDArray[np.float64]:
    """Corners of all images in one CRS (N, 4, 2); NaN where they have no place in it."""
    corners = np.stack([one.corners() for one in footprints])
    for number, system in enumerate(systems):
        if system is target:
            continue
        chosen = system_of == number
        flat = corners[chosen].reshape(-1, 2)
        try:
            moved = transform_points(system, target, flat[:, 0], flat[:, 1])
        except (RasterioError, CPLE_BaseError):
            corners[chosen] = np.nan
        else:
            corners[chosen] = np.stack(moved[:2], axis=1).reshape(-1, 4, 2)
    corners[~np.isfinite(corners)] = np.nan
    return corners


def _shared_pixels(first: Footprint, quad: Corners, second: Footprint) -> float:
    """Area of a quadrilateral within an image, in its pixels; 0 where they lie side by side.

    Args:
        first: The image.
        quad: Corners of the second image, in pixels of the first.
        second: The second image.
    """
    w, h = first.width_px, first.height_px
    rectangle = np.array([[0, 0], [w, 0], [w, h], [0, h]], dtype=np.float64)
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    second_px = np.array([second.width_px, second.height_px] * 2)
    tolerance = _TOLERANCE_PX * max(1.0, float((sides / second_px).max()))
    tolerance *= 1 + 1e-3  # coordinates are rounded
    for polygon in (rectangle, quad):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        one, two = normals @ rectangle.T, normals @ quad.T
        depths = np.minimum(one.max(axis=1), two.max(axis=1)) - np.maximum(
            one.min(axis=1), two.min(axis=1)
        )
        # An image that is itself no wider than the tolerance lies inside, not beside.
        width = np.minimum(np.ptp(one, axis=1), np.ptp(two, axis=1))
        if not (depths > np.minimum(tolerance, width / 2)).all():
            return 0.0
    return _area(_clipped(quad, w, h))


def _clipped(polygon: Corners, width: float, height: float) -> Corners:
    """A convex polygon cut to 0 ... width, 0 ... height (Sutherland and Hodgman, 1974)."""
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
