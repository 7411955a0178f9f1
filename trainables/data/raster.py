"""Reads image files by rows: their bands, and which of their pixels show anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from trainables.data.tileset import DTYPES
from trainables.errors import DataError

CACHE_MIB: Final = 512
"""GDAL's block cache; its own default is a share of the machine's memory."""

_GDAL_OPTIONS: Final = {
    "GDAL_CACHEMAX": CACHE_MIB,
    # Otherwise the rest of a JPEG that breaks off is grey, and nothing is said.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
    # The fast way (GDAL 3.10) returns whatever lay in memory for a PNG that breaks off.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": False,
}


@contextmanager
def open_file(file: Path | str) -> Iterator[DatasetReader]:
    """A raster, open while the block runs; errors of opening and of decoding name the file.

    Raises:
        DataError: If the file is no readable raster, or breaks off.
    """
    with rasterio.Env(**_GDAL_OPTIONS), decoding(file), rasterio.open(file) as source:
        yield source


@contextmanager
def decoding(file: Path | str) -> Iterator[None]:
    """Turns errors of opening and of decoding a raster into a DataError that names the file."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(
            f"file must be a readable raster, got: {reason} in {file}; copy or export it again"
        ) from None


class ImageReader:
    """The image bands of an open raster.

    A pixel is hidden where the file's mask or its alpha band says so, where all bands of a
    raster of whole numbers are nodata (0 in one band may be a dark pixel), where any band of a
    float32 raster is nodata, and where a value is not finite.
    """

    def __init__(self, source: DatasetReader, bands: Sequence[str]) -> None:
        """Look at the header.

        Args:
            source: The raster.
            bands: Names of the bands that are expected, in their order (C). One more band is
                allowed if it is alpha.
        """
        self._source = source
        self._names = tuple(bands)
        self._indexes = list(range(1, len(bands) + 1))
        self._has_alpha = (
            source.count == len(bands) + 1 and source.colorinterp[-1] == ColorInterp.alpha
        )
        flags = source.mask_flag_enums[0] if source.count else []
        # Many tools call a fourth band alpha; one that is declared as a band hides nothing.
        self._has_mask = MaskFlags.nodata in flags or (
            MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        )
        self.dtype = str(source.dtypes[0]) if source.count else ""
        """Type of the first band; empty for a container without bands of its own."""
        # NumPy does not know all of them, such as complex_int16.
        self.is_float = self.dtype.startswith("float")

    @property
    def may_hide(self) -> bool:
        """Whether a pixel could be hidden."""
        return self._has_mask or self._has_alpha or self.is_float

    def problems(self, dtype: str | None = None) -> list[str]:
        """What of the bands cannot be used, in words without the file's name.

        Args:
            dtype: The type of the training images, where there was a training; otherwise any of
                `DTYPES` will do.
        """
        problems = []
        if self._source.count != len(self._names) and not self._has_alpha:
            problems.append(
                f"image must have the {len(self._names)} bands {', '.join(self._names)}, "
                f"got {self._source.count}"
            )
        found = sorted(set(self._source.dtypes[: len(self._names)]))
        if dtype is not None:
            allowed, rule = {dtype}, f"{dtype} as in training"
        else:
            allowed, rule = set(DTYPES), ", ".join(DTYPES)
        if len(found) > 1 or not allowed.issuperset(found):
            problems.append(f"image must be {rule}, got {', '.join(found)}")
        return problems

    def read(self, first: int, last: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Whole rows of the image.

        Args:
            first: The first row.
            last: One past the last row.

        Returns:
            Values (C, last - first, W), 0 where hidden, and which pixels are hidden
            (last - first, W); None where all are shown.
        """
        rows = Window(0, first, self._source.width, last - first)
        image: NDArray[Any] = self._source.read(self._indexes, window=rows)
        hidden = self.hidden(first, last, image)
        if hidden is not None:
            image[:, hidden] = 0
        return image, hidden

    def hidden(
        self, first: int, last: int, image: NDArray[Any] | None = None
    ) -> NDArray[np.bool_] | None:
        """Which pixels of rows are hidden (last - first, W); None where all are shown.

        Args:
            first: The first row.
            last: One past the last row.
            image: The rows, if they were read already.
        """
        if not self.may_hide:
            return None
        rows = Window(0, first, self._source.width, last - first)
        hidden = np.zeros((last - first, self._source.width), dtype=np.bool_)
        if self._has_mask:
            shown = self._source.read_masks(self._indexes, window=rows) != 0
            hidden |= ~(shown.all(axis=0) if self.is_float else shown.any(axis=0))
        if self._has_alpha:
            hidden |= self._source.read(self._indexes[-1] + 1, window=rows) == 0
        if self.is_float:
            if image is None:
                image = self._source.read(self._indexes, window=rows)
            hidden |= ~np.isfinite(image).all(axis=0)
        return hidden if hidden.any() else None


def reduce_image(
    image: NDArray[Any], hidden: NDArray[np.bool_] | None, size_px: int
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Means over the shown pixels of each full block of an image.

    Args:
        image: (C, H, W), 0 where hidden.
        hidden: (H, W), or None where all is shown.
        size_px: Side d of a block.

    Returns:
        Means (C, H // d, W // d) in the type of the image, whole numbers rounded half up, 0
        where a block shows nothing; and which blocks show anything (H // d, W // d), None for
        all.
    """
    if size_px == 1:
        return image, None if hidden is None else ~hidden
    area = size_px * size_px
    counts: NDArray[Any] | int = area
    if hidden is not None:
        counts = _block_sums((~hidden)[None], size_px, np.dtype(np.uint32))[0]
    shown = None if isinstance(counts, int) else counts > 0
    divisor = counts if isinstance(counts, int) else np.maximum(counts, 1)
    if image.dtype.kind == "f":
        sums = _block_sums(image, size_px, np.dtype(np.float64))
        return (sums / divisor).astype(image.dtype), shown
    wide = np.dtype(np.uint32 if image.dtype == np.uint8 else np.uint64)
    sums = _block_sums(image, size_px, wide)
    sums = (2 * sums + np.asarray(divisor, dtype=wide)) // np.asarray(2 * divisor, dtype=wide)
    return sums.astype(image.dtype), shown


def block_centers(mask: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Pixel (d // 2, d // 2) of each full block of a mask (H, W): no class is invented."""
    height, width = (length // size_px * size_px for length in mask.shape)
    return mask[size_px // 2 : height : size_px, size_px // 2 : width : size_px]


def _block_sums(image: NDArray[Any], size_px: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    height, width = (length // size_px * size_px for length in image.shape[1:])
    sums = np.zeros((len(image), height // size_px, width // size_px), dtype=dtype)
    for row in range(size_px):
        for column in range(size_px):
            sums += image[:, row:height:size_px, column:width:size_px]
    return sums
