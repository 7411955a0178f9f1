"""The eroded reference: class borders, where annotators differ, count as unknown.

It stands in for one that a data set lacks. It resembles the eroded references that ISPRS
distributes and is not the same: there the unknown ring along a border is about 5 px wide in
Vaihingen and 7 px in Potsdam, here 6 px; of real crops, ring here and ring there overlap (IoU) by
0.84 to 0.87. A score against this reference is not one against theirs.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.layouts.spec import IGNORE_INDEX

EROSION_RADIUS_PX: Final = 3
"""Radius of the disc in pixels of the file; both sides of a border together make a ring of 6 px."""


def erode_borders(mask: NDArray[np.uint8], radius_px: int = EROSION_RADIUS_PX) -> NDArray[np.uint8]:
    """The mask without what lies near another class.

    Args:
        mask: Class index or `IGNORE_INDEX` (H, W).
        radius_px: Radius r of the disc dx^2 + dy^2 <= r^2.

    Returns:
        A copy (H, W), `IGNORE_INDEX` where the disc around a pixel holds a pixel of another
        class. Unknown pixels are no class: nothing is eroded along them, nor along the edge.
    """
    eroded = mask.copy()
    steps = range(-radius_px, radius_px + 1)
    # Half of the disc: the pair (a, b) is looked at from both of its ends.
    for down, right in product(range(radius_px + 1), steps):
        if (down, right) <= (0, 0) or down * down + right * right > radius_px * radius_px:
            continue
        if down >= mask.shape[0] or abs(right) >= mask.shape[1]:
            continue
        height, width = mask.shape[0] - down, mask.shape[1] - abs(right)
        left, other_left = max(0, -right), max(0, right)
        here = np.s_[:height, left : left + width]
        there = np.s_[down : down + height, other_left : other_left + width]
        differ = (
            (mask[here] != mask[there])
            & (mask[here] != IGNORE_INDEX)
            & (mask[there] != IGNORE_INDEX)
        )
        eroded[here][differ] = IGNORE_INDEX
        eroded[there][differ] = IGNORE_INDEX
    return eroded
