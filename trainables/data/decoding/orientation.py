"""How an image was held: the EXIF orientation of a file, and the turn that sets it upright."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from rasterio.io import DatasetReader
from rasterio.windows import Window

_ORIENTATION_TAG: Final = 274
"""Number of the orientation tag in EXIF and in TIFF."""
_GDAL_TAG: Final = "EXIF_Orientation"
"""GDAL's name for it; GDAL reads it from where it belongs in JPEG files alone."""

_DAMAGED: Final = (SyntaxError, struct.error, TypeError, ValueError, OSError)
"""What Pillow raises for tags that are none; viewers then show the pixels as stored."""

Values = TypeVar("Values", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """The turn from pixels as stored to pixels as shown: transpose first, then flip.

    The eight values and what they mean are those of the tag Orientation of EXIF 2.3 (4.6.4).
    """

    transposes: bool = False
    flips_rows: bool = False
    flips_columns: bool = False

    @classmethod
    def from_exif(cls, value: int) -> Orientation:
        """The turn of an EXIF value; what is not in 1 ... 8 means nothing, as in other readers."""
        return cls(
            transposes=value in (5, 6, 7, 8),
            flips_rows=value in (3, 4, 7, 8),
            flips_columns=value in (2, 3, 6, 7),
        )

    @property
    def turns(self) -> bool:
        """Whether pixels are shown elsewhere than they are stored."""
        return self != UPRIGHT

    def stored_rows(self, first: int, last: int, height_px: int, width_px: int) -> Window:
        """The stored rows and columns that hold rows as shown.

        Args:
            first: The first row as shown.
            last: One past the last row as shown.
            height_px: Rows as stored.
            width_px: Columns as stored.
        """
        length = width_px if self.transposes else height_px
        start = length - last if self.flips_rows else first
        if self.transposes:
            return Window(start, 0, last - first, height_px)
        return Window(0, start, width_px, last - first)

    def upright(self, stored: NDArray[Values]) -> NDArray[Values]:
        """Pixels as shown (…, H, W) of pixels as stored."""
        shown = np.swapaxes(stored, -1, -2) if self.transposes else stored
        if self.flips_rows:
            shown = shown[..., ::-1, :]
        if self.flips_columns:
            shown = shown[..., ::-1]
        return shown


UPRIGHT: Final = Orientation()


def orientation_of(source: DatasetReader) -> Orientation:
    """The orientation that an open raster declares.

    Where a file has a place on the ground, that place holds for the pixels as they are stored, and
    programs that know places show them so: then nothing is turned.
    """
    if not source.transform.is_identity or source.gcps[0]:
        return UPRIGHT
    if source.driver == "JPEG":  # other files may hold it as text that was copied from a JPEG
        tagged = source.tags().get(_GDAL_TAG, "1")
        return Orientation.from_exif(int(tagged) if tagged.isdecimal() else 1)
    file = Path(source.name)
    read = {"PNG": _of_png, "WEBP": _of_webp, "GTiff": _of_tiff}.get(source.driver)
    if read is None or not file.is_file():
        return UPRIGHT
    with file.open("rb") as stream:
        return Orientation.from_exif(read(stream))


def _of_png(stream: BinaryIO) -> int:
    """The chunk eXIf may lie on either side of the pixels (PNG 1.5 extensions, 2017)."""
    stream.seek(8)
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            return _of_exif(stream.read(length))
        stream.seek(length + 4, os.SEEK_CUR)  # past its checksum
    return 1


def _of_webp(stream: BinaryIO) -> int:
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            return _of_exif(stream.read(length))
        stream.seek(length + length % 2, os.SEEK_CUR)  # chunks have even lengths
    return 1


def _of_tiff(stream: BinaryIO) -> int:
    """Pillow's reader of tags, without its limit on the size of images."""
    head = stream.read(8)
    if head[:4] in (b"II+\0", b"MM\0+"):  # BigTIFF
        head += stream.read(8)
    try:
        tags = ImageFileDirectory_v2(head)
        stream.seek(tags.next)
        tags.load(stream)
        return int(tags.get(_ORIENTATION_TAG, 1))
    except _DAMAGED:
        return 1


def _of_exif(content: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(content)
        return int(exif.get(_ORIENTATION_TAG, 1))
    except _DAMAGED:
        return 1
