"""The terms of the training loss and how equation 3 weighs them.

All are computed in float32, also under autocast. None reads a value back from the device:
that would stall a GPU at every step. An average over nothing is therefore NaN (0 / 0), never a
made-up number; the sampler makes sure that a batch holds annotated pixels, and the training
loop, which reads the loss anyway, checks that it is finite.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.methods.pixel_errors import ERRORS
from trainables.settings.process_group import ALONE, ProcessGroup

_FOCAL_GAMMA: Final = 2
"""As in Lin et al. 2017."""


def segmentation_loss(
    logits: Tensor,
    masks: Tensor,
    num_px: Tensor | None = None,
    *,
    class_weights: Tensor | None = None,
    focal: bool = False,
) -> Tensor:
    """Cross-entropy averaged over annotated pixels (equation 2 of the paper).

    Args:
        logits: Class scores (N, K, H, W), any float dtype.
        masks: Class indices (N, H, W), any integer dtype; `IGNORE_INDEX` where not annotated.
        num_px: What the sum is divided by, where these are a share of a larger batch: its
            annotated pixels, scalar; None for the annotated pixels here. With weights, their sum.
        class_weights: What a pixel of each class counts (K,); None where all count the same.
        focal: Whether a pixel counts (1 - p)^2 besides, where p is the probability of its class
            (the focal loss of Lin et al. 2017).

    Returns:
        Mean of the annotated pixels of the batch, in nats, scalar, float32; NaN where no
        pixel is annotated. Unannotated pixels have no gradient.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    _check_masks(logits, masks)
    # Summed here and not by cross_entropy, whose own mean is not deterministic on CUDA.
    losses = F.cross_entropy(
        logits.float(), masks.long(), ignore_index=IGNORE_INDEX, reduction="none"
    )
    if focal:
        losses = (1 - torch.exp(-losses)) ** _FOCAL_GAMMA * losses
    if class_weights is not None:
        losses = losses * _pixel_weights(masks, class_weights)
    return losses.sum() / (count_px(masks, class_weights) if num_px is None else num_px)


def count_px(masks: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Annotated pixels of masks (N, H, W), or the sum of their weights (K,); scalar."""
    if class_weights is None:
        return (masks != IGNORE_INDEX).sum()
    return _pixel_weights(masks, class_weights).sum()


def dice_loss(logits: Tensor, masks: Tensor, group: ProcessGroup = ALONE) -> Tensor:
    """1 - soft Dice, averaged over the classes among the annotated pixels of a batch.

    Dice of a class is 2 sum(p y) / (sum(p) + sum(y)) over all annotated pixels (Milletari et al.
    2016, without their squares). A quotient is no sum over workers, so they add up both its parts.

    Args:
        logits: Class scores (N, K, H, W), any float dtype.
        masks: Class indices (N, H, W), any integer dtype; `IGNORE_INDEX` where not annotated.
        group: The workers; each returns the loss of the batch of all. Averaged over the workers,
            its gradient is that of this loss.

    Returns:
        In [0, 1], scalar, float32; NaN where no pixel is annotated. Unannotated pixels have no
        gradient.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    _check_masks(logits, masks)
    known = masks != IGNORE_INDEX
    shares = logits.float().where(known[:, None], 0.0).softmax(dim=1).where(known[:, None], 0.0)
    classes = torch.arange(logits.shape[1], device=logits.device)[:, None, None]
    reference = (masks[:, None] == classes).float()
    held = torch.stack([x.sum(dim=(0, 2, 3)) for x in (shares * reference, shares, reference)])
    # The value of all workers, the gradient of this one's share, times their number.
    of_all = group.sum(held.detach().clone())
    overlap, predicted, annotated = of_all + group.size * (held - held.detach())
    is_held = annotated > 0
    dice = 2 * overlap / (predicted + annotated).where(is_held, 1.0)
    mean: Tensor = dice.where(is_held, 0.0).sum() / is_held.sum()
    return 1 - mean


def _check_masks(logits: Tensor, masks: Tensor) -> None:
    if logits.ndim != 4 or masks.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            "masks must be (N, H, W) for logits (N, K, H, W), "
            f"got {tuple(masks.shape)} for {tuple(logits.shape)}"
        )


def _pixel_weights(masks: Tensor, class_weights: Tensor) -> Tensor:
    """Weight of every pixel (N, H, W), float32; 0 where not annotated."""
    known = masks != IGNORE_INDEX
    return class_weights[masks.long().where(known, 0)].where(known, 0.0)


def reconstruction_loss(
    reconstruction: Tensor,
    images: Tensor,
    valid: Tensor | None = None,
    num_px: Tensor | None = None,
    *,
    kind: str = "l1",
) -> Tensor:
    """Mean error of the reconstruction; as published the absolute one (equation 1, averaged).

    Args:
        reconstruction: (N, C, H, W), any float dtype.
        images: What was to be reconstructed, (N, C, H, W), float; on a scale where values span 1,
            as [0, 1] does.
        valid: Pixels that count, (N, H, W), bool; None for all.
        num_px: What the sum is divided by, where these are a share of a larger batch: its valid
            pixels, scalar; None for the valid pixels here. It asks for `valid`.
        kind: A key of `trainables.methods.pixel_errors.ERRORS`.

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
    shape = (images.shape[0], *images.shape[2:])
    if valid is not None and (valid.dtype != torch.bool or valid.shape != shape):
        raise ValueError(
            f"valid must be bool (N, H, W) for images {tuple(images.shape)}, "
            f"got {valid.dtype} {tuple(valid.shape)}"
        )
    counted = images.new_ones(shape, dtype=torch.bool) if valid is None else valid
    errors = ERRORS[kind](reconstruction.float(), images.float(), counted)
    if valid is None:
        return errors.mean()
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
