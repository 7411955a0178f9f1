"""Squares of patches that the network does not see and has to reconstruct."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_CELLS: Final = 8
"""Squares along a side of a patch: of 32 px in published patches of 256 px, as in SimMIM."""


def hidden_squares(num: int, patch_px: int, share: float, generator: torch.Generator) -> Tensor:
    """Draw hidden squares; each patch is cut into 8 x 8, of which the same number is hidden.

    Args:
        num: Patches (M).
        patch_px: Side of a patch; where 8 does not divide it, squares differ by a pixel.
        share: Of the squares that are hidden, in (0, 1); at least one is hidden, and one is not.
        generator: On the CPU; it advances.

    Returns:
        Whether a pixel is hidden, bool (M, patch_px, patch_px), on the CPU.
    """
    num_cells = _CELLS**2
    num_hidden = min(max(round(share * num_cells), 1), num_cells - 1)
    order = torch.rand((num, num_cells), generator=generator).argsort(dim=1, stable=True)
    cells = (order < num_hidden).reshape(num, _CELLS, _CELLS)
    line = torch.arange(patch_px) * _CELLS // patch_px
    return cells[:, line][:, :, line]
