"""Reads a raster of any size row by row, reduced as the tiles of a training were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.access.decoding_errors import decoding
from trainables.data.decoding.raster import (
    ImageReader,
    Raster,
    open_file,
    ungeoreferenced,
)
from trainables.data.decoding.reduction import reduce_image
from trainables.errors import DataError
from trainables.networks.model_file import TrainedModel
from trainables.predict.raster_address import RasterAddress


class RasterInput:
    """A raster that fits a trained model; rows and columns are those after reduction by d.

    H, W are the size of the file as it is shown. Blocks of d x d pixels become the mean of their
    shown pixels, as in `trainables.data.decoding.tiles`; rows and columns that fill no block are
    not seen by the network.
    """

    def __init__(self, raster: Raster, trained: TrainedModel, shown: str) -> None:
        """Check that the raster is what the model was trained on.

        Args:
            raster: The raster.
            trained: The model.
            shown: Name of the raster for messages.

        Raises:
            DataError: With every rule that it breaks.
        """
        self.raster = raster
        self._shown = shown
        self._reader = ImageReader(raster, trained.bands, trained.nodata)
        self._downsample = trained.downsample
        problems = self._reader.problems(trained.scaling.dtype)
        if min(raster.height_px, raster.width_px) < trained.downsample:
            problems.append(
                f"image must be at least {trained.downsample} px high and wide, the downsample "
                f"of the model, got {raster.width_px} x {raster.height_px} px"
            )
        if problems:
            raise DataError("; ".join(problems))
        self.height_px = raster.height_px // self._downsample
        self.width_px = raster.width_px // self._downsample

    def read(self, top: int, bottom: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Rows of the reduced image.

        Returns:
            Image (C, bottom - top, W // d) in the type of the file, 0 where hidden, and where it
            shows anything at all (bottom - top, W // d): a block with a pixel that is not hidden.
            What is left over at the right and bottom counts as part of the last blocks, whose
            class it gets.

        Raises:
            DataError: If the file cannot be decoded.
        """
        first, last = self.file_rows(top, bottom)
        d = self._downsample
        with decoding(self._shown):
            image, hidden = self._reader.read(first, last)
        reduced, _ = reduce_image(image, hidden, d)
        if hidden is None:
            return reduced, np.ones(reduced.shape[1:], dtype=np.bool_)
        shown = np.logical_or.reduceat(~hidden, np.arange(bottom - top) * d, axis=0)
        return reduced, np.logical_or.reduceat(shown, np.arange(self.width_px) * d, axis=1)

    def file_rows(self, top: int, bottom: int) -> tuple[int, int]:
        """The rows of the file that get their values from reduced rows: first, and one past."""
        is_last = bottom == self.height_px
        return top * self._downsample, (
            self.raster.height_px if is_last else bottom * self._downsample
        )

    def hidden(self, first: int, last: int) -> NDArray[np.bool_] | None:
        """Which pixels of rows of the file hold no data (last - first, W); None = all do.

        Raises:
            DataError: If the file cannot be decoded.
        """
        with decoding(self._shown):
            return self._reader.hidden(first, last)

    def enlarge(self, plane: NDArray[np.generic], num_rows: int) -> NDArray[np.generic]:
        """A reduced plane (h, W // d) over num_rows rows of the file (num_rows, W).

        Each value fills its block; rows and columns that fill no block repeat the last one.
        """
        if self._downsample == 1:
            return plane
        rows = np.minimum(np.arange(num_rows) // self._downsample, plane.shape[0] - 1)
        columns = np.minimum(
            np.arange(self.raster.width_px) // self._downsample, plane.shape[1] - 1
        )
        enlarged: NDArray[np.generic] = plane[rows[:, None], columns[None, :]]
        return enlarged


@contextmanager
def open_raster(address: RasterAddress, trained: TrainedModel) -> Iterator[RasterInput]:
    """A raster to predict, open while the block runs, with GDAL's cache bounded.

    Raises:
        DataError: If it is no readable raster or does not fit the model; it is named as it was
            written, without what a URL keeps secret.
    """
    try:
        with ungeoreferenced(), open_file(address.source) as raster:
            try:
                fitting = RasterInput(raster, trained, address.shown)
            except DataError as error:
                raise DataError(
                    f"{error} in {address.shown}; take another image or model"
                ) from None
            yield fitting
    except DataError as error:
        raise DataError(
            address.redacted(str(error).replace(str(address.source), address.shown))
        ) from None
