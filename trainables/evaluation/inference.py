"""A model over a whole tile: overlapping windows, whose results are added up, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.data.tilesets.scaling import BandScaling
from trainables.evaluation.confusion import confusion_matrix
from trainables.evaluation.strips import Raster, Strips, as_tensor


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
    strips = Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
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
    strips = Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
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
    predicted: NDArray[np.uint8] | None = None,
    reconstructed: NDArray[np.uint8] | None = None,
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
        predicted: (H, W), filled with the predicted class of every pixel; None: not wanted.
        reconstructed: (H, W, B), filled with the first B bands of the reconstruction, 0-255 for
            0 ... 1, from the same pass; None: not wanted. It asks for a model whose `forward`
            gives logits and reconstruction (U-REC).

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
    strips = Strips(image, window_px, step_px, batch_size, torch.device(device), scaling)
    num_bands = 0 if reconstructed is None else reconstructed.shape[2]
    forward = _both(model, num_bands) if num_bands else _branch(model, "segment")
    matrices = {
        name: torch.zeros(num_classes, num_classes, dtype=torch.int64) for name in references
    }
    with _evaluating(model):
        for top, bottom, outputs in strips.summed(forward):
            logits = outputs[num_bands:]
            if not logits.isfinite().all():  # argmax would make class 0 or another of it
                raise FloatingPointError("logits must be finite, got NaN or infinity; lower lr")
            prediction = logits.argmax(dim=0)
            for name, reference in references.items():
                rows = as_tensor(reference[top:bottom]).to(prediction.device)
                matrices[name] += confusion_matrix(prediction, rows, num_classes).cpu()
            if predicted is not None:
                predicted[top:bottom] = prediction.to(torch.uint8).cpu().numpy()
            if reconstructed is not None:
                counts = strips.num_windows_per_pixel(top, bottom).to(outputs.device)
                unit = (outputs[:num_bands] / counts).permute(1, 2, 0)
                reconstructed[top:bottom] = as_bytes(unit).cpu().numpy()
    return matrices


def as_bytes(unit: Tensor) -> Tensor:
    """Values, 0 ... 1, as uint8, 0-255; those beyond, and NaN, are clamped."""
    return unit.mul(255).round().nan_to_num(0.0).clamp(0, 255).to(torch.uint8)


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


def _both(model: nn.Module, num_bands: int) -> Callable[[Tensor], Tensor]:
    """One pass for both branches: bands of the reconstruction first, then the logits."""
    _branch(model, "reconstruct")

    def forward(images: Tensor) -> Tensor:
        logits, reconstruction = model(images)
        return torch.cat([reconstruction[:, :num_bands], logits], dim=1)

    return forward


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
