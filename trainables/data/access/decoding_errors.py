"""What GDAL says of a raster that cannot be read, as one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from trainables.errors import DataError


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
