"""A model over a whole tile: overlapping windows, whose results are added up, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.data.patches.normalisation import Target, to_images
from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.evaluation.confusion import confusion_matrix
from trainables.evaluation.windows import Forward, SlidingWindows, overlap_add

Pixels = Tensor | NDArray[Any]
"""An image (C, H, W) or a mask (H, W) as it lies in memory."""


def predict_logits(
    model: nn.Module,
    image: Pixels,
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
        model: Any of `trainables.networks`, on `device`.
        image: (C, H, W), in the type of `scaling`; scaled to [0, 1] here.
        window_px: Height and width of a window.
        step_px: Distance of windows along rows and columns, at most window_px.
        batch_size: Windows per forward pass; changes the speed, not the result.
        device: Where the model is and where the logits are added up.
        scaling: Maps the values of the image to [0, 1]; None for uint8 divided by 255.

    Returns:
        Summed logits (K, H, W), float32, on `device`; an inference tensor, not to be changed in
        place. Comparable within a pixel only: pixels lie in different numbers of windows.

    Raises:
        ValueError: If the image is not (C, H, W) in the type of `scaling`, or a size is out of
            its range.
        TypeError: If the model has no `segment`.
    """
    forward = _branch(model, "segment")
    windows = _windows(image, window_px, step_px, scaling)
    with _evaluating(model):
        sums = _summed(forward, image, windows, batch_size, device, scaling)
        return torch.cat([rows.clone() for _, _, rows in sums], dim=1)


