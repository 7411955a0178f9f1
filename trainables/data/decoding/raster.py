"""Reads image files by rows: their bands, and which of their pixels show anything."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.windows import Window

from trainables.data.access.decoding_errors import decoding
from trainables.data.access.gdal_options import gdal_options
from trainables.data.decoding.orientation import orientation_of
from trainables.data.places.cuts import TileWindow
from trainables.data.places.footprints import Footprint, footprint_of
from trainables.errors import DataError

_IS_REAL: Final = re.compile(r"u?int\d+|float\d+")
"""Types of bands that are read; NumPy does not know all others, such as complex_int16."""
_MAX_KEPT: Final = 2**28
"""Values of a turned picture that are held in memory."""
_SAME_FLOAT: Final = 2 * float(np.finfo(np.float32).eps)
"""Relative difference below which a fraction is the nodata value, as in GDAL."""


@contextmanager
def ungeoreferenced() -> Iterator[None]:
    """Tiles need no georeference; filters belong to the process, so not to be set in threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


class Raster:
    """An open raster, or a part of one, its rows and columns as any viewer shows them."""

    def __init__(self, source: DatasetReader, window: TileWindow | None = None) -> None:
        """Look at the header; no pixel is read.

        Args:
            source: The raster.
            window: The part of it; None for all.

        Raises:
            DataError: If it has a mask beside it that cannot be read, or if a part is wanted that
                it does not have, or of a picture that is turned.
        """
        self._window = window
        self.source = source
        """The raster as it is stored, which tells its place, its bands and their tags."""
        self.orientation = orientation_of(source)
        stored_px = (source.height, source.width)
        self.height_px, self.width_px = (
            stored_px[::-1] if self.orientation.transposes else stored_px
        )
        if window is not None:
            if self.orientation.turns:
                raise DataError(
                    "cut must be of images that are stored upright, got one that its EXIF "
                    f"orientation turns in {source.name}; save it upright"
                )
            ends = (window.top_px + window.height_px, window.left_px + window.width_px)
            if ends[0] > self.height_px or ends[1] > self.width_px:
                raise DataError(
                    f"raster must have the size of its image, which is cut, got {self.width_px} x "
                    f"{self.height_px} px in {source.name}; export it on the pixels of the image"
                )
            self.height_px, self.width_px = window.height_px, window.width_px
        flags = [{*of_band} for of_band in source.mask_flag_enums]
        derived = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha}
        self.has_mask = any(MaskFlags.per_dataset in one and not one & derived for one in flags)
        """Whether the file has a mask of its own for all bands, in it or beside it as .msk."""
        self.has_hidden_color = any(
            {MaskFlags.per_dataset, MaskFlags.nodata} <= one for one in flags
        )
        """Whether one combination of all bands stands for no data, as in a PNG with tRNS."""
        self.masked_bands = tuple(
            band
            for band, one in enumerate(flags, start=1)
            if MaskFlags.per_dataset not in one
            and (
                not one & derived
                or (MaskFlags.nodata in one and source.nodatavals[band - 1] is None)
            )
        )
        """Numbers of the bands of which GDAL alone knows what they show: they have masks of their
        own, as in a VRT, or a nodata value that no float64 holds."""
        beside = Path(f"{source.name}.msk")
        if beside.is_file() and not self.has_mask:
            raise DataError(
                f"mask beside a file must be a readable raster of its size, got {beside}; copy or "
                "export it again, or remove it"
            )

    def read(self, bands: Sequence[int], first: int, last: int) -> NDArray[Any]:
        """Values of whole rows.

        Args:
            bands: Numbers of the bands (B), from 1.
            first: The first row.
            last: One past the last row.

        Returns:
            (B, last - first, W) in the type of these bands, float64 where they differ.
        """
        if self._is_kept_whole and len(set(self.source.dtypes)) == 1:
            indexes = [band - 1 for band in bands]
            return np.ascontiguousarray(self._whole[indexes, first:last])
        rows = self._stored(first, last)
        if len({self.source.dtypes[band - 1] for band in bands}) == 1:
            stored = self.source.read(list(bands), window=rows)
        else:
            planes = [self.source.read(band, window=rows) for band in bands]
            stored = np.stack([plane.astype(np.float64) for plane in planes])
        return np.ascontiguousarray(self.orientation.upright(stored))  # torch wants them so

    @property
    def _is_kept_whole(self) -> bool:
        """Whether all is decoded at once: a turned JPEG would be decoded anew for every strip."""
        source = self.source
        num_values = source.count * source.height * source.width
        return self.orientation.turns and num_values <= _MAX_KEPT

    @cached_property
    def _whole(self) -> NDArray[Any]:
        return self.orientation.upright(self.source.read())

    def shown(self, band: int, first: int, last: int) -> NDArray[np.bool_]:
        """What GDAL's mask of a band shows of whole rows (last - first, W)."""
        shown = self.source.read_masks(band, window=self._stored(first, last)) != 0
        return self.orientation.upright(shown)

    @property
    def footprint(self) -> Footprint | None:
        """Where it lies; None where nothing says it."""
        place = footprint_of(self.source)
        return None if place is None else place.of_window(self._window)

    def _stored(self, first: int, last: int) -> Window:
        if (cut := self._window) is not None:
            return Window(cut.left_px, cut.top_px + first, cut.width_px, last - first)
        return self.orientation.stored_rows(first, last, self.source.height, self.source.width)


