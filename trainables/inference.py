"""A model over a whole tile: overlapping windows, whose results are added up, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.data.scaling import BandScaling, uint8_scaling
from trainables.metrics import confusion_matrix

Raster = Tensor | NDArray[Any]
"""An image (C, H, W) or a mask (H, W) as it lies in memory."""


def predict_logits(
    model: nn.Module,
    image: Raster,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None = None,
) -> Tensor:
    """Class scores of a tile; logits are added where windows overlap, as in the authors' code.

    Windows at the right and bottom edge are shifted back inside; an image smaller than a
    window is one window of its own size. The model is in evaluation mode meanwhile, and in its
    former mode afterwards. Call it under `torch.autocast` for mixed precision.

    Args:
        model: Any of `trainables.models`, on `device`.
        image: (C, H, W), in the type of `scaling`; scaled to [0, 1] here.
        window_px: Height and width of a window.
        step_px: Distance of windows along rows and columns, at most window_px.
        batch_size: Windows per forward pass; changes the speed, not the result.
        device: Where the model is and where the logits are added up.
        scaling: From the values of the image to [0, 1]; None for uint8 divided by 255.

    Returns:
        Summed logits (K, H, W), float32, on `device`; an inference tensor, not to be changed in
        place. Comparable within a pixel only: pixels lie in different numbers of windows.

    Raises:
        ValueError: If the image is not (C, H, W) in the type of `scaling`, or a size is out of
            its range.
        TypeError: If the model has no `segment`.
    """
    segment = _branch(model, "segment")
    strips = _Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
    with _evaluating(model):
        return torch.cat([rows.clone() for _, _, rows in strips.summed(segment)], dim=1)


def predict_reconstruction(
    model: nn.Module,
    image: Raster,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None = None,
) -> Tensor:
    """Reconstruction of a tile, averaged where windows overlap.

    Args:
        model: One with a reconstruction branch (U-REC), on `device`.
        image: As in `predict_logits`.
        window_px: As in `predict_logits`.
        step_px: As in `predict_logits`.
        batch_size: As in `predict_logits`.
        device: As in `predict_logits`.
        scaling: As in `predict_logits`.

    Returns:
        (C, H, W), float32, on `device`; 0 ... 1 is the range of the image, which the values,
        not being clamped, may leave.

    Raises:
        ValueError: As in `predict_logits`.
        TypeError: If the model has no `reconstruct`, such as U-Net.
    """
    reconstruct = _branch(model, "reconstruct")
    strips = _Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
    with _evaluating(model):
        total = torch.cat([rows.clone() for _, _, rows in strips.summed(reconstruct)], dim=1)
    return total / strips.num_windows_per_pixel().to(total.device)


def evaluate_tile(
    model: nn.Module,
    image: Raster,
    references: Mapping[str, Raster],
    num_classes: int,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None = None,
) -> dict[str, Tensor]:
    """Predict a tile once and compare it with each of its references.

    Memory is bounded by a strip of the tile as high as a few windows, whatever its height.

    Args:
        model: As in `predict_logits`.
        image: As in `predict_logits`.
        references: Masks (H, W) by name, such as "full" and "eroded"; class indices,
            `IGNORE_INDEX` where unknown.
        num_classes: K.
        window_px: As in `predict_logits`.
        step_px: As in `predict_logits`.
        batch_size: As in `predict_logits`.
        device: As in `predict_logits`.
        scaling: As in `predict_logits`.

    Returns:
        Pixel counts (K, K), int64, on the CPU, by the names of `references`; rows reference,
        columns prediction.

    Raises:
        ValueError: As in `predict_logits`; if a reference does not fit the image, if it or the
            model has a class beyond num_classes.
        TypeError: As in `predict_logits`.
        FloatingPointError: If a logit is not finite.
    """
    for name, reference in references.items():
        if tuple(reference.shape) != tuple(image.shape[1:]):
            raise ValueError(
                f"reference {name!r} must have the size of the image {tuple(image.shape[1:])}, "
                f"got {tuple(reference.shape)}"
            )
    segment = _branch(model, "segment")
    strips = _Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
    matrices = {
        name: torch.zeros(num_classes, num_classes, dtype=torch.int64) for name in references
    }
    with _evaluating(model):
        for top, bottom, logits in strips.summed(segment):
            if not logits.isfinite().all():  # argmax would make class 0 or another of it
                raise FloatingPointError("logits must be finite, got NaN or infinity; lower lr")
            prediction = logits.argmax(dim=0)
            for name, reference in references.items():
                rows = _tensor(reference[top:bottom]).to(prediction.device)
                matrices[name] += confusion_matrix(prediction, rows, num_classes).cpu()
    return matrices


class _Strips:
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
            image = _tensor(self._image[:, top:bottom]).to(self._device)
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

    def num_windows_per_pixel(self) -> Tensor:
        """How many windows each pixel lies in, (H, W), float32, at least 1."""
        rows, columns = (torch.zeros(size) for size in self._size_px)
        for counts, starts, window in zip(
            (rows, columns), self._starts, self._window_px, strict=True
        ):
            for start in starts:
                counts[start : start + window] += 1
        return torch.outer(rows, columns)


def _tensor(raster: Raster) -> Tensor:
    """The raster as a tensor; an array is copied, since those of a tile set are read-only."""
    return raster if isinstance(raster, Tensor) else torch.from_numpy(np.array(raster))


def _branch(model: nn.Module, name: str) -> Callable[[Tensor], Tensor]:
    """The method of the model that computes one branch."""
    method = getattr(model, name, None)
    if not callable(method):
        raise TypeError(
            f"model must have a method `{name}`, got {type(model).__name__}; "
            "pass the model itself (`.module` of a data-parallel wrapper)"
        )
    branch: Callable[[Tensor], Tensor] = method
    return branch


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the former mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
