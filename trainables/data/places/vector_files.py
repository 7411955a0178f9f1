"""Reads files of polygons, lines and points: what `labels` and `splits` are drawn as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from trainables.data.access.fetched_files import on_this_machine
from trainables.data.access.remote_files import name_of
from trainables.errors import DataError, problems_text

if TYPE_CHECKING:
    import geopandas

Geometries = NDArray[np.object_]
"""Shapely polygons and multi-polygons (N,)."""

_POLYGONS: Final = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_COLLECTION: Final = shapely.GeometryType.GEOMETRYCOLLECTION


class VectorFileError(DataError):
    """Files of polygons, lines or points that cannot be read, or do not hold what is asked for."""

    def __init__(self, *problems: str) -> None:
        super().__init__(problems_text(problems))
        self.problems = problems
        """One line for each file."""


@dataclass(frozen=True, kw_only=True)
class VectorFile:
    """One layer of a file of polygons, lines or points."""

    file: Path
    """On this machine, or a path as from `remote_files.remote_path`."""
    layer: str | None = None
    """None for the only layer of the file."""

    @property
    def name(self) -> str:
        """Name of the file, without the folder or the server that has it."""
        return name_of(self.file)


def read_features(
    source: VectorFile, field: str | None, name: str, field_name: str = "field"
) -> geopandas.GeoDataFrame:
    """The features of a layer that have a place, and one of their fields.

    Args:
        source: The file and its layer.
        field: The field that is wanted; None for none.
        name: What the features are, for messages, such as `labels`.
        field_name: What the field is called where a person wrote it.

    Raises:
        VectorFileError: If there is no such file, layer or field, or no reference system.
    """
    try:
        with on_this_machine(source.file, name) as copy:
            return _read(copy, source, field, name, field_name)
    except DataError as error:
        raise VectorFileError(str(error)) from None


def read_label_files(
    source: VectorFile, class_field: str | None, area: VectorFile | None
) -> tuple[geopandas.GeoDataFrame, geopandas.GeoDataFrame | None]:
    """The features that are labels, and the polygons outside of which nothing is known.

    Args:
        source: The labels.
        class_field: Their field that is wanted; None for none.
        area: The polygons; None for none.

    Raises:
        VectorFileError: As of `read_features`, with the problems of both.
    """
    wanted: list[tuple[VectorFile, str | None, str, str]] = []
    wanted.append((source, class_field, "labels", "labels.class_field"))
    wanted += [] if area is None else [(area, None, "labels.area", "field")]
    frames: list[geopandas.GeoDataFrame] = []
    problems: list[str] = []
    for one in wanted:
        try:
            frames.append(read_features(*one))
        except VectorFileError as error:
            problems += error.problems
    if problems:
        raise VectorFileError(*problems)
    return frames[0], None if area is None else frames[1]


def _read(
    copy: Path, source: VectorFile, field: str | None, name: str, field_name: str
) -> geopandas.GeoDataFrame:
    """What `read_features` gives, of a file that lies on this machine."""
    import geopandas
    import pyogrio

    file = source.file
    if not copy.exists():
        raise DataError(f"{name} must be an existing file, got none at {file}; mend the path")
    try:
        layers = pyogrio.list_layers(copy)[:, 0].tolist()
        layer = source.layer or (layers[0] if len(layers) == 1 else None)
        if layer not in layers:
            got = "none" if source.layer is None else repr(source.layer)
            raise DataError(
                f"layer of {name} must be one of {', '.join(layers)}, got {got} for {file}"
            )
        fields = pyogrio.read_info(copy, layer=layer)["fields"].tolist()
        if field is not None and field not in fields:
            raise DataError(
                f"{field_name} must be one of {', '.join(fields)}, got {field!r} for {file}"
            )
        wanted = [] if field is None else [field]
        frame = geopandas.read_file(copy, layer=layer, columns=wanted)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(
            f"{name} must be a file of polygons that GDAL opens (GeoPackage, GeoJSON, Shapefile, "
            f"FlatGeobuf), got: {_reason(error, copy, file)} for {file}"
        ) from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise DataError(f"{name} must be polygons, lines or points, got a table in {file}")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if frame.empty:
        raise DataError(f"{name} must hold polygons, lines or points, got none in {file}")
    if frame.crs is None:
        raise DataError(
            f"{name} must have a reference system, got none in {file}; set it in the program that "
            "wrote the file (for a Shapefile, copy its .prj along)"
        )
    return frame


def _reason(error: Exception, copy: Path, file: Path) -> str:
    """What a library says, of the file and not of its copy."""
    return " ".join(str(error).replace(str(copy), str(file)).split())


def text_of(value: object) -> str:
    """A value of a field as a person writes it: 1 also where the file holds 1.0."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def areas_of(
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
