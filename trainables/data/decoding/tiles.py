"""Decodes the tiles of a data set: images in the type of their files, masks of class indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.access.remote_files import with_addresses
from trainables.data.decoding.inspection import inspect_dataset
from trainables.data.decoding.raster import ungeoreferenced
from trainables.data.decoding.tile_decoder import STRIP_PX, TileDecoder, TileFindings, mask_problems
from trainables.data.decoding.tile_layout import TileLayout, tile_layouts
from trainables.data.decoding.vector_labels import LabelLayer
from trainables.data.layouts.spec import IGNORE_INDEX, SPLITS, DatasetSpec
from trainables.data.tilesets.tileset import TileSet, allocate_tiles, check_room, seal_tiles
from trainables.errors import DataError, problems_text

_BLANK_SHARE: Final = 0.05
"""Share of a tile in one extreme value of all bands from which a line says so: the edge of a flight
looks so, and hardly any scene."""


@dataclass(frozen=True, kw_only=True)
class DecodedDataset:
    """All tiles of a data set."""

    tiles: Mapping[str, TileSet]
    """Tiles by split; the test tiles alone have an eroded reference."""
    eroded_from: str
    """Source of the eroded reference: `files`, or `full reference`."""
    notes: tuple[str, ...] = ()
    """What a person should know although nothing is wrong, a line each."""
    unlabelled: frozenset[str] = frozenset()
    """Names of the training tiles that nobody annotated."""


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
        DataError: If any file cannot be used, with the problems of all tiles, one a line. If the
            decoded tiles would not fit on the disk; nothing has been decoded then.
        ValueError: If downsample or num_threads is out of its range.
    """
    for name, value in (("downsample", downsample), ("num_threads", num_threads)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value!r}")
    inspected = inspect_dataset(spec, downsample=downsample, num_threads=num_threads)
    problems, findings = list(inspected.problems), []
    if sum(map(len, inspected.headers.values())) == 0:
        raise DataError(problems_text([*map(with_addresses, problems)]))
    taken = {files.name for of_split in spec.splits.values() for files in of_split}
    layouts = {
        split: tile_layouts([*of_split.values()], join=spec.join, taken=taken)
        for split, of_split in inspected.headers.items()
    }
    needed_mib = decoded_mib(spec, layouts, downsample)
    is_large = needed_mib > memory_mib
    if is_large and folder is not None:
        check_room(folder, needed_mib)
    tiles = {}
    for split in SPLITS:
        if not layouts[split]:
            continue
        target = _allocate(spec, split, layouts[split], downsample, folder if is_large else None)
        findings += _decode(spec, layouts[split], target, downsample, num_threads, inspected.labels)
        tiles[split] = target
    problems += [problem for one in findings for problem in one.problems]
    # A tile whose image cannot be used may have a wrong mask besides.
    for split, of_split in spec.splits.items():
        unsound = [files for files in of_split if files.name not in inspected.headers[split]]
        masks = [files.mask for files in unsound if files.mask is not None]
        problems += [found for mask in masks for found in mask_problems(spec, mask)]
    is_whole = not problems
    problems += _label_problems(spec, tiles, is_whole)
    if problems:
        raise DataError(problems_text([*map(with_addresses, problems)]))
    notes = [*inspected.notes, *_join_notes(spec, layouts), *_notes(spec, findings)]
    has_files = all(files.eroded_mask is not None for files in spec.splits["test"])
    return DecodedDataset(
        tiles={split: seal_tiles(target) for split, target in tiles.items()},
        eroded_from="files" if has_files else "full reference",
        notes=tuple(map(with_addresses, notes)),
        unlabelled=frozenset(one.name for one in layouts["train"] if not one.is_labelled),
    )


