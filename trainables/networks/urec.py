"""U-REC: a U-Net whose decoder blocks also reconstruct the image."""

from __future__ import annotations

from torch import Tensor

from trainables.networks.blocks import (
    Encoder,
    ReconstructionDecoder,
    SegmentationDecoder,
    crop_to,
    pad_to_stride,
    stage_widths,
)
from trainables.networks.network import Network, NetworkConfig, Output, first_images


class UREC(Network):
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
        config: For the width.
    """

    has_reconstruction = True
    draws = False

    def __init__(self, num_channels: int, num_classes: int, config: NetworkConfig) -> None:
        super().__init__()
        widths = stage_widths(config.width)
        # Registered in U-Net's order, so that one seed gives both models the same weights here.
        self.encoder = Encoder(num_channels, widths)
        self.segmentation = SegmentationDecoder(widths, num_classes)
        self.reconstruction = ReconstructionDecoder(widths, num_channels)

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Both branches; see `Network.forward`."""
        num_segment = len(first_images(images, num_segment))
        features, bottom = self.encoder(pad_to_stride(images))
        logits = self.segmentation([f[:num_segment] for f in features], bottom[:num_segment])
        reconstruction = self.reconstruction(bottom, self.segmentation.refinements)
        return Output(crop_to(logits, images), crop_to(reconstruction, images))

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W) in [0, 1], without the reconstruction."""
        features, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.segmentation(features, bottom), images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruction (N, C, H, W) of images (N, C, H, W) in [0, 1], without the logits."""
        _, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.reconstruction(bottom, self.segmentation.refinements), images)
