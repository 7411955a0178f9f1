"""The overlapping windows of an image, whose results are added up strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.tilesets.scaling import BandScaling, uint8_scaling

Raster = Tensor | NDArray[Any]
"""An image (C, H, W) or a mask (H, W) as it lies in memory."""


class Strips:
    """The windows of an image, done from top to bottom; none reaches beyond the image."""

    def __init__(
        self,
        image: Raster,
        window_px: int,
        step_px: int,
        batch_size: int,
        device: torch.device,
        scaling: BandScaling | None,
    ) -> None:
        """Arguments as in `inference.predict_logits`.

        Raises:
            ValueError: If the image is not (C, H, W) in the type of `scaling`, or a size is out
                of its range.
        """
        name = "uint8" if scaling is None else scaling.dtype
        if image.ndim != 3 or str(image.dtype).removeprefix("torch.") != name or 0 in image.shape:
            raise ValueError(
                f"image must be {name} (C, H, W), got {image.dtype} {tuple(image.shape)}"
            )
        if not 1 <= step_px <= window_px:
            raise ValueError(
                f"step_px must be in 1 ... window_px ({window_px}), got {step_px!r}; "
                "a larger step would leave pixels without prediction"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
        self._image = image
        self._batch_size = batch_size
        self._device = device
        self._scaling = uint8_scaling(len(image)) if scaling is None else scaling
        self._size_px = tuple(image.shape[1:])
        self._window_px = tuple(min(window_px, size) for size in self._size_px)
        self._starts = [
            sorted({*range(0, size - window, step_px), size - window})
            for size, window in zip(self._size_px, self._window_px, strict=True)
        ]

    def summed(self, forward: Callable[[Tensor], Tensor]) -> Iterator[tuple[int, int, Tensor]]:
        """Top and bottom row, and the sum of `forward` over the windows there (K, h, W), float32.

        It is on the device, and overwritten once the next is asked for.
        """
        tops, lefts = self._starts
        height, width = self._window_px
        num_rows = max(1, self._batch_size // len(lefts))  # rows of windows that go together
        groups = [tops[first : first + num_rows] for first in range(0, len(tops), num_rows)]
        ends = [*(group[0] for group in groups[1:]), self._size_px[0]]
        carried: Tensor | None = None
        for group, end in zip(groups, ends, strict=True):
            top, bottom = group[0], group[-1] + height
            image = as_tensor(self._image[:, top:bottom]).to(self._device)
            windows = list(product([start - top for start in group], lefts))
            total: Tensor | None = None
            for first in range(0, len(windows), self._batch_size):
                batch = windows[first : first + self._batch_size]
                images = torch.stack(
                    [image[:, t : t + height, left : left + width] for t, left in batch]
                )
                outputs = forward(self._scaling.to_unit(images)).float()
                if total is None:
                    total = outputs.new_zeros(outputs.shape[1], bottom - top, self._size_px[1])
                for (t, left), output in zip(batch, outputs, strict=True):
                    total[:, t : t + height, left : left + width] += output
            assert total is not None
            if carried is not None:
                total[:, : carried.shape[1]] += carried
            yield top, end, total[:, : end - top]
            carried = total[:, end - top :]

    def num_windows_per_pixel(self, top: int = 0, bottom: int | None = None) -> Tensor:
        """How many windows each pixel of these rows lies in, (h, W), float32, at least 1."""
        rows, columns = (torch.zeros(size) for size in self._size_px)
        for counts, starts, window in zip(
            (rows, columns), self._starts, self._window_px, strict=True
        ):
            for start in starts:
                counts[start : start + window] += 1
        return torch.outer(rows[top:bottom], columns)


def as_tensor(raster: Raster) -> Tensor:
    """The raster as a tensor; an array is copied, since those of a tile set are read-only."""
    return raster if isinstance(raster, Tensor) else torch.from_numpy(np.array(raster))
