"""The ISPRS Vaihingen and Potsdam benchmarks, recognised as downloaded and unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Final

from trainables.data.layouts.file_names import shown
from trainables.data.layouts.spec import ClassSpec, DatasetSpec, TileFiles
from trainables.errors import DataError

CLASSES: Final = (
    ClassSpec(name="impervious_surfaces", color=(255, 255, 255)),
    ClassSpec(name="building", color=(0, 0, 255)),
    ClassSpec(name="low_vegetation", color=(0, 255, 255)),
    ClassSpec(name="tree", color=(0, 255, 0)),
    ClassSpec(name="car", color=(255, 255, 0)),
    ClassSpec(name="clutter", color=(255, 0, 0)),
)

_COMPOSITES: Final = {
    "RGB": ("red", "green", "blue"),
    "IRRG": ("near_infrared", "red", "green"),
    "RGBIR": ("red", "green", "blue", "near_infrared"),
}


_IMAGES: Final = "top"
"""Folder of Vaihingen's images, which are named as their references are."""


@dataclass(frozen=True, kw_only=True)
class _Benchmark:
    """How one benchmark names and splits its tiles; patterns capture the tile in group 1."""

    name: str
    image: str
    mask: str
    eroded_mask: str
    gsd_m: float
    mask_color_tolerance: int
    splits: Mapping[str, str]
    """Tile names of each split, separated by spaces."""


_VAIHINGEN: Final = _Benchmark(
    name="vaihingen",
    image=r"top_mosaic_09cm_(area\d+)\.(?i:tif)",
    mask=r"top_mosaic_09cm_(area\d+)\.(?i:tif)",
    eroded_mask=r"top_mosaic_09cm_(area\d+)_noBoundary\.(?i:tif)",
    gsd_m=0.09,
    mask_color_tolerance=0,
    splits={
        "train": "area1 area3 area5 area7 area11 area13 area21 area23 area26 area28 area30 area32 "
        "area34 area37",
        "val": "area15 area17",
        "test": "area2 area4 area6 area8 area10 area12 area14 area16 area20 area22 area24 area27 "
        "area29 area31 area33 area35 area38",
    },
)

_POTSDAM: Final = _Benchmark(
    name="potsdam",
    image=r"top_potsdam_(\d+_\d+)_(RGB|IRRG|RGBIR)\.(?i:tif)",
    mask=r"top_potsdam_(\d+_\d+)_label\.(?i:tif)",
    eroded_mask=r"top_potsdam_(\d+_\d+)_label_noBoundary\.(?i:tif)",
    gsd_m=0.05,
    # Two references are distributed with impure colours: 6_7 has cars in (252, 255, 0), 4_12
    # was compressed with loss. Others measured no channel within 40 of the middle, so 80 keeps
    # clear of it on both sides, and whatever lies between is still refused.
    mask_color_tolerance=80,
    splits={
        "train": "2_10 2_11 3_10 3_11 3_12 4_10 4_11 5_10 5_11 5_12 6_7 6_8 6_9 6_10 6_11 7_7 7_8 "
        "7_9 7_10 7_11 7_12",
        "val": "2_12 4_12 6_12",
        "test": "2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13",
    },
)


def load_isprs(folder: Path) -> DatasetSpec | None:
    """The ISPRS benchmark that lies anywhere below a folder.

    Args:
        folder: Where the archives were unpacked.

    Returns:
        The data set, its published split restricted to the tiles that are there; None if no
        file below the folder has a name of either benchmark.

    Raises:
        DataError: If both benchmarks lie there, a split would be empty, or files are missing
            or ambiguous.
    """
    files = _files_below(folder)
    present = [
        benchmark
        for benchmark in (_VAIHINGEN, _POTSDAM)
        if any(_is_named(file, benchmark.image, benchmark.mask) for file in files)
    ]
    if not present:
        return None
    if len(present) > 1:
        raise DataError(
            f"data must be one ISPRS benchmark, got Vaihingen and Potsdam in {folder}; "
            "give the folder of one of them"
        )
    benchmark = present[0]
    bands, images = _images(benchmark, folder, files)
    masks = _unique(
        benchmark.mask, folder, [f for f in files if f.parent.name != _IMAGES], images.keys()
    )
    eroded_masks = _unique(benchmark.eroded_mask, folder, files, images.keys())
    if missing := [image.name for tile, image in images.items() if tile not in masks]:
        raise DataError(
            f"references must exist for every image, got none for {', '.join(missing[:10])}"
            f"{f' and {len(missing) - 10} more' if len(missing) > 10 else ''} in {folder}; unpack "
            "the complete reference there, or take these images out"
        )
    return DatasetSpec(
        name=benchmark.name,
        bands=bands,
        classes=CLASSES,
        ignore_colors=((0, 0, 0),),
        exclude_from_mean=("clutter",),
        gsd_m=benchmark.gsd_m,
        mask_color_tolerance=benchmark.mask_color_tolerance,
        splits={
            split: tuple(
                TileFiles(
                    name=tile,
                    image=images[tile],
                    mask=masks[tile],
                    eroded_mask=eroded_masks.get(tile),
                )
                for tile in names
            )
            for split, names in _splits(benchmark, folder, images.keys()).items()
        },
    )


