"""What every method learns from annotated pixels: the loss chosen, the classes weighted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.data.patches.sampler import Batch
from trainables.methods.losses import count_px, dice_loss, segmentation_loss
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


def segmentation_term(
    logits: Tensor, batch: Batch, training: TrainingConfig, group: ProcessGroup
) -> Tensor:
    """The loss of the annotated pixels of a batch, by `seg_loss` and `class_weights`.

    Args:
        logits: Class scores of the annotated patches (N, K, H, W).
        batch: With their masks.
        training: For the loss.
        group: The workers; see `Objective.terms`.

    Returns:
        Scalar, float32. With Dice it is the sum of both losses (Isensee et al. 2021); Dice itself
        averages over classes and so needs no weights.
    """
    num_px = group.sum(count_px(batch.masks, batch.class_weights)) / group.size
    loss = segmentation_loss(
        logits,
        batch.masks,
        num_px,
        class_weights=batch.class_weights,
        focal=training.seg_loss == "focal",
    )
    if training.seg_loss == "ce_dice":
        loss = loss + dice_loss(logits, batch.masks, group)
    return loss


def class_weights(kind: str, class_px: Sequence[int]) -> Tensor | None:
    """What an annotated pixel of each class counts.

    Args:
        kind: `TrainingConfig.class_weights`.
        class_px: Annotated pixels of each class in the budget (K,).

    Returns:
        For `sqrt_inverse` 1 / sqrt(pixels), scaled to a mean of 1 over the annotated pixels; 0 for
        a class without any, which no loss meets; float32 (K,). None for `none`.

    Raises:
        ValueError: If classes are to be weighted and no annotated pixel is counted.
    """
    if kind == "none":
        return None
    counts = torch.tensor(class_px, dtype=torch.float64)
    if not counts.sum() > 0:
        raise ValueError(f"class_px must count an annotated pixel, got {tuple(class_px)}")
    weights = torch.where(counts > 0, counts.clamp(min=1).rsqrt(), 0.0)
    return (weights * counts.sum() / (weights * counts).sum()).float()
