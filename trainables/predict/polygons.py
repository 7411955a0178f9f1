"""A class map as polygons: class, area and confidence of every connected piece of it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from trainables.data.access.decoding_errors import decoding
from trainables.data.decoding.raster import ungeoreferenced
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.places.footprints import Footprint, footprint_of
from trainables.errors import DataError
from trainables.predict.raster_output import writing

if TYPE_CHECKING:
    import geopandas
    import pyproj

LAYER: Final = "classes"
"""Name of the layer in the GeoPackage."""
_METRES_PER_DEGREE: Final = 111_320.0


def write_polygons(
    classes: Path,
    confidence: Path,
    target: Path,
    class_names: Sequence[str],
    *,
    min_area_m2: float,
    simplify_m: float,
) -> None:
    """Turn a class map into a GeoPackage.

    Pixels of one class that share an edge are one polygon. Its fields are `class`, `area_m2` on
    the ellipsoid (`area_px` where nothing says how large a pixel is) and `confidence`, the mean
    probability of the class that was given to its pixels. All of the map lies in memory, with
    some 10 bytes a pixel.

    Args:
        classes: The class map; its nodata pixels are in no polygon.
        confidence: Probability of the class at each pixel, on the same grid.
        target: The GeoPackage to write; an older one is replaced.
        class_names: Name of each class (K).
        min_area_m2: Pieces that are smaller join the largest neighbour; 0 for none.
        simplify_m: How far borders may move, in metres, without gaps between neighbours; 0 for
            the borders of the pixels.

    Raises:
        DataError: If an area is asked for and nothing says how large a pixel is, or if the file
            cannot be written.
    """
    import geopandas

    with ungeoreferenced(), decoding(classes), rasterio.open(classes) as source:
        place = footprint_of(source)
        pixels: NDArray[np.uint8] = source.read(1)
    crs = _crs(place)
    if crs is None and (min_area_m2 or simplify_m):
        raise DataError(
            f"--min-area and --simplify are in metres, which need a reference system, got none in "
            f"{classes}; leave them out"
        )
    pixel_m = math.nan if place is None or crs is None else _pixel_m(place, crs)
    if min_area_m2:
        least_px = math.ceil(min_area_m2 / pixel_m**2)
        if least_px > 1:
            pixels = rasterio.features.sieve(
                pixels, size=min(least_px, pixels.size), mask=pixels != IGNORE_INDEX
            )
    pieces, class_of_piece = _pieces(pixels, len(class_names))
    with ungeoreferenced(), decoding(confidence), rasterio.open(confidence) as source:
        sums = np.bincount(
            pieces.ravel(), np.nan_to_num(source.read(1)).ravel(), len(class_of_piece)
        )
    counts = np.bincount(pieces.ravel(), minlength=len(class_of_piece))
    shapes, ids = _outlines(pieces)
    if place is None:
        shapes = shapely.transform(shapes, lambda xy: xy * (1.0, -1.0))  # as QGIS shows such images
    else:
        shapes = shapely.transform(shapes, _on_ground(place.transform))
    if simplify_m and crs is not None:
        shapes = shapely.coverage_simplify(shapes, _in_units(simplify_m, crs))
    fields: dict[str, Any] = {"class": [class_names[index] for index in class_of_piece[ids]]}
    if crs is None:
        fields["area_px"] = counts[ids]
    else:
        fields["area_m2"] = _areas_m2(shapes, crs)
    fields["confidence"] = sums[ids] / counts[ids]
    frame = geopandas.GeoDataFrame(fields, geometry=shapes, crs=crs)
    _write(frame, target)


def _crs(place: Footprint | None) -> pyproj.CRS | None:
    import pyproj

    if place is None or place.crs is None:
        return None
    return pyproj.CRS.from_user_input(place.crs.to_wkt())


def _pieces(
    pixels: NDArray[np.uint8], num_classes: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number of the piece of each pixel (H, W), 0 where none is; and the class of each piece."""
    pieces = np.zeros(pixels.shape, dtype=np.int32)
    class_of_piece = [0]
    for index in range(num_classes):
        of_class, num = ndimage.label(pixels == index)
        np.add(pieces, of_class + (len(class_of_piece) - 1), out=pieces, where=of_class > 0)
        class_of_piece += [index] * num
    return pieces, np.array(class_of_piece)


def _outlines(pieces: NDArray[np.int32]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Polygons in pixels, one for each piece, and their numbers."""
    found = [
        (shapely.geometry.shape(outline), int(number))
        for outline, number in rasterio.features.shapes(pieces, mask=pieces > 0, connectivity=4)
    ]
    shapes = np.array([one for one, _ in found], dtype=np.object_)
    return shapes, np.array([number for _, number in found], dtype=np.int64)


def _on_ground(transform: Affine) -> Any:
    """What turns columns and rows (N, 2) into x and y."""

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows = points.T
        x = transform.a * columns + transform.b * rows + transform.c
        y = transform.d * columns + transform.e * rows + transform.f
        return np.stack([x, y], axis=1)

    return moved


def _pixel_m(place: Footprint, crs: pyproj.CRS) -> float:
    """The side of a square as large as the pixel in the middle of an image, metres."""
    column, row = place.width_px / 2.0, place.height_px / 2.0
    pixel = shapely.transform(
        shapely.box(column - 0.5, row - 0.5, column + 0.5, row + 0.5), _on_ground(place.transform)
    )
    return math.sqrt(float(_areas_m2(np.array([pixel]), crs)[0]))


def _in_units(metres: float, crs: pyproj.CRS) -> float:
    """A distance in the units of a reference system."""
    if crs.is_geographic:
        return metres / _METRES_PER_DEGREE
    return metres / float(crs.axis_info[0].unit_conversion_factor)


def _areas_m2(shapes: NDArray[np.object_], crs: pyproj.CRS) -> NDArray[np.float64]:
    """Areas on the ellipsoid, whatever the reference system does to them (N,)."""
    import geopandas

    geodesic = crs.get_geod()
    assert geodesic is not None  # of a system on earth, as `footprint_of` gives it
    degrees = geopandas.GeoSeries(shapes, crs=crs).to_crs(crs.geodetic_crs)
    return np.array([abs(geodesic.geometry_area_perimeter(one)[0]) for one in degrees])


def _write(frame: geopandas.GeoDataFrame, target: Path) -> None:
    """Write a GeoPackage that appears when it is complete."""
    import pyogrio

    with (
        writing(target),
        tempfile.TemporaryDirectory(prefix=f".{target.stem}.", dir=target.parent) as folder,
    ):
        complete = Path(folder) / target.name
        try:
            frame.to_file(complete, driver="GPKG", layer=LAYER)
        except pyogrio.errors.DataSourceError as error:
            raise OSError(str(error)) from error
        complete.replace(target)
