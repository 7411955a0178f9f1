"""The tiles of one split, packed so that all trials of a node share one copy.

Pixels of all tiles lie one after the other: a patch is then one gather, whatever the sizes of
the tiles, and a tile is a view. The arrays lie in memory or, for more than the memory granted,
in files of a folder that are mapped: then the system reads what is asked for, when it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DataError

_MIB: Final = 2**20
DTYPES: Final = ("uint8", "uint16", "float32")
"""Types of images that are read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """One decoded tile; its arrays are read-only."""

    name: str
    image: NDArray[Any]
    """(C, H, W), bands in the order of `DatasetSpec.bands`, in the type of the file."""
    mask: NDArray[np.uint8]
    """(H, W), class index or IGNORE_INDEX."""
    eroded_mask: NDArray[np.uint8] | None = None
    """(H, W) as `mask`, with class borders IGNORE_INDEX; None where there is none."""
    shown: NDArray[np.bool_] | None = None
    """Which pixels show anything (H, W), the others being nodata; None for all."""


@dataclass(frozen=True, kw_only=True)
class TileSet:
    """Packed tiles; P is the number of pixels of all tiles together, T of tiles."""

    names: tuple[str, ...]
    shapes: NDArray[np.int64]
    """Height and width in pixels (T, 2)."""
    starts: NDArray[np.int64]
    """Index of each tile's first pixel, and P at the end (T + 1,)."""
    images: NDArray[Any]
    """Pixel values (C, P), in the type of the files; 0 where nothing is shown."""
    masks: NDArray[np.uint8]
    """Class index or `IGNORE_INDEX` (P,)."""
    eroded_masks: NDArray[np.uint8] | None
    """The same against the eroded reference (P,), where there is one."""
    shown: NDArray[np.bool_] | None = None
    """Which pixels show anything (P,); None for all."""
    checksum: str
    """SHA-256 over names, shapes and pixels."""
    folder: Path | None = None
    """Folder of the mapped files; None for arrays in memory."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(index) for index in range(len(self)))

    def __reduce__(self) -> Any:
        """Mapped files are handed to other processes by their folder, not by their content."""
        if self.folder is None:
            return _rebuild, ({field.name: getattr(self, field.name) for field in fields(self)},)
        return open_mapped, (self.folder, self.names, self.shapes, self.checksum)

    def tile(self, index: int) -> Tile:
        """One tile as views of the packed arrays."""
        pixels = slice(int(self.starts[index]), int(self.starts[index + 1]))
        height, width = (int(side) for side in self.shapes[index])
        eroded, shown = self.eroded_masks, self.shown
        return Tile(
            name=self.names[index],
            image=self.images[:, pixels].reshape(-1, height, width),
            mask=self.masks[pixels].reshape(height, width),
            eroded_mask=None if eroded is None else eroded[pixels].reshape(height, width),
            shown=None if shown is None else shown[pixels].reshape(height, width),
        )


def pack_tiles(tiles: Sequence[Tile]) -> TileSet:
    """Copy tiles into one packed, read-only set in memory.

    Raises:
        ValueError: If there is no tile.
    """
    if not tiles:
        raise ValueError("tiles must hold at least one tile, got none")
    # An eroded reference counts only when every tile has one: a mixture could not be pooled.
    has_eroded = all(tile.eroded_mask is not None for tile in tiles)
    packed = allocate_tiles(
        [tile.name for tile in tiles],
        [(tile.mask.shape[0], tile.mask.shape[1]) for tile in tiles],
        num_bands=len(tiles[0].image),
        dtype=tiles[0].image.dtype,
        has_eroded=has_eroded,
        has_hidden=any(tile.shown is not None for tile in tiles),
    )
    for index, tile in enumerate(tiles):
        target = packed.tile(index)
        target.image[:] = tile.image
        target.mask[:] = tile.mask
        if target.eroded_mask is not None and tile.eroded_mask is not None:
            target.eroded_mask[:] = tile.eroded_mask
        if target.shown is not None:
            target.shown[:] = True if tile.shown is None else tile.shown
    return seal_tiles(packed)


def allocate_tiles(
    names: Sequence[str],
    shapes: Sequence[tuple[int, int]],
    *,
    num_bands: int,
    dtype: np.dtype[Any],
    has_eroded: bool,
    has_hidden: bool,
    folder: Path | None = None,
) -> TileSet:
    """A set to be filled through the views of its tiles, and then sealed.

    Args:
        names: Names of the tiles (T).
        shapes: Height and width of each tile.
        num_bands: C.
        dtype: Type of the images.
        has_eroded: Whether there is an eroded reference.
        has_hidden: Whether pixels may be hidden.
        folder: Where to put the arrays as mapped files; None for memory.

    Raises:
        OSError: If the disk of the folder has no room for them.
    """
    sides = np.array(shapes, dtype=np.int64).reshape(-1, 2)
    starts = _starts(sides)
    num_px = int(starts[-1])
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        # Mapped files have holes: filled where the disk is full, they would end the process.
        num_bytes = num_px * (num_bands * dtype.itemsize + 1 + has_eroded + has_hidden)
        if num_bytes > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    def new(name: str, shape: tuple[int, ...], kind: Any) -> Any:
        if folder is None:
            return np.zeros(shape, kind)
        file = folder / f"{name}.npy"
        return np.lib.format.open_memmap(file, mode="w+", shape=shape, dtype=kind)

    return TileSet(
        names=tuple(names),
        shapes=sides,
        starts=starts,
        images=new("images", (num_bands, num_px), dtype),
        masks=new("masks", (num_px,), np.uint8),
        eroded_masks=new("eroded_masks", (num_px,), np.uint8) if has_eroded else None,
        shown=new("shown", (num_px,), np.bool_) if has_hidden else None,
        checksum="",
        folder=folder,
    )


def check_room(folder: Path, needed_mib: float) -> None:
    """Refuse tiles that are larger than the disk on which their mapped files would lie.

    Args:
        folder: Folder for the files; it need not exist.
        needed_mib: Size of the decoded tiles of all splits, MiB.

    Raises:
        DataError: If there is not as much free.
    """
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free_mib = shutil.disk_usage(there).free / _MIB
    if needed_mib > free_mib:
        raise DataError(
            f"decoded tiles of all splits must fit on the disk, got {math.ceil(needed_mib)} MiB "
            f"for {math.floor(free_mib)} MiB free in {there}; free space, choose another --output, "
            "reduce the tiles (downsample), or let more of the memory be taken (tile_memory_mib)"
        )


def seal_tiles(tiles: TileSet) -> TileSet:
    """The filled set with its checksum, read-only; mapped files are opened anew."""
    checksum = tiles_checksum(tiles)
    if tiles.folder is not None:
        for mapped in (tiles.images, tiles.masks, tiles.eroded_masks, tiles.shown):
            if isinstance(mapped, np.memmap):
                mapped.flush()
        return open_mapped(tiles.folder, tiles.names, tiles.shapes, checksum)
    hides = tiles.shown is not None and not tiles.shown.all()
    return _frozen(
        names=tiles.names,
        shapes=tiles.shapes,
        images=tiles.images,
        masks=tiles.masks,
        eroded_masks=tiles.eroded_masks,
        shown=tiles.shown if hides else None,
        checksum=checksum,
    )


def tiles_checksum(tiles: Iterable[Tile]) -> str:
    """SHA-256 (hex) of the names, shapes and pixels of tiles, whatever their order."""
    checksum = hashlib.sha256()
    for tile in sorted(tiles, key=lambda tile: tile.name):
        planes = [*tile.image, tile.mask]
        planes += [] if tile.eroded_mask is None else [tile.eroded_mask]
        if tile.shown is not None and not tile.shown.all():
            planes.append(tile.shown)
        layout = [tile.name, str(tile.image.dtype), *(plane.shape for plane in planes)]
        checksum.update(json.dumps(layout).encode())
        for plane in planes:
            checksum.update(np.ascontiguousarray(plane).data)
    return checksum.hexdigest()


def _rebuild(arrays: dict[str, Any]) -> TileSet:
    return TileSet(**arrays)


def open_mapped(
    folder: Path, names: tuple[str, ...], shapes: NDArray[np.int64], checksum: str
) -> TileSet:
    """Map the files that a set was written to, read-only.

    Args:
        folder: Folder of the files.
        names: Names of the tiles (T).
        shapes: Height and width in pixels (T, 2).
        checksum: Checksum of the set; it is not compared.
    """
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("images", "masks", "eroded_masks", "shown")
        if (folder / f"{name}.npy").exists()
    }
    return _frozen(
        names=names,
        shapes=shapes,
        images=arrays["images"],
        masks=arrays["masks"],
        eroded_masks=arrays.get("eroded_masks"),
        shown=arrays.get("shown"),
        checksum=checksum,
        folder=folder,
    )


def _frozen(*, shapes: NDArray[np.int64], **content: Any) -> TileSet:
    tiles = TileSet(shapes=shapes, starts=_starts(shapes), **content)
    for array in vars(tiles).values():
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return tiles


def _starts(shapes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(shapes.prod(axis=1))]).astype(np.int64)
