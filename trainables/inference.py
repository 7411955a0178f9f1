"""A model over a whole tile: overlapping windows, whose results are added up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.metrics import confusion_matrix

Raster = Tensor | NDArray[np.uint8]
"""An image (C, H, W) or a mask (H, W) as it lies in memory, uint8."""


def predict_logits(
    model: nn.Module,
    image: Raster,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
) -> Tensor:
    """Class scores of a tile; logits are added where windows overlap, as in the authors' code.

    Windows at the right and bottom edge are shifted back inside; an image smaller than a
    window is one window of its own size. The model is in evaluation mode meanwhile, and in its
    former mode afterwards. Call it under `torch.autocast` for mixed precision.

    Args:
        model: Any of `trainables.models`, on `device`.
        image: (C, H, W), uint8; scaled to [0, 1] here.
        window_px: Height and width of a window.
        step_px: Distance of windows along rows and columns, at most window_px.
        batch_size: Windows per forward pass; changes the speed, not the result.
        device: Where the model is and where the logits are added up.

    Returns:
        Summed logits (K, H, W), float32, on `device`; an inference tensor, not to be changed in
        place. Comparable within a pixel only: pixels lie in different numbers of windows.

    Raises:
        ValueError: If the image is not uint8 (C, H, W), or a size is out of its range.
        TypeError: If the model has no `segment`.
    """
    segment = _branch(model, "segment")
    grid = _Grid(image, window_px, step_px)
    with _evaluating(model):
        return _summed(segment, _tensor(image), grid, batch_size, torch.device(device))


def predict_reconstruction(
    model: nn.Module,
    image: Raster,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
) -> Tensor:
    """Reconstruction of a tile, averaged where windows overlap.

    Args:
        model: One with a reconstruction branch (U-REC), on `device`.
        image: (C, H, W), uint8; scaled to [0, 1] here.
        window_px: As in `predict_logits`.
        step_px: As in `predict_logits`.
        batch_size: As in `predict_logits`.
        device: As in `predict_logits`.

    Returns:
        (C, H, W), float32, on `device`; 0 ... 1 is the range of the image, which the values,
        not being clamped, may leave.

    Raises:
        ValueError: As in `predict_logits`.
        TypeError: If the model has no `reconstruct`, such as U-Net.
    """
    reconstruct = _branch(model, "reconstruct")
    grid = _Grid(image, window_px, step_px)
    device = torch.device(device)
    with _evaluating(model):
        total = _summed(reconstruct, _tensor(image), grid, batch_size, device)
    return total / grid.num_windows_per_pixel().to(device)


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
) -> dict[str, Tensor]:
    """Predict a tile once and compare it with each of its references.

    Args:
        model: As in `predict_logits`.
        image: (C, H, W), uint8.
        references: Masks (H, W) by name, such as "full" and "eroded"; class indices,
            `IGNORE_INDEX` where unknown.
        num_classes: K.
        window_px: As in `predict_logits`.
        step_px: As in `predict_logits`.
        batch_size: As in `predict_logits`.
        device: As in `predict_logits`.

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
    logits = predict_logits(
        model, image, window_px=window_px, step_px=step_px, batch_size=batch_size, device=device
    )
    if not logits.isfinite().all():  # argmax would make class 0 or another of it
        raise FloatingPointError("logits must be finite, got NaN or infinity; lower lr")
    prediction = logits.argmax(dim=0)
    return {
        name: confusion_matrix(
            prediction, _tensor(reference).to(prediction.device), num_classes
        ).cpu()
        for name, reference in references.items()
    }


class _Grid:
    """Where the windows of an image lie: they cover it and none reaches beyond it."""

    def __init__(self, image: Raster, window_px: int, step_px: int) -> None:
        if image.ndim != 3 or image.dtype not in (torch.uint8, np.uint8) or 0 in image.shape:
            raise ValueError(
                f"image must be uint8 (C, H, W), got {image.dtype} {tuple(image.shape)}"
            )
        if not 1 <= step_px <= window_px:
            raise ValueError(
                f"step_px must be in 1 ... window_px ({window_px}), got {step_px!r}; "
                "a larger step would leave pixels without prediction"
            )
        self.size_px = tuple(image.shape[1:])
        self.window_px = tuple(min(window_px, size) for size in self.size_px)
        self.starts = [
            sorted({*range(0, size - window, step_px), size - window})
            for size, window in zip(self.size_px, self.window_px, strict=True)
        ]

    def windows(self) -> list[tuple[slice, slice]]:
        """Rows and columns of every window, from top left to bottom right."""
        height, width = self.window_px
        return [
            (slice(top, top + height), slice(left, left + width))
            for top, left in product(*self.starts)
        ]

    def num_windows_per_pixel(self) -> Tensor:
        """How many windows each pixel lies in, (H, W), float32, at least 1."""
        rows, columns = (torch.zeros(size) for size in self.size_px)
        for counts, starts, window in zip(
            (rows, columns), self.starts, self.window_px, strict=True
        ):
            for start in starts:
                counts[start : start + window] += 1
        return torch.outer(rows, columns)


def _summed(
    forward: Callable[[Tensor], Tensor],
    image: Tensor,
    grid: _Grid,
    batch_size: int,
    device: torch.device,
) -> Tensor:
    """Sum of `forward` over the windows of an image: (K, H, W), float32, on `device`."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
    image = image.to(device)
    windows = grid.windows()
    if len(windows) == 1:
        return forward(image[None].float() / 255)[0].float()
    total: Tensor | None = None
    for first in range(0, len(windows), batch_size):
        batch = windows[first : first + batch_size]
        images = torch.stack([image[:, rows, columns] for rows, columns in batch])
        outputs = forward(images.float() / 255).float()
        if total is None:
            total = outputs.new_zeros(outputs.shape[1], *grid.size_px)
        for (rows, columns), output in zip(batch, outputs, strict=True):
            total[:, rows, columns] += output
    assert total is not None
    return total


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
