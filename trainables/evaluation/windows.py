"""Overlapping windows over an image of any size: where they lie, and their outputs added up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WEIGHT_FLOOR: Final = 1e-3
"""Weight at the border of a blended window, against 1 in its middle."""

Forward = Callable[[Tensor], Tensor]
"""A network: it takes images (N, C, h, w) as read and gives outputs (N, M, h, w)."""

ReadRows = Callable[[int, int], tuple[Tensor, NDArray[np.bool_] | None]]
"""A reader: it takes top and bottom row, and gives the image (C, bottom - top, W) and which of its
pixels show anything (bottom - top, W); None for all."""


@dataclass(frozen=True, kw_only=True)
class SlidingWindows:
    """The windows of an image, which cover it; none reaches beyond it.

    Windows at the right and bottom edge are shifted back inside; an image smaller than a
    window is one window of its own size.

    Raises:
        ValueError: If a size is out of its range.
    """

    height_px: int
    """Height of the image, H."""
    width_px: int
    """Width of the image, W."""
    window_px: int
    step_px: int
    blended: bool = False
    """Whether a window counts less towards its border (`blend_weights`)."""

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < 1:
            raise ValueError(f"image must have pixels, got {self.width_px} x {self.height_px} px")
        if not 1 <= self.step_px <= self.window_px:
            raise ValueError(
                f"step_px must be in 1 ... window_px ({self.window_px}), got {self.step_px!r}; "
                "a larger step would leave pixels without prediction"
            )

    @property
    def tops(self) -> list[int]:
        """First row of every row of windows, ascending."""
        return self._starts(self.height_px)

    @property
    def lefts(self) -> list[int]:
        """First column of every column of windows, ascending."""
        return self._starts(self.width_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a window, in pixels."""
        return min(self.window_px, self.height_px), min(self.window_px, self.width_px)

    @property
    def num_windows(self) -> int:
        """Number of all windows."""
        return len(self.tops) * len(self.lefts)

    def weights(self, length_px: int) -> Tensor:
        """Weight of every pixel along one side of a window, (length_px,), float32."""
        return blend_weights(length_px) if self.blended else torch.ones(length_px)

    def weight_sums(self, top: int = 0, bottom: int | None = None) -> Tensor:
        """Sum of the weights of all windows in each pixel of these rows, (h, W), float32, above 0.

        It is the number of windows that a pixel lies in where they are not blended.
        """
        rows, columns = self._sums
        return torch.outer(rows[top:bottom], columns)

    @cached_property
    def _sums(self) -> tuple[Tensor, Tensor]:
        rows, columns = torch.zeros(self.height_px), torch.zeros(self.width_px)
        sides = zip((rows, columns), (self.tops, self.lefts), self.shape, strict=True)
        for sums, starts, length_px in sides:
            for start in starts:
                sums[start : start + length_px] += self.weights(length_px)
        return rows, columns

    def _starts(self, length_px: int) -> list[int]:
        last = max(length_px - self.window_px, 0)
        return [*range(0, last, self.step_px), last]


def blend_weights(length_px: int) -> Tensor:
    """Weight of every pixel along one side of a window; that of a pixel is the product of two.

    A raised cosine, sin^2(pi (i + 0.5) / length), lifted to at least `WEIGHT_FLOOR`: a network
    is least sure where it sees no surroundings, so the middle of a window counts most, and
    what a window says fades out before the window ends. At half overlap the cosines of
    neighbours add up to a constant; for any other overlap the sum of the weights is divided
    out. The floor keeps that sum above 0 at the edge of the image, where one window lies
    alone, and leaves a step of at most 0.1 % of the difference of neighbouring windows.

    Returns:
        (length_px,), float32, in [WEIGHT_FLOOR, 1].
    """
    phase = (torch.arange(length_px, dtype=torch.float64) + 0.5) * (math.pi / length_px)
    return (WEIGHT_FLOOR + (1 - WEIGHT_FLOOR) * phase.sin().square()).float()


def overlap_add(
    forward: Forward,
    read_rows: ReadRows,
    windows: SlidingWindows,
    *,
    batch_size: int,
    device: torch.device,
    rows_at_once: int = 1,
    num_outputs: int | None = None,
    after_windows: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Sum of a network's outputs over all windows; rows are out as soon as they are complete.

    Memory is bounded by a strip as high as `rows_at_once` rows of windows and as wide as the
    image: its pixels and M float32 values for each, once more for those that the next strip
    overlaps. Windows that show nothing at all are left out; sums there are not defined (0 or what
    neighbouring windows say).

    Args:
        forward: The network.
        read_rows: Reads the image.
        windows: Where the windows lie, and how their pixels are weighted.
        batch_size: Windows per forward pass.
        device: Where `forward` computes and outputs are added up.
        rows_at_once: Rows of windows that are read together and may share a forward pass.
        num_outputs: M; needed only where `read_rows` may show nothing.
        after_windows: Called with the number of windows that were done since the last call.

    Yields:
        Top and bottom row, and the weighted sum over these rows (M, bottom - top, W), float32, on
        `device`; it is overwritten once the next is asked for. Divided by
        `windows.weight_sums(top, bottom)` it is the weighted mean.

    Raises:
        ValueError: If batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
    (high, wide), tops, lefts = windows.shape, windows.tops, windows.lefts
    weight = torch.outer(windows.weights(high), windows.weights(wide)).to(device)
    groups = [tops[first : first + rows_at_once] for first in range(0, len(tops), rows_at_once)]
    ends = [*(group[0] for group in groups[1:]), windows.height_px]
    size = groups[0][-1] + high, windows.width_px  # no later group is higher than the first
    total = None if num_outputs is None else torch.zeros(num_outputs, *size, device=device)
    carried: Tensor | None = None
    for group, end in zip(groups, ends, strict=True):
        top, bottom = group[0], group[-1] + high
        rows, shown = read_rows(top, bottom)
        image = rows.to(device)
        places = [
            (row, left)
            for row, left in product([start - top for start in group], lefts)
            if shown is None or shown[row : row + high, left : left + wide].any()
        ]
        after_windows(len(group) * len(lefts) - len(places))
        for first in range(0, len(places), batch_size):
            batch = places[first : first + batch_size]
            outputs = forward(
                torch.stack([image[:, row : row + high, left : left + wide] for row, left in batch])
            ).float()
            if total is None:
                total = outputs.new_zeros(outputs.shape[1], *size)
            for (row, left), output in zip(batch, outputs, strict=True):
                weighted = output * weight if windows.blended else output
                total[:, row : row + high, left : left + wide] += weighted
            after_windows(len(batch))
        assert total is not None, "num_outputs must be given where nothing may be shown"
        # Blended and plain sums keep their own order of additions: another would round otherwise.
        if carried is not None and not windows.blended:
            total[:, : carried.shape[1]] += carried
        yield top, end, total[:, : end - top]
        carried = total[:, end - top : bottom - top].clone()
        total[:, : bottom - end] = carried if windows.blended else 0
        total[:, bottom - end :] = 0
