"""Pictures of whole test tiles: class maps without loss, images and reconstructions as JPEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contract.names import file_stem
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.data.tilesets.tileset import Tile, TileSet
from trainables.evaluation.inference import as_bytes
from trainables.storage.atomic_files import remove_partials, write_atomically

MAX_TILE_PX: Final = 80_000_000
"""A larger tile has no maps: readers of images refuse such pictures as attacks."""
MAX_SIDE_PX: Final = 65_500
"""No side of a JPEG can be longer."""
MAX_TOTAL_PX: Final = 2**29
"""Limit for all maps of a trial together, which keeps disk and artifact store bounded."""

_COMPRESSION: Final = 4
"""Level of zlib that takes half the time of its default and a twentieth more bytes."""
_IMAGE_QUALITY: Final = 92
_RECONSTRUCTION_QUALITY: Final = 90


def tiles_with_maps(tiles: TileSet) -> tuple[int, ...]:
    """Indices of the tiles that are small enough for maps, in order, up to MAX_TOTAL_PX."""
    chosen, total = [], 0
    for index, (height, width) in enumerate(tiles.shapes.tolist()):
        fits = height * width <= MAX_TILE_PX and max(height, width) <= MAX_SIDE_PX
        if fits and total + height * width <= MAX_TOTAL_PX:
            chosen.append(index)
            total += height * width
    return tuple(chosen)


class TileMaps:
    """Takes the predictions of a trial, tile by tile, and writes them."""

    def __init__(
        self,
        folder: Path,
        tiles: TileSet,
        colors: Sequence[tuple[int, int, int]],
        *,
        reconstructs: bool,
    ) -> None:
        """Clear away what an earlier process left half written.

        Args:
            folder: Where the files go.
            tiles: The test tiles.
            colors: RGB of every class, 0-255 (K).
            reconstructs: Whether the model has a reconstruction.
        """
        self._folder = folder
        self._colors = colors
        self._names = {tiles.names[index] for index in tiles_with_maps(tiles)}
        self._num_bands = _shown_bands(len(tiles.images)) if reconstructs else 0
        if folder.exists():
            remove_partials(folder)

    def buffers(self, tile: Tile) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
        """Arrays to be filled: classes (H, W) and reconstruction (H, W, 1 or 3), 0-255.

        What is not kept is None: both if the tile is too large, the second if the model does not
        reconstruct.
        """
        if tile.name not in self._names:
            return None, None
        shape = tile.mask.shape
        reconstructed = np.empty((*shape, self._num_bands), np.uint8) if self._num_bands else None
        return np.empty(shape, np.uint8), reconstructed

    def write(
        self,
        tile: Tile,
        predicted: NDArray[np.uint8] | None,
        reconstructed: NDArray[np.uint8] | None,
    ) -> None:
        """Write the filled buffers of a tile; each file is whole or not there.

        Raises:
            OSError: If the folder cannot be written or the disk is full.
        """
        stem = file_stem(tile.name)
        if predicted is not None:
            write_atomically(self._folder / f"{stem}.png", class_png(predicted, self._colors))
        if reconstructed is not None:
            content = jpeg(reconstructed, _RECONSTRUCTION_QUALITY)
            write_atomically(self._folder / f"{stem}_reconstruction.jpg", content)


def write_test_tiles(
    folder: Path, tiles: TileSet, colors: Sequence[tuple[int, int, int]], scaling: BandScaling
) -> None:
    """Write image and reference of every test tile that has maps; what is there stays.

    Args:
        folder: Where the files go.
        tiles: The test tiles.
        colors: RGB of every class, 0-255 (K).
        scaling: Maps the values of the tiles to [0, 1].

    Raises:
        OSError: If the folder cannot be written or the disk is full.
    """
    if folder.exists():
        remove_partials(folder)
    for index in tiles_with_maps(tiles):
        tile = tiles.tile(index)
        stem = file_stem(tile.name)
        image, reference = folder / f"{stem}.jpg", folder / f"{stem}_reference.png"
        if not image.exists():
            write_atomically(image, jpeg(_unit_bytes(tile, scaling), _IMAGE_QUALITY))
        if not reference.exists():
            write_atomically(reference, class_png(tile.mask, colors))


def class_png(classes: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]) -> bytes:
    """Class indices (H, W) as an 8-bit palette PNG.

    Args:
        classes: Class indices, or IGNORE_INDEX, which is drawn black.
        colors: RGB of every class, 0-255 (K): its palette.
    """
    palette = np.zeros((IGNORE_INDEX + 1, 3), np.uint8)
    palette[: len(colors)] = np.array(colors, np.uint8).reshape(-1, 3)
    picture = Image.fromarray(np.ascontiguousarray(classes))
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """A picture (H, W, 3), or grey (H, W, 1), as JPEG of a quality in 1 ... 95."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _shown_bands(num_bands: int) -> int:
    """The first three bands, or the first alone where there are fewer than three."""
    return 3 if num_bands >= 3 else 1


def _unit_bytes(tile: Tile, scaling: BandScaling) -> NDArray[np.uint8]:
    """The shown bands of a tile, 0-255 for 0 ... 1, (H, W, 1 or 3); scaled in strips."""
    num_bands, (height, width) = _shown_bands(len(tile.image)), tile.mask.shape
    if scaling == uint8_scaling(len(tile.image)):  # the same, without the way over floats
        return np.ascontiguousarray(np.moveaxis(tile.image[:num_bands], 0, -1))
    shown = np.empty((height, width, num_bands), np.uint8)
    for top in range(0, height, 256):
        rows = torch.from_numpy(np.array(tile.image[:, top : top + 256]))
        unit = scaling.to_unit(rows)[:num_bands]
        shown[top : top + 256] = as_bytes(unit).permute(1, 2, 0).numpy()
    return shown
