"""Decodes the files of one tile, strip by strip, and tells what it finds in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.access.decoding_errors import decoding
from trainables.data.access.gdal_options import gdal_options
from trainables.data.decoding.erosion import EROSION_RADIUS_PX, erode_borders
from trainables.data.decoding.masks import MaskReader
from trainables.data.decoding.raster import (
    ImageReader,
    open_file,
    open_part,
    ungeoreferenced,
)
from trainables.data.decoding.reduction import block_centers, reduce_image
from trainables.data.decoding.tile_layout import OpenParts, TileLayout, TilePart
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
    """What was found in the files of one image."""

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


@dataclass(frozen=True, kw_only=True)
class _Labels:
    """What the classes of one image are read from."""

    classes: MaskReader | BurntLabels
    image: ImageReader | None
    """The image, where it is asked which pixels it shows: another image may lie on the others."""


class TileDecoder:
    """Decodes one tile into its place."""

    def __init__(
        self,
        spec: DatasetSpec,
        layout: TileLayout,
        target: Tile,
        downsample: int,
        derive: bool,
        labels: LabelLayer | None = None,
    ) -> None:
        """Say what goes where.

        Args:
            spec: The data set.
            layout: The images of the tile.
            target: Writable arrays of the reduced size.
            downsample: Block size d in pixels.
            derive: Whether the eroded reference is made from the mask.
            labels: What labelled images without a mask have their classes from.
        """
        self._spec = spec
        self._labels = labels
        self._layout = layout
        self._target = target
        self._d = downsample
        self._derive = derive
        self._found = {
            part.header.files.name: TileFindings(
                image=part.header.files.image,
                num_px=part.header.height_px * part.header.width_px,
            )
            for part in layout.parts
        }
        num_planes = max(1, len(spec.bands) // _BANDS_OF_STRIP)
        rows = max(1, STRIP_PX // num_planes // layout.width_px // downsample)
        height = layout.height_px // downsample
        self._strips = [(top, min(top + rows, height)) for top in range(0, height, rows)]

    def decode(self) -> list[TileFindings]:
        """Fill the tile; what was found in each of its images."""
        eroded, is_labelled = self._target.eroded_mask, self._layout.is_labelled
        if is_labelled:
            self._fill(self._mask_of, self._target.mask, eroded if self._derive else None)
        else:
            self._target.mask[:] = IGNORE_INDEX
        if is_labelled and eroded is not None and not self._derive:
            self._fill(lambda part: part.header.files.eroded_mask, eroded, None)
        self._read_image()  # last: it hides pixels of the masks
        return [*self._found.values()]

    def _fill(
        self,
        file_of: Callable[[TilePart], Path | None],
        mask: NDArray[np.uint8],
        derived: NDArray[np.uint8] | None,
    ) -> None:
        """Reduce the classes of all parts, and derive the eroded reference of them."""
        halo, height_px = 0 if derived is None else EROSION_RADIUS_PX, self._layout.height_px

        @contextmanager
        def opened(part: TilePart) -> Iterator[_Labels]:
            header, file, image = part.header, file_of(part), None
            with ExitStack() as stack:
                if self._layout.overlaps and header.may_hide:
                    image = stack.enter_context(self._opened_image(part))
                if file is None:
                    assert self._labels is not None  # checked with the header, as is its place
                    assert header.place is not None
                    yield _Labels(classes=self._labels.on(header.place), image=image)
                    return
                raster = stack.enter_context(open_part(file, header.files.window))
                yield _Labels(classes=MaskReader(raster, self._spec, file), image=image)

        def finished(part: TilePart, labels: _Labels) -> None:
            reader = labels.classes
            if (file := file_of(part)) is None or not isinstance(reader, MaskReader):
                return
            found = self._found[part.header.files.name]
            found.problems.extend([] if reader.problem is None else [reader.problem])
            for index in reader.nodata_classes:
                found.nodata_classes.setdefault(index, file)
            if reader.num_others:
                found.others[file] = reader.num_others

        with gdal_options(), OpenParts(self._layout.parts, opened, finished, self._failed) as parts:
            for top, bottom in self._strips:
                first, last = top * self._d, bottom * self._d
                above, below = min(halo, first), min(halo, height_px - last)
                inner = slice(above, above + last - first)
                wide = self._classes(parts, first - above, last + below, (first, last), file_of)
                mask[top:bottom] = block_centers(wide[inner], self._d)
                if derived is not None:
                    derived[top:bottom] = block_centers(erode_borders(wide)[inner], self._d)

    def _classes(
        self,
        parts: OpenParts[_Labels],
        first: int,
        last: int,
        counted: tuple[int, int],
        file_of: Callable[[TilePart], Path | None],
    ) -> NDArray[np.uint8]:
        """Classes of rows of the tile (last - first, W), unknown where no part lies.

        Where parts overlap, one that shows nothing at a pixel says nothing of it: its mask may hold
        any class there, and the image is that of another.

        Args:
            parts: The parts.
            first: The first row.
            last: One past the last row.
            counted: The first row that no other strip has, and one past the last.
            file_of: The mask of a part, for messages.
        """

        def read(part: TilePart, labels: _Labels, begin: int, end: int) -> NDArray[np.uint8]:
            top = part.top_px + begin
            inner = slice(max(0, counted[0] - top), max(0, counted[1] - top))
            with decoding(file_of(part) or part.header.files.image):
                found = labels.classes.read(begin, end, inner)
            if labels.image is not None:
                with decoding(part.header.files.image):
                    hidden = labels.image.hidden(begin, end)
                if hidden is not None:
                    found = np.where(hidden, np.uint8(IGNORE_INDEX), found)
            return found

        classes = np.full((last - first, self._layout.width_px), IGNORE_INDEX, dtype=np.uint8)
        for part, rows, found in parts.read(first, last, read):
            place = classes[rows, part.columns]
            np.copyto(place, found, where=place == IGNORE_INDEX)
        return classes

    @staticmethod
    def _mask_of(part: TilePart) -> Path | None:
        return part.header.files.mask

    def _failed(self, part: TilePart, error: DataError) -> None:
        problems = self._found[part.header.files.name].problems
        if str(error) not in problems:  # an image may be opened twice
            problems.append(str(error))

    @contextmanager
    def _opened_image(self, part: TilePart) -> Iterator[ImageReader]:
        with open_part(part.header.files.image, part.header.files.window) as raster:
            yield ImageReader(raster, self._spec.bands, self._spec.nodata)

    def _read_image(self) -> None:
        target = self._target

        def finished(part: TilePart, reader: ImageReader) -> None:
            del part, reader

        opened = self._opened_image
        with gdal_options(), OpenParts(self._layout.parts, opened, finished, self._failed) as parts:
            for top, bottom in self._strips:
                image, hidden = self._image(parts, top * self._d, bottom * self._d)
                reduced, shown = reduce_image(image, hidden, self._d)
                target.image[:, top:bottom] = reduced
                if target.shown is not None:
                    target.shown[top:bottom] = True if shown is None else shown
                if hidden is not None:  # a class is what lies at the middle of a block
                    unknown = block_centers(hidden.view(np.uint8), self._d).astype(np.bool_)
                    target.mask[top:bottom][unknown] = IGNORE_INDEX
                    if target.eroded_mask is not None:
                        target.eroded_mask[top:bottom][unknown] = IGNORE_INDEX

    def _image(
        self, parts: OpenParts[ImageReader], first: int, last: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Values of rows of the tile (C, last - first, W), and which pixels show nothing.

        The latter (last - first, W) is None where all are shown.
        """

        def read(
            part: TilePart, reader: ImageReader, begin: int, end: int
        ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
            with decoding(part.header.files.image):
                values, hidden = reader.read(begin, end)
            found = self._found[part.header.files.name]
            found.placeholders.update(_placeholders(values))
            found.blank.update(_blank(values, hidden))
            return values, hidden

        found_rows = parts.read(first, last, read)
        size = last - first, self._layout.width_px
        if len(self._layout.parts) == 1:
            for _, _, whole in found_rows:
                return whole
        image = np.zeros((len(self._spec.bands), *size), dtype=self._layout.dtype)
        shown = np.zeros(size, dtype=np.bool_)
        for part, rows, (values, hidden) in found_rows:
            free = ~shown[rows, part.columns]
            if hidden is not None:
                free &= ~hidden
            np.copyto(image[:, rows, part.columns], values, where=free)
            shown[rows, part.columns] |= free
        has_failed = any(found.problems for found in self._found.values())
        return image, None if has_failed or shown.all() else ~shown


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
