"""Which tiles of a set, and which of their files, are not what they were."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from contract.wording import listed
from trainables.data.layouts.spec import TileFiles
from trainables.data.tilesets.tileset import Tile

_MOST_SHOWN: Final = 20


def tile_checksums(tiles: Iterable[Tile]) -> dict[str, list[str]]:
    """Checksums of image and labels of each tile, by its name.

    They say which file changed, once `TileSet.checksum` says that one has.
    """
    return {tile.name: _checksums(tile) for tile in tiles}


def changed_files(
    tiles: Iterable[Tile],
    files: Sequence[TileFiles],
    names: Sequence[str],
    before: Mapping[str, Sequence[str]] | None,
) -> str:
    """What is new, gone or changed, such as `a is new and images/b.tif changed`.

    Args:
        tiles: As they are now.
        files: Of these tiles.
        names: Of the tiles that there were.
        before: As from `tile_checksums`; None where only names are on record.

    Returns:
        "" where the record does not tell.
    """
    of_tile = {one.name: one for one in files}
    said = [f"{name} is no longer there" for name in sorted(set(names) - of_tile.keys())]
    for tile in tiles:
        if tile.name not in names:
            said.append(f"{tile.name} is new")
        elif before is not None:
            said += _changes(of_tile[tile.name], before[tile.name], _checksums(tile))
    if len(said) > _MOST_SHOWN:
        said = [*said[:_MOST_SHOWN], f"{len(said) - _MOST_SHOWN} more"]
    return listed(said) if said else ""


def _changes(files: TileFiles, before: Sequence[str], now: Sequence[str]) -> list[str]:
    image, labels = (old != new for old, new in zip(before, now, strict=True))
    of_labels = [str(one) for one in (files.mask, files.eroded_mask) if one is not None]
    said = [f"{files.image} changed"] if image else []
    if labels:
        said.append(f"{' or '.join(of_labels) or f'the labels of {files.name}'} changed")
    return said


def _checksums(tile: Tile) -> list[str]:
    """CRC-32 of what an image shows and of its labels, as hex digits."""
    image = _crc(str(tile.image.dtype), *tile.image, tile.shown)
    return [image, _crc("labels", tile.mask, tile.eroded_mask)]


def _crc(begin: str, *planes: Any) -> str:
    value = zlib.crc32(begin.encode())
    for plane in planes:
        if plane is not None:
            value = zlib.crc32(str(plane.shape).encode(), value)
            value = zlib.crc32(np.ascontiguousarray(plane).data, value)
    return f"{value:08x}"
