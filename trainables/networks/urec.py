"""U-REC: a U-Net whose decoder blocks also reconstruct the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from trainables.networks.blocks import (
    Encoder,
    ReconstructionDecoder,
    SegmentationDecoder,
    crop_to,
    pad_to_stride,
)


class URecOutput(NamedTuple):
    """Both branches of one forward pass."""

    logits: Tensor
    """Class scores of the segmented images, (num_segment, K, H, W)."""
    reconstruction: Tensor
    """All images, reconstructed, (N, C, H, W); linear, so values may leave [0, 1]."""


class UREC(nn.Module):
    """One encoder, two decoders with shared blocks (25.1 M parameters at width 32).

    Batch normalisation inside the shared blocks sees both branches: while training, each
    branch is normalised by its own batch statistics, and the running statistics take in
    both, segmentation first (figure 1 of the paper; the authors' code). The authors run the
    shared bottom block once per branch, on the same input; here it runs once, for 0.9 of 136.2
    GFLOP less (forward and backward, one 256 x 256 patch). Outputs and gradients of a step are the
    same. The block's running statistics are not: theirs move twice per step towards the same batch
    statistics, with momentum 0.1 by 0.19 of the way, here by 0.1.

    Args:
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        widths: Channels of the five encoder stages, finest first.
    """

    def __init__(self, num_channels: int, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        # Registered in U-Net's order, so that one seed gives both models the same weights here.
        self.encoder = Encoder(num_channels, widths)
        self.segmentation = SegmentationDecoder(widths, num_classes)
        self.reconstruction = ReconstructionDecoder(widths, num_channels)

    def forward(self, images: Tensor, num_segment: int | None = None) -> URecOutput:
        """Segment the first images of a batch and reconstruct all of them.

        Args:
            images: (N, C, H, W), float in [0, 1]; any height and width. Patches to segment come
                first, patches for the reconstruction term alone after them.
            num_segment: How many images to segment; None for all.

        Returns:
            Logits (num_segment, K, H, W) and reconstruction (N, C, H, W).

        Raises:
            ValueError: If num_segment is not in 1 ... N.
        """
        if num_segment is None:
            num_segment = len(images)
        if not 1 <= num_segment <= len(images):
            raise ValueError(
                f"num_segment must be in 1 ... {len(images)} (the batch), got {num_segment!r}; "
                "use `reconstruct` for a batch without annotations"
            )
        features, bottom = self.encoder(pad_to_stride(images))
        logits = self.segmentation([f[:num_segment] for f in features], bottom[:num_segment])
        reconstruction = self.reconstruction(bottom, self.segmentation.refinements)
        return URecOutput(crop_to(logits, images), crop_to(reconstruction, images))

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W) in [0, 1], without the reconstruction."""
        features, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.segmentation(features, bottom), images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruction (N, C, H, W) of images (N, C, H, W) in [0, 1], without the logits."""
        _, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.reconstruction(bottom, self.segmentation.refinements), images)