def decoded_mib(
    spec: DatasetSpec, layouts: Mapping[str, Sequence[TileLayout]], downsample: int
) -> float:
    """Size of the decoded tiles of all splits, MiB."""
    total = 0
    for split, of_split in layouts.items():
        may_hide = any(layout.may_hide for layout in of_split)
        for layout in of_split:
            pixels = (layout.height_px // downsample) * (layout.width_px // downsample)
            planes = len(spec.bands) * np.dtype(layout.dtype).itemsize + 1
            total += pixels * (planes + (split == "test") + may_hide)
    return total / 2**20


def _allocate(
    spec: DatasetSpec,
    split: str,
    layouts: Sequence[TileLayout],
    downsample: int,
    folder: Path | None,
) -> TileSet:
    return allocate_tiles(
        [layout.name for layout in layouts],
        [(one.height_px // downsample, one.width_px // downsample) for one in layouts],
        num_bands=len(spec.bands),
        dtype=np.dtype(layouts[0].dtype),
        has_eroded=split == "test",
        has_hidden=any(layout.may_hide for layout in layouts),
        folder=None if folder is None else folder / split,
    )


def _decode(
    spec: DatasetSpec,
    layouts: Sequence[TileLayout],
    target: TileSet,
    downsample: int,
    num_threads: int,
    labels: LabelLayer | None,
) -> list[TileFindings]:
    """Fill the tiles of a split."""
    files = [part.header.files for layout in layouts for part in layout.parts]
    if labels is None and any(one.is_labelled and one.mask is None for one in files):
        return []  # why there are no labels is among the problems of the inspection
    # A mixture of given and derived references could not be pooled.
    derive = not all(one.eroded_mask is not None for one in files)

    def decode(index: int) -> list[TileFindings]:
        tile = target.tile(index)
        return TileDecoder(spec, layouts[index], tile, downsample, derive, labels).decode()

    with ungeoreferenced(), ThreadPoolExecutor(num_threads) as pool:
        return [one for of_tile in pool.map(decode, range(len(layouts))) for one in of_tile]


def _join_notes(spec: DatasetSpec, layouts: Mapping[str, Sequence[TileLayout]]) -> Iterator[str]:
    """How many images were joined, if that was asked for."""
    if not spec.join:
        return
    counts = ", ".join(
        f"{split} {sum(len(one.parts) for one in of_split)} as {len(of_split)}"
        for split, of_split in layouts.items()
    )
    yield (
        "images that touch are read as one tile (join: true), which counts once wherever tiles are "
        f"counted: {counts}"
    )


def _notes(spec: DatasetSpec, findings: Sequence[TileFindings]) -> Iterator[str]:
    """What is odd about the content of the tiles, a line each."""
    if spec.unlabelled:
        what = "images" if spec.join else "tiles"
        yield (
            f"{len(spec.unlabelled)} of {len(spec.splits['train'])} training {what} have no "
            "annotations: methods that use such imagery learn from them, and nothing is scored on "
            "them"
        )
    if hidden := sorted({index for one in findings for index in one.nodata_classes}):
        names = ", ".join(spec.classes[index].name for index in hidden)
        files = [next(iter(one.nodata_classes.values())) for one in findings if one.nodata_classes]
        yield (
            f"masks of {len(files)} tiles call nodata what dataset.yaml calls {names}, first "
            f"{files[0]}: those pixels count as that class; if they are unknown, take the class out"
        )
    others = {file: count for one in findings for file, count in one.others.items()}
    if others:
        yield (
            f"{sum(others.values())} pixels of {len(others)} masks are of no class and count as "
            f"unknown (other: ignore), first in {next(iter(others))}"
        )
    yield from _blank_notes(findings)
    placeholders: Counter[tuple[int, float]] = Counter()
    for one in findings:
        placeholders.update(one.placeholders)
    for (band, value), count in sorted(placeholders.items()):
        file = next(one.image for one in findings if (band, value) in one.placeholders)
        yield (
            f"band {spec.bands[band]} holds {value:.10g} in {count} pixels, first in {file}, and "
            "the file does not call that nodata: they are learnt as values; if they mean no data, "
            f"add nodata: {value:.10g} to dataset.yaml"
        )


def _blank_notes(findings: Sequence[TileFindings]) -> Iterator[str]:
    """Tiles that are black or white in part, which nobody calls nodata."""
    for value in sorted({value for one in findings for value in one.blank}):
        found = [one for one in findings if one.blank[value] > _BLANK_SHARE * one.num_px]
        if found:
            most = max(found, key=lambda one: one.blank[value] / one.num_px)
            yield (
                f"{value} in all bands fills more than {_BLANK_SHARE:.0%} of {len(found)} of "
                f"{len(findings)} images (most in {most.image}: "
                f"{most.blank[value] / most.num_px:.0%}), and no file calls that nodata: it is "
                f"learnt as imagery; if it means no data, add nodata: {value} to "
                "dataset.yaml"
            )


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
    for first in range(0, masks.size, STRIP_PX):
        counts += np.bincount(masks[first : first + STRIP_PX], minlength=IGNORE_INDEX + 1)
    return counts[:num_classes]
