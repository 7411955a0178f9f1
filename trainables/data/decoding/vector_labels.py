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

from trainables.data.layouts.spec import IGNORE_INDEX, DatasetSpec, VectorLabels
from trainables.data.places.footprints import Footprint
from trainables.data.places.vector_files import Geometries, areas_of, read_label_files, text_of
from trainables.errors import DataError

if TYPE_CHECKING:
    import geopandas

_MAX_SHOWN: Final = 3


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
        frame, area = read_label_files(labels.source, labels.class_field, labels.area)
        codes, num_without = _codes(frame, labels)
        rank_of = {index: rank for rank, index in enumerate((*labels.order, IGNORE_INDEX))}
        order = np.argsort([rank_of[code] for code in codes.tolist()], kind="stable")
        self._features = _Shapes(areas_of(frame, labels.buffer_m)[order], codes[order], frame.crs)
        self._area = None
        if area is not None:
            inside = np.zeros(len(area), dtype=np.uint8)
            self._area = _Shapes(areas_of(area, None, "labels.area"), inside, area.crs)
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


def _codes(frame: geopandas.GeoDataFrame, labels: VectorLabels) -> tuple[NDArray[np.uint8], int]:
    """The class index or IGNORE_INDEX of every feature, and how many have no value at all."""
    if labels.class_field is None:
        (drawn,) = {*range(len(labels.class_values))} - {labels.background}
        return np.full(len(frame), drawn, dtype=np.uint8), 0
    code_of = {value: index for index, values in enumerate(labels.class_values) for value in values}
    code_of |= dict.fromkeys(labels.ignored_values, IGNORE_INDEX)
    values = frame[labels.class_field]
    is_given = values.notna().to_numpy()
    texts = [text_of(value) for value in values[is_given]]
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