def _files_below(folder: Path) -> list[Path]:
    """Every file of a benchmark's kind of name, sorted; folders behind links count too.

    A folder that is reached in several ways is looked into once: as `top` where one of them is
    named so, and rather by itself than behind a link.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting = [(0, folder)]
    while waiting:
        _, current = heappop(waiting)
        found = current.stat()
        if (found.st_dev, found.st_ino) in seen:
            continue
        seen.add((found.st_dev, found.st_ino))
        try:
            inside = list(current.iterdir())
        except PermissionError:  # such as lost+found of a disk
            continue
        for path in inside:
            if path.is_dir():
                rank = 0 if path.name == _IMAGES else 2 if path.is_symlink() else 1
                heappush(waiting, (rank, path))
            elif re.fullmatch(r"top_.*\.(?i:tif)", path.name):
                files.append(path)
    return sorted(files)


def _is_named(file: Path, *patterns: str) -> bool:
    return any(re.fullmatch(pattern, file.name) for pattern in patterns)


def _images(
    benchmark: _Benchmark, folder: Path, files: list[Path]
) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Band names, and the image of each tile: Potsdam's most complete composite."""
    if benchmark is _VAIHINGEN:
        images = [f for f in files if f.parent.name == _IMAGES and _is_named(f, benchmark.image)]
        bands, rule = _COMPOSITES["IRRG"], "top/top_mosaic_09cm_area{N}.tif"
    else:
        found = [(f, m[2]) for f in files if (m := re.fullmatch(benchmark.image, f.name))]
        of_composite = {key: [f for f, kind in found if kind == key] for key in _COMPOSITES}
        composite = max(of_composite, key=lambda key: len(of_composite[key]))
        images, bands = of_composite[composite], _COMPOSITES[composite]
        rule = "top_potsdam_{i}_{j}_RGB.tif"
    if not images:
        raise DataError(
            f"images must be named {rule}, got references only in {folder}; unpack the images there"
        )
    return bands, _unique(benchmark.image, folder, images)


def _unique(
    pattern: str, folder: Path, files: list[Path], tiles: Iterable[str] | None = None
) -> dict[str, Path]:
    """The file of each tile; where a name occurs twice, the one of the complete reference."""
    candidates: dict[str, list[Path]] = {}
    for file in files:
        match = re.fullmatch(pattern, file.name)
        if match and (tiles is None or match[1] in tiles):
            candidates.setdefault(match[1], []).append(file)
    unique = {}
    for tile, of_tile in candidates.items():
        complete = [
            file
            for file in of_tile
            if re.search("complete|labels_all", str(file.parent.relative_to(folder)).lower())
        ]
        chosen = of_tile if len(of_tile) == 1 else complete
        if len(chosen) != 1:
            names = " and ".join(shown(str(file.relative_to(folder))) for file in of_tile)
            raise DataError(f"files must be there once, got {names} in {folder}; remove one")
        unique[tile] = chosen[0]
    return unique


def _splits(benchmark: _Benchmark, folder: Path, tiles: Iterable[str]) -> dict[str, list[str]]:
    """The published split, restricted to the tiles that are there."""
    published = {split: names.split() for split, names in benchmark.splits.items()}
    every_tile = {tile for names in published.values() for tile in names}
    if unknown := sorted(set(tiles) - every_tile):
        raise DataError(
            f"tiles must be of the {benchmark.name} benchmark, got {', '.join(unknown)} in "
            f"{folder}; take them out, or write a dataset.yaml with a split of your own"
        )
    splits = {split: [t for t in names if t in set(tiles)] for split, names in published.items()}
    if empty := [split for split, names in splits.items() if not names]:
        needed = "; ".join(f"{split} needs one of {benchmark.splits[split]}" for split in empty)
        raise DataError(
            f"splits must hold at least one tile each, got none for {', '.join(empty)} in "
            f"{folder}; {needed}"
        )
    return splits
