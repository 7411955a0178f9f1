"""Burns polygons, lines and points on the grid of an image: its classes, without a mask file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from trainables.data.layouts.spec import IGNORE_INDEX, DatasetSpec, VectorFile, VectorLabels
from trainables.data.places.footprints import Footprint
from trainables.errors import DataError

if TYPE_CHECKING:
    import geopandas

Geometries = NDArray[np.object_]
"""Shapely polygons and multi-polygons (N,)."""

_MAX_SHOWN: Final = 3
_POLYGONS: Final = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_COLLECTION: Final = shapely.GeometryType.GEOMETRYCOLLECTION


class LabelLayer:
    """All labels of a data set, to be burnt on the grid of any of its images.

    A pixel is of the class whose polygon holds its middle; where several do, the one that comes
    last in `VectorLabels.order`, and of one class any. It is unknown where a polygon of unknown
    class holds it, outside of `VectorLabels.area`, and where nothing covers it and there is no
    background.
    """

    def __init__(self, labels: VectorLabels) -> None:
        """Read the files.

        Raises:
            DataError: If a file, a layer or a field is not there, if features have other values
                than those of the classes, if nothing says where they lie, or if lines and points
                have no width.
        """
        self._labels = labels
        frame = _read(labels.source, labels.class_field)
        codes, num_without = _codes(frame, labels)
        rank_of = {index: rank for rank, index in enumerate((*labels.order, IGNORE_INDEX))}
        order = np.argsort([rank_of[code] for code in codes.tolist()], kind="stable")
        self._features = _Shapes(_areas(frame, labels.buffer_m)[order], codes[order], frame.crs)
        self._area = None
        if labels.area is not None:
            area = _read(labels.area, None)
            inside = np.zeros(len(area), dtype=np.uint8)
            self._area = _Shapes(_areas(area, None, "labels.area"), inside, area.crs)
        self.notes: tuple[str, ...] = ()
        """What a person should know of the files although nothing is wrong, one line each."""
        if num_without:
            self.notes = (
                f"{num_without} features of {labels.source.file} have no {labels.class_field}: "
                "the class of what they cover is unknown",
            )

    @property
    def num_features(self) -> int:
        """How many polygons, lines and points there are."""
        return len(self._features.codes)

    def on(self, place: Footprint) -> BurntLabels:
        """The classes of an image at a place.

        Raises:
            DataError: If the labels cannot be brought into its reference system.
        """
        ground = IGNORE_INDEX if self._labels.background is None else self._labels.background
        return BurntLabels(
            width_px=place.width_px,
            height_px=place.height_px,
            background=ground,
            features=self._features.in_pixels(place),
            area=None if self._area is None else self._area.in_pixels(place),
        )


@dataclass(frozen=True, kw_only=True)
class BurntLabels:
    """The labels of one image, in its pixels."""

    width_px: int
    height_px: int
    background: int
    features: _Placed
    area: _Placed | None

    @property
    def num_features(self) -> int:
        """How many polygons, lines and points come near the image."""
        return len(self.features.geometries)

    def read(self, first: int, last: int, counted: slice = slice(None)) -> NDArray[np.uint8]:
        """Class index or IGNORE_INDEX of whole rows (last - first, W).

        Args:
            first: The first row.
            last: One past the last row.
            counted: As of `masks.MaskReader.read`; nothing is counted here.
        """
        del counted
        shape = last - first, self.width_px
        burnt = self.features.burn(first, shape, self.background)
        if self.area is not None:
            burnt[self.area.burn(first, shape, IGNORE_INDEX) == IGNORE_INDEX] = IGNORE_INDEX
        return burnt


@dataclass(frozen=True)
class _Placed:
    """Polygons in pixels of an image, from the lowest to the highest, and the value of each."""

    geometries: Geometries
    codes: NDArray[np.uint8]

    def burn(self, first: int, shape: tuple[int, int], fill: int) -> NDArray[np.uint8]:
        """Values of rows from `first` on, `fill` where no polygon holds the middle of a pixel."""
        near = np.ones(len(self.geometries), dtype=np.bool_)
        if len(near):
            tops, bottoms = shapely.bounds(self.geometries)[:, [1, 3]].T
            near = (tops < first + shape[0]) & (bottoms > first)
        if not near.any():
            return np.full(shape, fill, dtype=np.uint8)
        burnt: NDArray[np.uint8] = rasterio.features.rasterize(
            zip(self.geometries[near], self.codes[near].tolist(), strict=True),
            out_shape=shape,
            fill=fill,
            transform=Affine.translation(0, first),
            dtype="uint8",
        )
        return burnt


@dataclass
class _Shapes:
    """Polygons with their values, in the reference systems of the images that asked for them."""

    geometries: Geometries
    codes: NDArray[np.uint8]
    crs: Any
    _in_crs: dict[str, tuple[Geometries, shapely.STRtree]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def in_pixels(self, place: Footprint) -> _Placed:
        """Those that come near an image, in its pixels."""
        geometries, tree = self._reprojected(place)
        outline = place.outline(16)
        box = shapely.box(*outline.min(axis=0), *outline.max(axis=0))
        near = np.sort(tree.query(box))
        return _Placed(shapely.transform(geometries[near], place.in_pixels), self.codes[near])

    def _reprojected(self, place: Footprint) -> tuple[Geometries, shapely.STRtree]:
        import geopandas
        import pyproj

        assert place.crs is not None  # checked with the header of the image
        text = place.crs.to_wkt()
        with self._lock:
            if text not in self._in_crs:
                try:
                    target = pyproj.CRS.from_user_input(text)
                    moved = geopandas.GeoSeries(self.geometries, crs=self.crs).to_crs(target)
                except pyproj.exceptions.ProjError as error:
                    raise DataError(
                        "labels must be of a reference system that the images' can be reached "
                        f"from, got: {' '.join(str(error).split())}; reproject the labels"
                    ) from None
                geometries = moved.to_numpy()
                has_place = np.isfinite(shapely.bounds(geometries)).all(axis=1)
                geometries = np.where(has_place, geometries, shapely.Polygon())
                self._in_crs[text] = geometries, shapely.STRtree(geometries)
            return self._in_crs[text]


def read_label_layer(spec: DatasetSpec) -> LabelLayer | None:
    """The labels of a data set; None where its tiles have masks.

    Raises:
        DataError: As of `LabelLayer`.
    """
    return None if spec.labels is None else LabelLayer(spec.labels)


def _read(source: VectorFile, class_field: str | None) -> geopandas.GeoDataFrame:
    """The features of a layer that have a place, and the field of their class.

    Raises:
        DataError: If there is no such file, layer or field, or no reference system.
    """
    import geopandas
    import pyogrio

    file = source.file
    if not file.exists():
        raise DataError(f"labels must be an existing file, got none at {file}; mend the path")
    try:
        layers = pyogrio.list_layers(file)[:, 0].tolist()
        layer = source.layer or (layers[0] if len(layers) == 1 else None)
        if layer not in layers:
            got = "none" if source.layer is None else repr(source.layer)
            raise DataError(
                f"layer of labels must be one of {', '.join(layers)}, got {got} for {file}"
            )
        fields = pyogrio.read_info(file, layer=layer)["fields"].tolist()
        if class_field is not None and class_field not in fields:
            raise DataError(
                f"labels.class_field must be one of {', '.join(fields)}, got {class_field!r} for "
                f"{file}"
            )
        wanted = [] if class_field is None else [class_field]
        frame = geopandas.read_file(file, layer=layer, columns=wanted)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(
            "labels must be a file of polygons that GDAL opens (GeoPackage, GeoJSON, Shapefile, "
            f"FlatGeobuf), got: {' '.join(str(error).split())} for {file}"
        ) from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise DataError(f"labels must be polygons, lines or points, got a table in {file}")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if frame.empty:
        raise DataError(f"labels must hold polygons, lines or points, got none in {file}")
    if frame.crs is None:
        raise DataError(
            f"labels must have a reference system, got none in {file}; set it in the program that "
            "wrote the file (for a Shapefile, copy its .prj along)"
        )
    return frame


def _codes(frame: geopandas.GeoDataFrame, labels: VectorLabels) -> tuple[NDArray[np.uint8], int]:
    """The class index or IGNORE_INDEX of every feature, and how many have no value at all."""
    if labels.class_field is None:
        (drawn,) = {*range(len(labels.class_values))} - {labels.background}
        return np.full(len(frame), drawn, dtype=np.uint8), 0
    code_of = {value: index for index, values in enumerate(labels.class_values) for value in values}
    code_of |= dict.fromkeys(labels.ignored_values, IGNORE_INDEX)
    values = frame[labels.class_field]
    is_given = values.notna().to_numpy()
    texts = [_text(value) for value in values[is_given]]
    if unknown := Counter(text for text in texts if text not in code_of):
        most = unknown.most_common(_MAX_SHOWN)
        more = len(unknown) - len(most)
        shown = ", ".join(f"{text!r} ({count})" for text, count in most)
        raise DataError(
            f"{labels.class_field} of labels must be a value of a class or of "
            f"labels.ignore_values, got {shown}{f' and {more} more' if more else ''} in "
            f"{labels.source.file}; add what is missing"
        )
    codes = np.full(len(frame), IGNORE_INDEX, dtype=np.uint8)
    codes[is_given] = [code_of[text] for text in texts]
    return codes, int((~is_given).sum())


def _text(value: object) -> str:
    """A value of a field as a person writes it: 1 also where the file holds 1.0."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _areas(
    frame: geopandas.GeoDataFrame, buffer_m: float | None, name: str = "labels"
) -> Geometries:
    """Polygons of all features: lines and points become as wide as is asked for.

    Raises:
        DataError: If that is not said, though there are any.
    """
    geometries: Geometries = shapely.force_2d(frame.geometry.to_numpy())
    kinds = shapely.get_type_id(geometries)
    is_thin = ~np.isin(kinds, [*_POLYGONS, _COLLECTION])
    if is_thin.any():
        if buffer_m is None:
            raise DataError(
                f"{name} must be polygons, got {int(is_thin.sum())} lines and points without a "
                "width; draw polygons, or give labels.buffer_m for lines and points of labels"
            )
        thin = frame.geometry[is_thin]
        metric = thin.estimate_utm_crs()
        geometries[is_thin] = thin.to_crs(metric).buffer(buffer_m).to_crs(frame.crs).to_numpy()
    invalid = ~shapely.is_valid(geometries) | (shapely.get_type_id(geometries) == _COLLECTION)
    geometries[invalid] = [_polygons_of(one) for one in shapely.make_valid(geometries[invalid])]
    return geometries


def _polygons_of(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons among the parts of a geometry: lines and points that mending left cover none."""
    parts = [
        one
        for one in shapely.get_parts(geometry, return_index=False)
        if shapely.get_type_id(one) in _POLYGONS
    ]
    return shapely.union_all(parts) if parts else shapely.Polygon()
