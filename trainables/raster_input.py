"""Reads a raster of any size row by row, reduced as the tiles of a training were."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from trainables.data.tiles import block_means
from trainables.errors import DataError
from trainables.model_file import TrainedModel

CACHE_MIB: Final = 512
"""GDAL's block cache; its own default is a share of the machine's memory."""


class RasterInput:
    """A raster that fits a trained model; rows and columns are those after reduction by d.

    H, W are the size of the file. Blocks of d x d pixels become their mean, rounded half up, as
    in `trainables.data.tiles`; rows and columns that fill no block are not seen by the network.
    """

    def __init__(self, source: DatasetReader, trained: TrainedModel) -> None:
        """Check that the raster is what the model was trained on.

        Raises:
            DataError: With every rule that it breaks.
        """
        self.source = source
        self._bands = list(range(1, len(trained.bands) + 1))
        self._downsample = trained.downsample
        self._has_alpha = (
            source.count == len(trained.bands) + 1 and source.colorinterp[-1] == ColorInterp.alpha
        )
        if problems := list(self._problems(trained)):
            raise DataError("; ".join(problems))
        flags = source.mask_flag_enums[0]
        # Many tools call a fourth band alpha; one that the model was trained on hides nothing.
        self._has_mask = MaskFlags.nodata in flags or (
            MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        )
        self.height_px = source.height // self._downsample
        self.width_px = source.width // self._downsample

    def read(self, top: int, bottom: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Rows of the reduced image.

        Returns:
            Image (C, bottom - top, W // d), and where it shows anything at all
            (bottom - top, W // d): a block with a pixel that is not hidden. What is left over at
            the right and bottom counts as part of the last blocks, whose class it gets.

        Raises:
            DataError: If the file cannot be decoded.
        """
        first, last = self.file_rows(top, bottom)
        d = self._downsample
        rows = Window(0, first, self.source.width, (bottom - top) * d)
        with _decoding(self.source):
            image = self.source.read(self._bands, window=rows)
        image = np.ascontiguousarray(block_means(image, d))
        hidden = self.hidden(first, last)
        if hidden is None:
            return image, np.ones(image.shape[1:], dtype=np.bool_)
        shown = np.logical_or.reduceat(~hidden, np.arange(bottom - top) * d, axis=0)
        return image, np.logical_or.reduceat(shown, np.arange(self.width_px) * d, axis=1)

    def file_rows(self, top: int, bottom: int) -> tuple[int, int]:
        """The rows of the file that get their values from reduced rows: first, and one past."""
        is_last = bottom == self.height_px
        return top * self._downsample, (
            self.source.height if is_last else bottom * self._downsample
        )

    def hidden(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Which pixels of rows of the file hold no data (last - first, W); None = all do.

        Hidden is what the file's mask says, what is nodata in all bands, or has alpha 0.

        Raises:
            DataError: If the file cannot be decoded.
        """
        if not (self._has_mask or self._has_alpha):
            return None
        rows = Window(0, first, self.source.width, last - first)
        hidden = np.zeros((last - first, self.source.width), dtype=np.bool_)
        with _decoding(self.source):
            if self._has_mask:
                hidden |= ~self.source.read_masks(self._bands, window=rows).any(axis=0)
            if self._has_alpha:
                hidden |= self.source.read(self._bands[-1] + 1, window=rows) == 0
        return hidden

    def enlarge(self, plane: NDArray[np.generic], num_rows: int) -> NDArray[np.generic]:
        """A reduced plane (h, W // d) over num_rows rows of the file (num_rows, W).

        Each value fills its block; rows and columns that fill no block repeat the last one.
        """
        if self._downsample == 1:
            return plane
        rows = np.minimum(np.arange(num_rows) // self._downsample, plane.shape[0] - 1)
        columns = np.minimum(np.arange(self.source.width) // self._downsample, plane.shape[1] - 1)
        enlarged: NDArray[np.generic] = plane[rows[:, None], columns[None, :]]
        return enlarged

    def _problems(self, trained: TrainedModel) -> Iterator[str]:
        source = self.source
        if source.count != len(trained.bands) and not self._has_alpha:
            yield (
                f"image must have the {len(trained.bands)} bands {', '.join(trained.bands)} that "
                f"the model was trained on, got {source.count}"
            )
        if other := set(source.dtypes[: len(trained.bands)]) - {trained.dtype}:
            yield f"image must be {trained.dtype} as in training, got {', '.join(sorted(other))}"
        if min(source.height, source.width) < trained.downsample:
            yield (
                f"image must be at least {trained.downsample} px high and wide, the downsample "
                f"of the model, got {source.width} x {source.height} px"
            )


@contextmanager
def open_raster(file: Path, trained: TrainedModel) -> Iterator[RasterInput]:
    """A raster to predict, open while the block runs, with GDAL's cache bounded.

    Raises:
        DataError: If the file is no readable raster or does not fit the model.
    """
    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE_MIB):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            source = rasterio.open(file)
        except RasterioError as error:
            raise _unreadable(file, error) from None
        with source:
            try:
                raster = RasterInput(source, trained)
            except DataError as error:
                raise DataError(f"{error} in {file}; take another image or model") from None
            yield raster


@contextmanager
def _decoding(source: DatasetReader) -> Iterator[None]:
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise _unreadable(source.name, error) from None


def _unreadable(file: Path | str, error: Exception) -> DataError:
    reason = " ".join(str(error.__cause__ or error).split())
    return DataError(
        f"file must be a readable raster, got: {reason} in {file}; copy or export it again"
    )
