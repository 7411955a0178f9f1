"""Which kind of block stands where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from trainables.data.scenes.blocks.estates import paint_halls, paint_slabs
from trainables.data.scenes.blocks.greens import paint_field, paint_park
from trainables.data.scenes.blocks.homes import paint_houses, paint_old_town, paint_terraces
from trainables.data.scenes.blocks.plots import Spots
from trainables.data.scenes.canvas.canvas import Canvas
from trainables.data.scenes.canvas.layout import Rect

PaintBlock = Callable[[Canvas, Rect, Spots, np.random.Generator], None]

PAINTERS: Final[Mapping[str, PaintBlock]] = {
    "houses": paint_houses,
    "terraces": paint_terraces,
    "old town": paint_old_town,
    "slabs": paint_slabs,
    "halls": paint_halls,
    "park": paint_park,
    "field": paint_field,
}

BLOCK_MIX: Final[Mapping[str, Mapping[str, float]]] = {
    "suburb": {"houses": 0.80, "terraces": 0.10, "park": 0.06, "slabs": 0.04},
    "old town": {"old town": 0.84, "houses": 0.08, "park": 0.04, "halls": 0.04},
    "terraces": {"terraces": 0.62, "houses": 0.30, "park": 0.08},
    "apartments": {"slabs": 0.68, "houses": 0.18, "park": 0.08, "halls": 0.06},
    "industry": {"halls": 0.80, "houses": 0.08, "field": 0.06, "slabs": 0.06},
    "edge": {"houses": 0.66, "field": 0.18, "park": 0.06, "terraces": 0.10},
}
"""How often each painter is taken for a block, by kind of tile; rows sum to 1."""
