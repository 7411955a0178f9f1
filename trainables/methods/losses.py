"""The terms of the training loss and how equation 3 weighs them.

All are computed in float32, also under autocast. None reads a value back from the device:
that would stall a GPU at every step. An average over nothing is therefore NaN (0 / 0), never a
made-up number; the sampler makes sure that a batch holds annotated pixels, and the training
loop, which reads the loss anyway, checks that it is finite.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX


def segmentation_loss(logits: Tensor, masks: Tensor, num_px: Tensor | None = None) -> Tensor:
    """Cross-entropy averaged over annotated pixels (equation 2 of the paper).

    Args:
        logits: Class scores (N, K, H, W), any float dtype.
        masks: Class indices (N, H, W), any integer dtype; `IGNORE_INDEX` where not annotated.
        num_px: What the sum is divided by, where these are a share of a larger batch: its
            annotated pixels, scalar; None for the annotated pixels here.

    Returns:
        Mean of the annotated pixels of the batch, in nats, scalar, float32; NaN where no
        pixel is annotated. Unannotated pixels have no gradient.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    if logits.ndim != 4 or masks.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            "masks must be (N, H, W) for logits (N, K, H, W), "
            f"got {tuple(masks.shape)} for {tuple(logits.shape)}"
        )
    # Summed here and not by cross_entropy, whose own mean is not deterministic on CUDA.
    losses = F.cross_entropy(
        logits.float(), masks.long(), ignore_index=IGNORE_INDEX, reduction="none"
    )
    return losses.sum() / ((masks != IGNORE_INDEX).sum() if num_px is None else num_px)


def reconstruction_loss(
    reconstruction: Tensor,
    images: Tensor,
    valid: Tensor | None = None,
    num_px: Tensor | None = None,
) -> Tensor:
    """Mean absolute error of the reconstruction (equation 1, averaged).

    Args:
        reconstruction: (N, C, H, W), any float dtype.
        images: What was to be reconstructed, scaled to [0, 1], (N, C, H, W), float.
        valid: Pixels that count, (N, H, W), bool; None for all.
        num_px: What the sum is divided by, where these are a share of a larger batch: its valid
            pixels, scalar; None for the valid pixels here. It asks for `valid`.

    Returns:
        Mean over the channels of the valid pixels, scalar, float32; NaN where none is valid.

    Raises:
        ValueError: If the shapes differ, `images` is not float, or `valid` is not bool (N, H, W).
    """
    if reconstruction.shape != images.shape:
        raise ValueError(
            f"reconstruction must have the shape of images {tuple(images.shape)}, "
            f"got {tuple(reconstruction.shape)}"
        )
    if not images.is_floating_point():
        raise ValueError(f"images must be float in [0, 1], got {images.dtype}; divide by 255")
    errors = (reconstruction.float() - images.float()).abs()
    if valid is None:
        return errors.mean()
    if valid.dtype != torch.bool or valid.shape != (images.shape[0], *images.shape[2:]):
        raise ValueError(
            f"valid must be bool (N, H, W) for images {tuple(images.shape)}, "
            f"got {valid.dtype} {tuple(valid.shape)}"
        )
    total = errors.mean(dim=1).where(valid, 0.0).sum()
    return total / (valid.sum() if num_px is None else num_px)


def weighted_loss(w1: float, loss_rec: Tensor, loss_seg: Tensor) -> Tensor:
    """Weighted sum of both terms, `w1 * loss_rec + (1 - w1) * loss_seg` (equation 3).

    Args:
        w1: Weight of the reconstruction, in [0, 1); 0.1 in the paper. At 1 nothing would
            learn to segment.
        loss_rec: L1, scalar, from `reconstruction_loss`.
        loss_seg: L2, scalar, from `segmentation_loss`.

    Returns:
        The loss to minimise, scalar, float32.

    Raises:
        ValueError: If w1 is not in [0, 1).
    """
    if not 0 <= w1 < 1:
        raise ValueError(f"w1 must be in [0, 1), got {w1!r}")
    return w1 * loss_rec.float() + (1 - w1) * loss_seg.float()
