"""Decodes the files of one tile, strip by strip, and tells what it finds in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.decoding.erosion import EROSION_RADIUS_PX, erode_borders
from trainables.data.decoding.inspection import TileHeader
from trainables.data.decoding.masks import MaskReader
from trainables.data.decoding.raster import (
    ImageReader,
    open_file,
    ungeoreferenced,
)
from trainables.data.decoding.reduction import block_centers, reduce_image
from trainables.data.decoding.vector_labels import BurntLabels, LabelLayer
from trainables.data.layouts.spec import IGNORE_INDEX, DatasetSpec
from trainables.data.tilesets.tileset import Tile
from trainables.errors import DataError

STRIP_PX: Final = 2**23
"""Pixels of a file that are decoded at a time; fewer of an image with many bands."""
_BANDS_OF_STRIP: Final = 4
"""Bands up to which a strip has so many pixels; with twice as many it has half."""

_PLACEHOLDERS: Final = np.array(
    [
        *(-999, -9999, -99999, -32768, -32767, -2147483648, 2147483647),
        *(-1e10, 1e20, -1e20, 1e30, 1e36, 9.96921e36),
        *(-3.4e38, -3.4028235e38, 3.4028235e38),
    ],
    dtype=np.float32,
)
"""Values that programs write for no data; no measurement is likely to hit one of them exactly."""


@dataclass(frozen=True, kw_only=True)
class TileFindings:
    """What was found in the files of one tile."""

    image: Path
    num_px: int
    """Pixels of the image."""
    problems: list[str] = field(default_factory=list)
    """Why they cannot be used, one line each."""
    nodata_classes: dict[int, Path] = field(default_factory=dict)
    """Classes whose value or colour a mask calls nodata, and the first such mask."""
    others: dict[Path, int] = field(default_factory=dict)
    """Pixels of each mask whose value is of no class, where these are ignored."""
    placeholders: Counter[tuple[int, float]] = field(default_factory=Counter)
    """Shown pixels by band (from 0) and placeholder value."""
    blank: Counter[int] = field(default_factory=Counter)
    """Shown pixels that hold the least or the largest whole number in all bands, by that number."""


class TileDecoder:
    """Decodes one tile into its place."""

    def __init__(
        self,
        spec: DatasetSpec,
        header: TileHeader,
        target: Tile,
        downsample: int,
        derive: bool,
        labels: LabelLayer | None = None,
    ) -> None:
        """Say what goes where.

        Args:
            spec: The data set.
            header: Header of the tile.
            target: Writable arrays of the reduced size.
            downsample: Block size d in pixels.
            derive: Whether the eroded reference is made from the mask.
            labels: What a labelled tile without a mask has its classes from.
        """
        self._spec = spec
        self._labels = labels
        self._header = header
        self._target = target
        self._d = downsample
        self._derive = derive
        self._found = TileFindings(
            image=header.files.image, num_px=header.height_px * header.width_px
        )
        num_planes = max(1, len(spec.bands) // _BANDS_OF_STRIP)
        rows = max(1, STRIP_PX // num_planes // header.width_px // downsample)
        height = header.height_px // downsample
        self._strips = [(top, min(top + rows, height)) for top in range(0, height, rows)]

    def decode(self) -> TileFindings:
        """Fill the tile."""
        files, eroded = self._header.files, self._target.eroded_mask
        derived = eroded if self._derive else None
        masks = [] if files.mask is None else [(files.mask, self._target.mask, derived)]
        if files.eroded_mask is not None and eroded is not None and not self._derive:
            masks.append((files.eroded_mask, eroded, None))
        for file, mask, derived_of_it in masks:
            try:
                self._read_mask(file, mask, derived_of_it)
            except DataError as error:
                self._found.problems.append(str(error))
        if files.mask is None:
            self._burn_labels(derived)
        try:
            self._read_image(files.image)  # last: it hides pixels of the masks
        except DataError as error:
            self._found.problems.append(str(error))
        return self._found

    def _read_mask(
        self, file: Path, mask: NDArray[np.uint8], derived: NDArray[np.uint8] | None
    ) -> None:
        """Decode a mask file, and derive the eroded reference of it where that is asked for."""
        with open_file(file, self._header.files.window) as raster:
            reader = MaskReader(raster, self._spec, file)
            self._fill(reader, raster.height_px, mask, derived)
        self._found.problems.extend([] if reader.problem is None else [reader.problem])
        for index in reader.nodata_classes:
            self._found.nodata_classes.setdefault(index, file)
        if reader.num_others:
            self._found.others[file] = reader.num_others

    def _burn_labels(self, derived: NDArray[np.uint8] | None) -> None:
        """Take the classes from polygons; all are unknown in a tile that nobody annotated."""
        header = self._header
        if not header.files.is_labelled:
            self._target.mask[:] = IGNORE_INDEX
            return
        assert self._labels is not None  # checked with the header, as is its place
        assert header.place is not None
        reader = self._labels.on(header.place)
        self._fill(reader, header.height_px, self._target.mask, derived)

    def _fill(
        self,
        reader: MaskReader | BurntLabels,
        height_px: int,
        mask: NDArray[np.uint8],
        derived: NDArray[np.uint8] | None,
    ) -> None:
        """Reduce the classes that a reader gives, and derive the eroded reference of them."""
        halo = 0 if derived is None else EROSION_RADIUS_PX
        for top, bottom in self._strips:
            first, last = top * self._d, bottom * self._d
            above, below = min(halo, first), min(halo, height_px - last)
            inner = slice(above, above + last - first)
            wide = reader.read(first - above, last + below, inner)
            mask[top:bottom] = block_centers(wide[inner], self._d)
            if derived is not None:
                derived[top:bottom] = block_centers(erode_borders(wide)[inner], self._d)

    def _read_image(self, file: Path) -> None:
        target, spec = self._target, self._spec
        with open_file(file, self._header.files.window) as raster:
            reader = ImageReader(raster, spec.bands, spec.nodata)
            for top, bottom in self._strips:
                image, hidden = reader.read(top * self._d, bottom * self._d)
                self._found.placeholders.update(_placeholders(image))
                self._found.blank.update(_blank(image, hidden))
                reduced, shown = reduce_image(image, hidden, self._d)
                target.image[:, top:bottom] = reduced
                if target.shown is not None:
                    target.shown[top:bottom] = True if shown is None else shown
                if hidden is not None:  # a class is what lies at the middle of a block
                    unknown = block_centers(hidden.view(np.uint8), self._d).astype(np.bool_)
                    target.mask[top:bottom][unknown] = IGNORE_INDEX
                    if target.eroded_mask is not None:
                        target.eroded_mask[top:bottom][unknown] = IGNORE_INDEX


def _placeholders(image: NDArray[Any]) -> Counter[tuple[int, float]]:
    """How often each band of an image (C, H, W) holds each placeholder value."""
    counts: Counter[tuple[int, float]] = Counter()
    if image.dtype.kind == "f":
        for band, plane in enumerate(image):
            values, num_px = np.unique(plane[np.isin(plane, _PLACEHOLDERS)], return_counts=True)
            for value, count in zip(values.tolist(), num_px.tolist(), strict=True):
                counts[band, value] += count
    return counts


def _blank(image: NDArray[Any], hidden: NDArray[np.bool_] | None) -> Counter[int]:
    """How many shown pixels of an image (C, H, W) are black or white in all bands, by value."""
    counts: Counter[int] = Counter()
    if image.dtype.kind == "f":
        return counts
    for value in (0, int(np.iinfo(image.dtype).max)):
        same = (image == value).all(axis=0)
        counts[value] = int(np.count_nonzero(same if hidden is None else same & ~hidden))
    return counts


def mask_problems(spec: DatasetSpec, file: Path) -> list[str]:
    """What is wrong with the values or colours of a mask on its own; [] if it cannot be read."""
    try:
        with ungeoreferenced(), open_file(file) as raster:
            reader = MaskReader(raster, spec, file)
            step = max(1, STRIP_PX // raster.width_px)
            for first in range(0, raster.height_px, step):
                reader.read(first, min(first + step, raster.height_px))
    except DataError:  # that it cannot be read, its header check has said
        return []
    return [] if reader.problem is None else [reader.problem]
