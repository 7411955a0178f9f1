"""The plain U-Net the paper compares with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trainables.networks.blocks import Encoder, SegmentationDecoder, crop_to, pad_to_stride


class UNet(nn.Module):
    """Encoder and segmentation decoder, as in the authors' code (21.9 M parameters at width 32).

    Args:
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        widths: Channels of the five encoder stages, finest first.
    """

    def __init__(self, num_channels: int, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = Encoder(num_channels, widths)
        self.segmentation = SegmentationDecoder(widths, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores.

        Args:
            images: (N, C, H, W), float in [0, 1]; any height and width.

        Returns:
            Logits (N, K, H, W).
        """
        features, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.segmentation(features, bottom), images)

    def segment(self, images: Tensor) -> Tensor:
        """The same as `forward`; every model of this package has this method."""
        logits: Tensor = self(images)
        return logits