def predict_reconstruction(
    model: nn.Module,
    image: Pixels,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None = None,
    target: Target = "image",
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
        target: What the model was trained to reconstruct; a normalised window is brought back to
            the mean and deviation of the image there.

    Returns:
        (C, H, W), float32, on `device`; 0 ... 1 is the range of the image, which the values,
        not being clamped, may leave.

    Raises:
        ValueError: As in `predict_logits`.
        TypeError: If the model has no `reconstruct`, such as U-Net.
    """
    forward = _rebuilding(model, target)
    windows = _windows(image, window_px, step_px, scaling)
    with _evaluating(model):
        sums = _summed(forward, image, windows, batch_size, device, scaling)
        total = torch.cat([rows.clone() for _, _, rows in sums], dim=1)
    return total / windows.weight_sums().to(total.device)


def reconstruction_error(
    model: nn.Module,
    image: Pixels,
    shown: NDArray[np.bool_] | None,
    *,
    window_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling,
    target: Target = "image",
) -> float:
    """Absolute error of the reconstruction of a tile, summed over its pixels.

    Memory is bounded by a strip of the tile, as in `evaluate_tile`.

    Args:
        model: As in `predict_reconstruction`.
        image: As in `predict_logits`.
        shown: Which pixels count (H, W); None for all.
        window_px: Height and width of a window; windows lie side by side.
        batch_size: As in `predict_logits`.
        device: As in `predict_logits`.
        scaling: As in `predict_logits`.
        target: As in `predict_reconstruction`.

    Returns:
        The sum over pixels of the mean over bands, in units of [0, 1].

    Raises:
        ValueError: As in `predict_logits`.
        TypeError: As in `predict_reconstruction`.
    """
    forward = _rebuilding(model, target)
    windows = _windows(image, window_px, window_px, scaling)
    total = 0.0
    with _evaluating(model):
        for top, bottom, sums in _summed(forward, image, windows, batch_size, device, scaling):
            rows = sums / windows.weight_sums(top, bottom).to(sums.device)
            truth = scaling.to_unit(_as_tensor(image[:, top:bottom]).to(sums.device))
            errors = (rows - truth).abs().mean(dim=0)
            if shown is not None:
                errors = errors.where(_as_tensor(shown[top:bottom]).to(sums.device), 0.0)
            total += float(errors.sum(dtype=torch.float64))
    return total


def evaluate_tile(
    model: nn.Module,
    image: Pixels,
    references: Mapping[str, Pixels],
    num_classes: int,
    *,
    window_px: int,
    step_px: int,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None = None,
    predicted: NDArray[np.uint8] | None = None,
    reconstructed: NDArray[np.uint8] | None = None,
    target: Target = "image",
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
        target: As in `predict_reconstruction`.

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
    windows = _windows(image, window_px, step_px, scaling)
    num_bands = 0 if reconstructed is None else reconstructed.shape[2]
    forward = _both(model, num_bands, target) if num_bands else _branch(model, "segment")
    matrices = {
        name: torch.zeros(num_classes, num_classes, dtype=torch.int64) for name in references
    }
    with _evaluating(model):
        for top, bottom, outputs in _summed(forward, image, windows, batch_size, device, scaling):
            logits = outputs[num_bands:]
            if not logits.isfinite().all():  # argmax would make class 0 or another of it
                raise FloatingPointError("logits must be finite, got NaN or infinity; lower lr")
            prediction = logits.max(dim=0).indices  # argmax takes ten times as long
            for name, reference in references.items():
                rows = _as_tensor(reference[top:bottom]).to(prediction.device)
                matrices[name] += confusion_matrix(prediction, rows, num_classes).cpu()
            if predicted is not None:
                predicted[top:bottom] = prediction.to(torch.uint8).cpu().numpy()
            if reconstructed is not None:
                counts = windows.weight_sums(top, bottom).to(outputs.device)
                unit = (outputs[:num_bands] / counts).permute(1, 2, 0)
                reconstructed[top:bottom] = as_bytes(unit).cpu().numpy()
    return matrices


def as_bytes(unit: Tensor) -> Tensor:
    """Values, 0 ... 1, as uint8, 0-255; those beyond, and NaN, are clamped."""
    return unit.mul(255).round().nan_to_num(0.0).clamp(0, 255).to(torch.uint8)


def _windows(
    image: Pixels, window_px: int, step_px: int, scaling: BandScaling | None
) -> SlidingWindows:
    """The windows of a tile, whose image is checked to be what `predict_logits` asks for."""
    dtype = "uint8" if scaling is None else scaling.dtype
    if image.ndim != 3 or str(image.dtype).removeprefix("torch.") != dtype or 0 in image.shape:
        raise ValueError(f"image must be {dtype} (C, H, W), got {image.dtype} {tuple(image.shape)}")
    height, width = image.shape[1:]
    return SlidingWindows(height_px=height, width_px=width, window_px=window_px, step_px=step_px)


def _summed(
    forward: Forward,
    image: Pixels,
    windows: SlidingWindows,
    batch_size: int,
    device: torch.device | str,
    scaling: BandScaling | None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Outputs of a tile, `overlap_add`; a batch is filled with windows of several rows."""
    to_unit = (uint8_scaling(len(image)) if scaling is None else scaling).to_unit
    return overlap_add(
        lambda images: forward(to_unit(images)),
        lambda top, bottom: (_as_tensor(image[:, top:bottom]), None),
        windows,
        batch_size=batch_size,
        device=torch.device(device),
        rows_at_once=max(1, batch_size // len(windows.lefts)),
    )


def _as_tensor(pixels: Tensor | NDArray[Any]) -> Tensor:
    """The pixels as a tensor; an array is copied, since those of a tile set are read-only."""
    return pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.array(pixels))


def _branch(model: nn.Module, name: str) -> Forward:
    """The method of the model that computes one branch."""
    method = getattr(model, name, None)
    if not callable(method):
        raise TypeError(
            f"model must have a method `{name}`, got {type(model).__name__}; "
            "pass the model itself (`.module` of a data-parallel wrapper)"
        )
    branch: Forward = method
    return branch


def _rebuilding(model: nn.Module, target: Target) -> Forward:
    """The branch that reconstructs, brought back to the scale of images."""
    branch = _branch(model, "reconstruct")

    def forward(images: Tensor) -> Tensor:
        return to_images(branch(images), target, images)

    return forward


def _both(model: nn.Module, num_bands: int, target: Target) -> Forward:
    """One pass for both branches: bands of the reconstruction first, then the logits."""
    _branch(model, "reconstruct")

    def forward(images: Tensor) -> Tensor:
        logits, reconstruction = model(images)
        rebuilt = to_images(reconstruction, target, images)
        return torch.cat([rebuilt[:, :num_bands], logits], dim=1)

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