@contextmanager
def open_file(file: Path | str, window: TileWindow | None = None) -> Iterator[Raster]:
    """A raster, open while the block runs; errors of opening and of decoding name the file.

    Args:
        file: Its path, or any address that GDAL knows.
        window: The part of it that is wanted; None for all.

    Raises:
        DataError: If the file is no readable raster, or breaks off.
    """
    with gdal_options(), open_part(file, window) as raster:
        yield raster


@contextmanager
def open_part(file: Path | str, window: TileWindow | None = None) -> Iterator[Raster]:
    """As `open_file`, inside of `gdal_options`: such files may be closed in any order."""
    with decoding(file), rasterio.open(file) as source:
        yield Raster(source, window)


def stored_type(dtypes: Sequence[str]) -> str | None:
    """The type in which images of these types of bands are kept.

    Args:
        dtypes: Types of the bands, as GDAL names them.

    Returns:
        `uint8` or `uint16` where all bands are of it, `float32` for every other real type and for
        a mixture; None where a type is not real, or there is no band.
    """
    found = set(dtypes)
    if len(found) == 1 and found <= {"uint8", "uint16"}:
        return found.pop()
    return "float32" if found and all(map(_IS_REAL.fullmatch, found)) else None


def is_nodata(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Which values are a nodata value, in the shape of the values.

    Fractions may differ from it by what two programs write differently, in the last digits of a
    float32; a value that the type cannot hold occurs nowhere.
    """
    if nodata is None:
        return np.zeros(values.shape, dtype=np.bool_)
    if values.dtype.kind == "f":
        if math.isnan(nodata):
            missing: NDArray[np.bool_] = np.isnan(values)
            return missing
        with np.errstate(over="ignore", invalid="ignore"):
            typed = values.dtype.type(nodata)
            if not np.isfinite(typed):  # beyond the type; an infinite value is no value near it
                exact: NDArray[np.bool_] = (values == typed) & math.isinf(nodata)
                return exact
            same: NDArray[np.bool_] = np.abs(values - typed) <= _SAME_FLOAT * abs(float(typed))
        return same
    limits = np.iinfo(values.dtype)
    if not math.isfinite(nodata) or not limits.min <= nodata <= limits.max or nodata % 1:
        return np.zeros(values.shape, dtype=np.bool_)
    equal: NDArray[np.bool_] = values == int(nodata)
    return equal


class ImageReader:
    """The image bands of an open raster.

    A pixel is hidden where the file's mask or its alpha band says so; where all bands that have a
    nodata value hold it, for images kept as whole numbers (0 in one band may be a dark pixel);
    where any band holds it, for those kept as float32; and where a value is not finite.
    """

    def __init__(
        self, raster: Raster, bands: Sequence[str], nodata: Sequence[float | None] = ()
    ) -> None:
        """Look at the header.

        Args:
            raster: The raster.
            bands: Names of the bands that are expected, in their order (C). One more band is
                allowed if it is alpha.
            nodata: Values that mean no data besides those that the file names, one per band (C)
                or none at all.
        """
        source = raster.source
        self._raster = raster
        self._names = tuple(bands)
        self._indexes = list(range(1, min(len(bands), source.count) + 1))
        self._has_alpha = (
            source.count == len(bands) + 1 and source.colorinterp[-1] == ColorInterp.alpha
        )
        self._dtypes = tuple(source.dtypes[: len(bands)])
        self.dtype = stored_type(self._dtypes)
        """Type in which the image is kept, one of `DTYPES`; None if it cannot be used."""
        given = tuple(nodata) or (None,) * len(bands)
        of_file = (source.nodatavals[band - 1] for band in self._indexes)
        self._nodata = [set(pair) - {None} for pair in zip(of_file, given, strict=False)]

    @property
    def type_text(self) -> str:
        """The types of the bands as they are in the file, such as `uint8` or `float32, int16`."""
        return ", ".join(sorted(set(self._dtypes)))

    @property
    def may_hide(self) -> bool:
        """Whether a pixel could be hidden."""
        raster = self._raster
        return (
            raster.has_mask
            or raster.has_hidden_color
            or self._has_alpha
            or self.dtype == "float32"
            or any(self._nodata)
            or bool(raster.masked_bands)
        )

    def problems(self, dtype: str | None = None) -> list[str]:
        """What of the bands cannot be used, in words without the file's name.

        Args:
            dtype: The type in which the training images were kept, where there was a training.
        """
        problems = []
        num_bands = self._raster.source.count
        if num_bands != len(self._names) and not self._has_alpha:
            problems.append(
                f"image must have the {len(self._names)} bands {', '.join(self._names)}, "
                f"got {num_bands}"
            )
        if self.dtype is None and self._dtypes:
            problems.append(f"image must hold whole or real numbers, got {self.type_text}")
        elif dtype is not None and self.dtype not in (dtype, None):
            rule = "of a type that is read as float32" if dtype == "float32" else dtype
            problems.append(f"image must be {rule}, as in training, got {self.type_text}")
        return problems

    def read(self, first: int, last: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Whole rows of the image.

        Args:
            first: The first row.
            last: One past the last row.

        Returns:
            Values (C, last - first, W), in `dtype`, 0 where hidden, and which pixels are hidden
            (last - first, W); None where all are shown.
        """
        values = self._raster.read(self._indexes, first, last)
        hidden = self._hidden(values, first, last)
        with np.errstate(over="ignore"):  # what float32 cannot hold is hidden
            image = values.astype(self.dtype, copy=False)
        if hidden is not None:
            image[:, hidden] = 0
        return image, hidden

    def hidden(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Which pixels of rows are hidden (last - first, W); None where all are shown.

        Args:
            first: The first row.
            last: One past the last row.
        """
        if not self.may_hide:
            return None
        return self._hidden(self._raster.read(self._indexes, first, last), first, last)

    def _hidden(self, values: NDArray[Any], first: int, last: int) -> NDArray[np.bool_] | None:
        if not self.may_hide:
            return None
        raster = self._raster
        hidden = np.zeros(values.shape[1:], dtype=np.bool_)
        if raster.has_mask or raster.has_hidden_color:
            hidden |= ~raster.shown(1, first, last)
        if self._has_alpha:
            hidden |= raster.read([self._indexes[-1] + 1], first, last)[0] == 0
        empty = [
            self._empty(band, plane, first, last)
            for band, plane in zip(self._indexes, values, strict=True)
            if self._nodata[band - 1] or band in raster.masked_bands
        ]
        if self.dtype == "float32":
            with np.errstate(over="ignore"):  # beyond its range, a float64 becomes infinite
                hidden |= ~np.isfinite(values.astype(np.float32, copy=False)).all(axis=0)
            hidden |= np.any(empty, axis=0)
        elif empty:
            hidden |= np.all(empty, axis=0)
        return hidden if hidden.any() else None

    def _empty(self, band: int, plane: NDArray[Any], first: int, last: int) -> NDArray[np.bool_]:
        """Which pixels of one band of rows hold no data (last - first, W)."""
        empty = np.zeros(plane.shape, dtype=np.bool_)
        for value in self._nodata[band - 1]:
            empty |= is_nodata(plane, value)
        if band in self._raster.masked_bands:
            empty |= ~self._raster.shown(band, first, last)
        return empty
