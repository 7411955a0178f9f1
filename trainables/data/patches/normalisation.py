"""Patches whose bands have mean 0 and standard deviation 1, and the way back to images."""

from __future__ import annotations

from typing import Final, Literal

from torch import Tensor

Target = Literal["image", "normalised"]
"""What is reconstructed: `TrainingConfig.rec_target`."""

_VARIANCE_FLOOR: Final = 1e-6
"""Added to variances, as in masked autoencoders (He et al. 2022): flat patches stay flat."""


def to_target(images: Tensor, target: Target, shown: Tensor | None = None) -> Tensor:
    """What is to be reconstructed of patches.

    Args:
        images: In [0, 1], (N, C, H, W), float.
        target: The kind.
        shown: Pixels that mean and deviation are taken over, (N, H, W), bool; None for all.

    Returns:
        (N, C, H, W); `images` themselves for `image`.
    """
    if target == "image":
        return images
    mean, deviation = band_statistics(images, shown)
    return (images.float() - mean) / deviation


def to_images(reconstruction: Tensor, target: Target, images: Tensor) -> Tensor:
    """Bring what was reconstructed back to the scale of images.

    Args:
        reconstruction: (N, C, H, W), float.
        target: What it is a reconstruction of.
        images: What was reconstructed, (N, C, H, W): mean and deviation are theirs, as a
            normalised reconstruction says nothing of either.

    Returns:
        (N, C, H, W), on the scale of the images; `reconstruction` itself for `image`.
    """
    if target == "image":
        return reconstruction
    mean, deviation = band_statistics(images, None)
    return reconstruction.float() * deviation + mean


def band_statistics(images: Tensor, shown: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each band of each patch.

    Args:
        images: (N, C, H, W), float.
        shown: Pixels that count, (N, H, W), bool; None for all.

    Returns:
        Both (N, C, 1, 1), float32; 0 and almost 0 of no pixel.
    """
    images = images.float()
    if shown is None:
        shown = images.new_ones(len(images), *images.shape[2:])
    counted = shown[:, None].float()
    num_px = counted.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = (images * counted).sum(dim=(2, 3), keepdim=True) / num_px
    variance = ((images - mean).square() * counted).sum(dim=(2, 3), keepdim=True) / num_px
    return mean, (variance + _VARIANCE_FLOOR).sqrt()
