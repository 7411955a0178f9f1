"""A tile beside its labels, small enough for a page."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from PIL import Image

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import Tile

_ALPHA: Final = 0.55
"""Share of the colour of a class over the image."""
_QUALITY: Final = 85
_HIDDEN: Final = 240
"""Grey, 0-255, of pixels that show nothing: black would look like water or shadow."""


def label_picture(
    tile: Tile, colors: Sequence[tuple[int, int, int]], scaling: BandScaling, side_px: int
) -> bytes:
    """JPEG of a tile and, right of it, the same with the colours of its classes.

    Args:
        tile: The tile; one without any label is shown alone.
        colors: RGB of every class, 0-255 (K).
        scaling: Maps the values of the tile to [0, 1].
        side_px: About the longer side of the tile in the picture.
    """
    every = max(1, math.ceil(max(tile.mask.shape) / side_px))
    image = scaling.to_unit(torch.from_numpy(np.array(tile.image[:, ::every, ::every])))
    bands = image if len(image) >= 3 else image[:1].expand(3, -1, -1)
    shown = (255 * bands[:3].permute(1, 2, 0).numpy()).round().astype(np.uint8)
    mask = tile.mask[::every, ::every]
    if tile.shown is not None:
        shown[~tile.shown[::every, ::every]] = _HIDDEN
    panels = [shown]
    if (mask != IGNORE_INDEX).any():
        palette = np.array(colors, dtype=np.float64)
        known = mask != IGNORE_INDEX
        drawn = shown.mean(axis=2, keepdims=True) * 0.4 + 150.0  # unknown: pale and grey
        drawn = np.broadcast_to(drawn, shown.shape).copy()
        if tile.shown is not None:
            drawn[~tile.shown[::every, ::every]] = _HIDDEN
        drawn[known] = _ALPHA * palette[mask[known]] + (1.0 - _ALPHA) * shown[known]
        panels += [np.full((len(shown), 2, 3), 255, dtype=np.uint8), drawn.astype(np.uint8)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
