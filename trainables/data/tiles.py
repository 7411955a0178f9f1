"""Decodes the tiles of a data set: images in the type of their files, masks of class indices."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.windows import Window

from trainables.data.erosion import EROSION_RADIUS_PX, erode_borders
from trainables.data.inspection import TileHeader, inspect_dataset
from trainables.data.masks import Colormap, UnknownCodes, decode_mask
from trainables.data.raster import ImageReader, block_centers, open_file, reduce_image
from trainables.data.spec import IGNORE_INDEX, SPLITS, DatasetSpec
from trainables.data.tileset import Tile, TileSet, allocate_tiles, check_room, seal_tiles
from trainables.errors import DataError

_MAX_PROBLEMS_SHOWN: Final = 20
_STRIP_PX: Final = 2**23
"""Pixels of a file that are decoded at a time."""


@dataclass(frozen=True, kw_only=True)
class DecodedDataset:
    """All tiles of a data set."""

    tiles: Mapping[str, TileSet]
    """By split; the test tiles alone have an eroded reference."""
    eroded_from: str
    """Where the eroded reference comes from: `files`, or `full reference`."""


def read_dataset(
    spec: DatasetSpec,
    *,
    downsample: int = 1,
    num_threads: int = 2,
    memory_mib: float = float("inf"),
    folder: Path | None = None,
) -> DecodedDataset:
    """Checks and decodes every tile of every split.

    Args:
        spec: The data set.
        downsample: Block size d in pixels. Images become means over the shown pixels of a block
            (whole numbers rounded half up), masks the pixel (d // 2, d // 2) of each block; rows
            and columns that fill no block drop.
        num_threads: Threads that decode.
        memory_mib: Memory granted; tiles that take more are decoded into files below `folder`,
            from which windows are read.
        folder: Where these files go; None for memory, whatever it takes.

    Raises:
        DataError: If any file cannot be used; one line with the problems of all tiles. If the
            decoded tiles would not fit on the disk; nothing has been decoded then.
        ValueError: If downsample or num_threads is out of its range.
    """
    for name, value in (("downsample", downsample), ("num_threads", num_threads)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value!r}")
    inspected = inspect_dataset(spec, downsample=downsample, num_threads=num_threads)
    problems = list(inspected.problems)
    if sum(map(len, inspected.headers.values())) == 0:
        raise DataError(_joined(problems))
    needed_mib = decoded_mib(spec, inspected.headers, downsample)
    is_large = needed_mib > memory_mib
    if is_large and folder is not None:
        check_room(folder, needed_mib)
    tiles = {}
    for split in SPLITS:
        headers = list(inspected.headers[split].values())
        if not headers:
            continue
        target = _allocate(spec, split, headers, downsample, folder if is_large else None)
        problems += _decode(spec, headers, target, downsample, num_threads)
        tiles[split] = target
    # A tile whose image cannot be used may have a wrong mask besides.
    for split, of_split in spec.splits.items():
        unsound = [files for files in of_split if files.name not in inspected.headers[split]]
        problems += [found for files in unsound for found in _mask_problems(spec, files.mask)]
    is_whole = not problems
    problems += _label_problems(spec, tiles, is_whole)
    if problems:
        raise DataError(_joined(problems))
    has_files = all(files.eroded_mask is not None for files in spec.splits["test"])
    return DecodedDataset(
        tiles={split: seal_tiles(target) for split, target in tiles.items()},
        eroded_from="files" if has_files else "full reference",
    )


def decoded_mib(
    spec: DatasetSpec, headers: Mapping[str, Mapping[str, TileHeader]], downsample: int
) -> float:
    """Size of the decoded tiles of all splits, MiB."""
    total = 0
    for split, of_split in headers.items():
        may_hide = any(header.may_hide for header in of_split.values())
        for header in of_split.values():
            pixels = (header.height_px // downsample) * (header.width_px // downsample)
            planes = len(spec.bands) * np.dtype(header.dtype).itemsize + 1
            total += pixels * (planes + (split == "test") + may_hide)
    return total / 2**20


def _allocate(
    spec: DatasetSpec,
    split: str,
    headers: Sequence[TileHeader],
    downsample: int,
    folder: Path | None,
) -> TileSet:
    return allocate_tiles(
        [header.files.name for header in headers],
        [(one.height_px // downsample, one.width_px // downsample) for one in headers],
        num_bands=len(spec.bands),
        dtype=np.dtype(headers[0].dtype),
        has_eroded=split == "test",
        has_hidden=any(header.may_hide for header in headers),
        folder=None if folder is None else folder / split,
    )


def _decode(
    spec: DatasetSpec,
    headers: Sequence[TileHeader],
    target: TileSet,
    downsample: int,
    num_threads: int,
) -> list[str]:
    """Fill the tiles of a split; returns what is wrong with their content."""
    # A mixture of given and derived references could not be pooled.
    derive = not all(header.files.eroded_mask is not None for header in headers)

    def decode(index: int) -> list[str]:
        return _TileDecoder(spec, headers[index], target.tile(index), downsample, derive).decode()

    with _ungeoreferenced(), ThreadPoolExecutor(num_threads) as pool:
        return [problem for found in pool.map(decode, range(len(headers))) for problem in found]


class _TileDecoder:
    """Decodes one tile into its place, strip by strip."""

    def __init__(
        self, spec: DatasetSpec, header: TileHeader, target: Tile, downsample: int, derive: bool
    ) -> None:
        self._spec = spec
        self._header = header
        self._target = target
        self._d = downsample
        self._derive = derive
        rows = max(1, _STRIP_PX // header.width_px // downsample)
        height = header.height_px // downsample
        self._strips = [(top, min(top + rows, height)) for top in range(0, height, rows)]

    def decode(self) -> list[str]:
        """Fill the tile; returns what is wrong with its files."""
        files, eroded = self._header.files, self._target.eroded_mask
        masks = [(files.mask, self._target.mask, eroded if self._derive else None)]
        if files.eroded_mask is not None and eroded is not None and not self._derive:
            masks.append((files.eroded_mask, eroded, None))
        problems = []
        for file, mask, derived in masks:
            try:
                problems += self._read_mask(file, mask, derived)
            except DataError as error:
                problems.append(str(error))
        try:
            self._read_image(files.image)  # last: it hides pixels of the masks
        except DataError as error:
            problems.append(str(error))
        return problems

    def _read_mask(
        self, file: Path, mask: NDArray[np.uint8], derived: NDArray[np.uint8] | None
    ) -> list[str]:
        """Decode a mask file, and derive the eroded reference of it where that is asked for."""
        halo = 0 if derived is None else EROSION_RADIUS_PX
        with open_file(file) as source:
            unknown = UnknownCodes(spec=self._spec, file=file)
            colormap = _colormap(source)
            for top, bottom in self._strips:
                first, last = top * self._d, bottom * self._d
                above, below = min(halo, first), min(halo, source.height - last)
                rows = Window(0, first - above, source.width, last - first + above + below)
                inner = slice(above, above + last - first)
                bands = source.read(window=rows)
                wide = decode_mask(bands, colormap, unknown, first - above, inner)
                mask[top:bottom] = block_centers(wide[inner], self._d)
                if derived is not None:
                    derived[top:bottom] = block_centers(erode_borders(wide)[inner], self._d)
        return [] if unknown.problem is None else [unknown.problem]

    def _read_image(self, file: Path) -> None:
        target = self._target
        with open_file(file) as source:
            reader = ImageReader(source, self._spec.bands)
            for top, bottom in self._strips:
                image, hidden = reader.read(top * self._d, bottom * self._d)
                reduced, shown = reduce_image(image, hidden, self._d)
                target.image[:, top:bottom] = reduced
                if target.shown is not None:
                    target.shown[top:bottom] = True if shown is None else shown
                if hidden is not None:  # a class is what lies at the middle of a block
                    unknown = block_centers(hidden.view(np.uint8), self._d).astype(np.bool_)
                    target.mask[top:bottom][unknown] = IGNORE_INDEX
                    if target.eroded_mask is not None:
                        target.eroded_mask[top:bottom][unknown] = IGNORE_INDEX


def _mask_problems(spec: DatasetSpec, file: Path) -> list[str]:
    """What is wrong with the values or colours of a mask on its own; [] if it cannot be read."""
    unknown = UnknownCodes(spec=spec, file=file)
    try:
        with _ungeoreferenced(), open_file(file) as source:
            step = max(1, _STRIP_PX // source.width)
            for first in range(0, source.height, step):
                rows = Window(0, first, source.width, min(step, source.height - first))
                decode_mask(source.read(window=rows), _colormap(source), unknown, first)
    except DataError:  # that it cannot be read, its header check has said
        return []
    return [] if unknown.problem is None else [unknown.problem]


@contextmanager
def _ungeoreferenced() -> Iterator[None]:
    """Tiles need no georeference; filters belong to the process, so not to be set in threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _colormap(source: DatasetReader) -> Colormap | None:
    """The palette of a mask, RGBA by value; None without one."""
    if source.colorinterp[0] != ColorInterp.palette:
        return None
    palette: Colormap = source.colormap(1)
    return palette


def _label_problems(
    spec: DatasetSpec, tiles: Mapping[str, TileSet], is_whole: bool
) -> Iterator[str]:
    """Splits without labels, and classes that no training tile holds."""
    for split, of_split in tiles.items():
        counts = class_counts(of_split.masks, len(spec.classes))
        if not counts.any():
            names = ", ".join(of_split.names)
            yield f"{split} tiles must hold labelled pixels, got none in {names}"
        elif split == "train" and is_whole and not counts.all():
            absent = [one.name for one, n in zip(spec.classes, counts, strict=True) if not n]
            yield (
                f"classes must occur in the training tiles, got none of {', '.join(absent)} in "
                f"{len(of_split)} tiles; take them out of classes, or change the splits"
            )


def class_counts(masks: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Pixels of each class (K,), int64, of packed masks (P,); bounded memory."""
    counts = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
    for first in range(0, masks.size, _STRIP_PX):
        counts += np.bincount(masks[first : first + _STRIP_PX], minlength=IGNORE_INDEX + 1)
    return counts[:num_classes]


def _joined(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_PROBLEMS_SHOWN
    shown = "; ".join(problems[:_MAX_PROBLEMS_SHOWN])
    return f"{shown}; and {more} more" if more > 0 else shown
