"""The plain U-Net the paper compares with."""

from __future__ import annotations

from torch import Tensor

from trainables.networks.layers.blocks import (
    Encoder,
    SegmentationDecoder,
    crop_to,
    pad_to_stride,
    stage_widths,
)
from trainables.networks.network import Network, NetworkConfig, Output, first_images


class UNet(Network):
    """Encoder and segmentation decoder, as in the authors' code (21.9 M parameters at width 32).

    Args:
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        config: For the width.
    """

    draws = False

    def __init__(self, num_channels: int, num_classes: int, config: NetworkConfig) -> None:
        super().__init__()
        widths = stage_widths(config.width)
        self.encoder = Encoder(num_channels, widths)
        self.segmentation = SegmentationDecoder(widths, num_classes)

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Class scores; see `Network.forward`."""
        images = first_images(images, num_segment)
        features, bottom = self.encoder(pad_to_stride(images))
        return Output(crop_to(self.segmentation(features, bottom), images), None)
