"""One picture of a budget: where on the training tiles its annotations lie."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import TileSet

_SHEET_PX: Final = 1400
_GAP_PX: Final = 6
_GREY: Final = 0.55
"""Share of light grey in what is not annotated."""
_COMPRESSION: Final = 3
"""Level of zlib that takes a twelfth of the time of its slowest and a twentieth more bytes."""


_HIDDEN: Final = 240
"""Grey, 0-255, of pixels that show nothing: lighter than what is paled."""


def budget_picture(
    tiles: TileSet,
    annotated: PixelSet,
    colors: Sequence[tuple[int, int, int]],
    scaling: BandScaling,
) -> bytes:
    """PNG of all training tiles side by side, annotated pixels in the colours of their class.

    A class is the one that the budget gives, which clicks may get wrong.

    Args:
        tiles: The training tiles.
        annotated: The pixels of the budget.
        colors: RGB of every class, 0-255 (K).
        scaling: Maps the values of the tiles to [0, 1].

    Returns:
        At most about 1,400 pixels wide. What is not annotated is the image, paled and grey. A
        pixel of the picture has the colour of an annotated pixel of the part of the tile it
        stands for, if there is one: single points are seen. Where no tile lies it is transparent,
        for pages light and dark.
    """
    num_columns = math.ceil(math.sqrt(len(tiles)))
    side = max(1, (_SHEET_PX - (num_columns - 1) * _GAP_PX) // num_columns)
    reduced = max(1, math.ceil(int(tiles.shapes.max()) / side))
    palette = np.array(colors, dtype=np.uint8)
    panels = [
        _panel(tiles, annotated, index, reduced, palette, scaling) for index in range(len(tiles))
    ]
    height = max(len(panel) for panel in panels)
    width = max(panel.shape[1] for panel in panels)
    num_rows = math.ceil(len(panels) / num_columns)
    sheet = np.zeros(
        (num_rows * (height + _GAP_PX) - _GAP_PX, num_columns * (width + _GAP_PX) - _GAP_PX, 4),
        dtype=np.uint8,
    )
    for index, panel in enumerate(panels):
        row, column = divmod(index, num_columns)
        top, left = row * (height + _GAP_PX), column * (width + _GAP_PX)
        place = sheet[top : top + panel.shape[0], left : left + panel.shape[1]]
        place[..., :3], place[..., 3] = panel, 255
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def _panel(
    tiles: TileSet,
    annotated: PixelSet,
    index: int,
    reduced: int,
    palette: NDArray[np.uint8],
    scaling: BandScaling,
) -> NDArray[np.uint8]:
    """One tile, every block of `reduced` x `reduced` pixels a pixel (h, w, 3)."""
    tile = tiles.tile(index)
    image = torch.from_numpy(np.array(tile.image[:, ::reduced, ::reduced]))
    grey = scaling.to_unit(image)[:3].mean(dim=0).numpy()
    paled = (255 * (_GREY * 0.9 + (1 - _GREY) * grey)).astype(np.uint8)
    if tile.shown is not None:
        paled[~tile.shown[::reduced, ::reduced]] = _HIDDEN
    panel = np.repeat(paled[:, :, None], 3, axis=2)
    height, width = tile.mask.shape
    for row in range(panel.shape[0]):
        first, last = row * reduced, min((row + 1) * reduced, height)
        labels = annotated.given(index, first, tile.mask[first:last])
        if (labels == IGNORE_INDEX).all():
            continue
        lowest = np.minimum.reduceat(labels.min(axis=0), np.arange(0, width, reduced))
        is_annotated = lowest != IGNORE_INDEX
        panel[row, is_annotated] = palette[lowest[is_annotated]]
    return panel
