"""The tiles of one split, packed so that all trials of a node share one copy.

Pixels of all tiles lie one after the other: a patch is then one gather, whatever the sizes of
the tiles, and a tile is a view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.data.tiles import Tile, tiles_checksum


@dataclass(frozen=True, kw_only=True)
class TileSet:
    """Packed tiles; P is the number of pixels of all tiles together, T of tiles."""

    names: tuple[str, ...]
    shapes: NDArray[np.int64]
    """Height and width in pixels (T, 2)."""
    starts: NDArray[np.int64]
    """Index of each tile's first pixel, and P at the end (T + 1,)."""
    images: NDArray[np.uint8]
    """Pixel values (C, P)."""
    masks: NDArray[np.uint8]
    """Class index or `IGNORE_INDEX` (P,)."""
    eroded_masks: NDArray[np.uint8] | None
    """The same against the eroded reference (P,), where there is one."""
    checksum: str
    """SHA-256 over names, shapes and pixels."""

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(index) for index in range(len(self)))

    def tile(self, index: int) -> Tile:
        """One tile as views of the packed arrays: image (C, H, W), masks (H, W)."""
        pixels = slice(int(self.starts[index]), int(self.starts[index + 1]))
        height, width = (int(side) for side in self.shapes[index])
        eroded = self.eroded_masks
        return Tile(
            name=self.names[index],
            image=self.images[:, pixels].reshape(-1, height, width),
            mask=self.masks[pixels].reshape(height, width),
            eroded_mask=None if eroded is None else eroded[pixels].reshape(height, width),
        )


def pack_tiles(tiles: Sequence[Tile]) -> TileSet:
    """Copy tiles into one packed, read-only set.

    Raises:
        ValueError: If there is no tile.
    """
    if not tiles:
        raise ValueError("tiles must hold at least one tile, got none")
    shapes = np.array([tile.mask.shape for tile in tiles], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))]).astype(np.int64)
    # An eroded reference counts only when every tile has one: a mixture could not be pooled.
    eroded = [tile.eroded_mask for tile in tiles if tile.eroded_mask is not None]
    packed = TileSet(
        names=tuple(tile.name for tile in tiles),
        shapes=shapes,
        starts=starts,
        images=np.concatenate([t.image.reshape(t.image.shape[0], -1) for t in tiles], axis=1),
        masks=np.concatenate([tile.mask.reshape(-1) for tile in tiles]),
        eroded_masks=(
            np.concatenate([mask.reshape(-1) for mask in eroded])
            if len(eroded) == len(tiles)
            else None
        ),
        checksum=tiles_checksum(tiles),
    )
    for array in (packed.shapes, packed.starts, packed.images, packed.masks, packed.eroded_masks):
        if array is not None:
            array.setflags(write=False)
    return packed
