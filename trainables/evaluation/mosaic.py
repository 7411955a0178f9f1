"""A network over a raster of any size: overlapping windows, blended strip by strip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WEIGHT_FLOOR: Final = 1e-3
"""Weight at the border of a window, against 1 in its middle."""

Forward = Callable[[Tensor], Tensor]
"""From images (N, C, h, w) as read to outputs (N, M, h, w), float32."""

ReadRows = Callable[[int, int], tuple[NDArray[np.generic], NDArray[np.bool_]]]
"""From top and bottom row to the image (C, bottom - top, W) and where it shows anything
(bottom - top, W)."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where the windows of a raster lie: they cover it, and none reaches beyond it.

    Windows at the right and bottom edge are shifted back inside; a raster smaller than a
    window is one window of its own size.

    Raises:
        ValueError: If a size is out of its range.
    """

    height_px: int
    """Of the raster, H."""
    width_px: int
    """Of the raster, W."""
    window_px: int
    step_px: int

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 1:
            raise ValueError(f"raster must have pixels, got {self.width_px} x {self.height_px} px")
        if not 1 <= self.step_px <= self.window_px:
            raise ValueError(
                f"step_px must be in 1 ... window_px ({self.window_px}), got {self.step_px!r}"
            )

    @property
    def tops(self) -> list[int]:
        """First row of every row of windows, ascending."""
        return _starts(self.height_px, self.window_px, self.step_px)

    @property
    def lefts(self) -> list[int]:
        """First column of every column of windows, ascending."""
        return _starts(self.width_px, self.window_px, self.step_px)

    @property
    def num_windows(self) -> int:
        """Windows in all."""
        return len(self.tops) * len(self.lefts)


def blend_weights(length_px: int) -> Tensor:
    """Weight of every pixel along one side of a window; that of a pixel is the product of two.

    A raised cosine, sin^2(pi (i + 0.5) / length), lifted to at least `WEIGHT_FLOOR`: a network
    is least sure where it sees no surroundings, so the middle of a window counts most, and
    what a window says fades out before the window ends. At half overlap the cosines of
    neighbours add up to a constant; for any other overlap the sum of the weights is divided
    out. The floor keeps that sum above 0 at the edge of the raster, where one window lies
    alone, and leaves a step of at most 0.1 % of the difference of neighbouring windows.

    Returns:
        (length_px,), float32, in [WEIGHT_FLOOR, 1].
    """
    phase = (torch.arange(length_px, dtype=torch.float64) + 0.5) * (math.pi / length_px)
    return (WEIGHT_FLOOR + (1 - WEIGHT_FLOOR) * phase.sin().square()).float()


def blended_strips(
    forward: Forward,
    read_rows: ReadRows,
    windows: Windows,
    *,
    num_outputs: int,
    batch_size: int,
    device: torch.device,
    after_windows: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Outputs of a network over a raster, from top to bottom, as soon as rows are complete.

    Memory is bounded by a strip as high as a window and as wide as the raster: the image and
    M float32 values for each of its pixels. Windows that show nothing at all are left out;
    values there are not defined (0 or what neighbouring windows say).

    Args:
        forward: The network.
        read_rows: Reads the image.
        windows: Where the windows lie.
        num_outputs: M.
        batch_size: Windows per forward pass.
        device: Where `forward` computes and strips are added up.
        after_windows: Called with the number of windows that were done since the last call.

    Yields:
        Top and bottom row, and the weighted mean of the outputs of all windows over these rows
        (M, bottom - top, W), float32, on `device`; it is overwritten once the next is asked for.

    Raises:
        ValueError: If batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
    high = min(windows.window_px, windows.height_px)
    wide = min(windows.window_px, windows.width_px)
    weight = torch.outer(blend_weights(high), blend_weights(wide)).to(device)
    row_sums = _weight_sums(windows.tops, high, windows.height_px).to(device)
    column_sums = _weight_sums(windows.lefts, wide, windows.width_px).to(device)
    total = torch.zeros(num_outputs, high, windows.width_px, device=device)
    for top, following in pairwise([*windows.tops, windows.height_px]):
        image, shown = read_rows(top, top + high)
        strip = torch.from_numpy(image).to(device)
        lefts = [left for left in windows.lefts if shown[:, left : left + wide].any()]
        after_windows(len(windows.lefts) - len(lefts))
        for first in range(0, len(lefts), batch_size):
            batch = lefts[first : first + batch_size]
            outputs = forward(torch.stack([strip[:, :, left : left + wide] for left in batch]))
            for left, output in zip(batch, outputs, strict=True):
                total[:, :, left : left + wide] += output * weight
            after_windows(len(batch))
        done = following - top
        finished = total[:, :done]
        finished /= torch.outer(row_sums[top:following], column_sums)
        yield top, following, finished
        _scroll(total, done)


def _starts(length_px: int, window_px: int, step_px: int) -> list[int]:
    """First pixel of every window along one side of the raster, ascending."""
    last = max(length_px - window_px, 0)
    return [*range(0, last, step_px), last]


def _weight_sums(starts: list[int], window_px: int, length_px: int) -> Tensor:
    """Sum of the weights of all windows along one side of the raster, (length_px,), float32."""
    sums, weights = torch.zeros(length_px), blend_weights(window_px)
    for start in starts:
        sums[start : start + window_px] += weights
    return sums


def _scroll(total: Tensor, num_rows: int) -> None:
    """Drop the first rows of a strip (M, h, W) in place and put zeros below the others."""
    kept = total.shape[1] - num_rows
    for plane in total:  # one at a time: the copy that overlapping rows need stays small
        plane[:kept] = plane[num_rows:].clone()
        plane[kept:] = 0
