"""U-Net and U-REC with the feature maps of a pretrained encoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from contract.parameters import PARAMETERS
from trainables.errors import ConfigError
from trainables.networks.encoders.backbone import Backbone
from trainables.networks.encoders.decoders import (
    ReconstructionLevels,
    SegmentationLevels,
    block_width,
    level_widths,
    size_of,
)
from trainables.networks.layers.blocks import ConvBlock, crop_to, first_of, pad_to_stride
from trainables.networks.network import Network, NetworkConfig, Output, first_images
from trainables.settings.config import TrainingConfig


class EncoderUNet(Network):
    """An encoder, one block on its deepest stage, and U-Net's decoder on its stages.

    The decoder's blocks have the channels of the published ones at their strides. It ends with one
    upsampling from the finest stage to the image, without a skip.

    Args:
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        config: For the width, the encoder, `encoder_weights` and `encoder_lr`.

    Raises:
        ConfigError: If there is no encoder, one of these two has another value than its row of
            `contract.parameters`, or the encoder cannot be given so many bands.
    """

    def __init__(self, num_channels: int, num_classes: int, config: NetworkConfig) -> None:
        super().__init__()
        if config.encoder is None:
            raise ConfigError("network must have an encoder, got none; name one, METHOD:ENCODER")
        self._is_pretrained = _value(config, "encoder_weights") == "pretrained"
        self._encoder_lr = _value(config, "encoder_lr")
        self.encoder = Backbone(config.encoder, num_channels, is_pretrained=self._is_pretrained)
        channels, strides = self.encoder.channels, self.encoder.strides
        self._bottom_width = block_width(strides[-1], config.width)
        self._widths = level_widths(strides, config.width)
        # In the order of the published networks: one seed gives both the same weights here.
        self.bottom = ConvBlock(channels[-1], self._bottom_width)
        self.segmentation = SegmentationLevels(
            self._bottom_width, self._widths, channels[:-1], num_classes
        )

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Class scores; see `Network.forward`."""
        return Output(self.segment(first_images(images, num_segment)), None)

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W) in [0, 1]."""
        padded = pad_to_stride(images, self.encoder.stride_px)
        features, bottom = self._encode(padded)
        return crop_to(self.segmentation(bottom, features[:-1], size_of(padded)), images)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Pretrained weights by themselves, which learn by `encoder_lr` of `lr`."""
        if not self._is_pretrained:
            return super().parameter_groups()
        pretrained = list(self.encoder.parameters())
        ids = set(map(id, pretrained))
        return [
            {"params": [one for one in self.parameters() if id(one) not in ids]},
            {"params": pretrained, "lr_factor": self._encoder_lr},
        ]

    def _encode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Feature maps of images of fitting size, finest first, and the bottom."""
        features: list[Tensor] = self.encoder(images)
        return features, self.bottom(features[-1])


class EncoderUREC(EncoderUNet):
    """The same with U-REC's second decoder, which rebuilds the image from the deepest stage.

    It shares the blocks of the other decoder but the first of each level, as published, or none
    with `rec_decoder` `own`.
    """

    has_reconstruction = True

    def __init__(self, num_channels: int, num_classes: int, config: NetworkConfig) -> None:
        super().__init__(num_channels, num_classes, config)
        is_own = _value(config, "rec_decoder") == "own"
        self.reconstruction = ReconstructionLevels(
            self._bottom_width, self._widths, num_channels, is_own=is_own
        )

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Both branches; see `Network.forward`."""
        num_segment = len(first_images(images, num_segment))
        padded = pad_to_stride(images, self.encoder.stride_px)
        features, bottom = self._encode(padded)
        skips = [first_of(one, num_segment) for one in features[:-1]]
        logits = self.segmentation(first_of(bottom, num_segment), skips, size_of(padded))
        return Output(crop_to(logits, images), self._rebuild(features, bottom, padded, images))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruction (N, C, H, W) of images (N, C, H, W) in [0, 1], without the logits."""
        padded = pad_to_stride(images, self.encoder.stride_px)
        features, bottom = self._encode(padded)
        return self._rebuild(features, bottom, padded, images)

    def _rebuild(
        self, features: list[Tensor], bottom: Tensor, padded: Tensor, images: Tensor
    ) -> Tensor:
        sizes = [*map(size_of, reversed(features[:-1])), size_of(padded)]
        return crop_to(self.reconstruction(bottom, sizes, self.segmentation.refinements), images)


def _value(config: NetworkConfig, name: str) -> Any:
    """The value of a parameter of the network; the default of training where it is not given."""
    value = config.parameters.get(name, getattr(TrainingConfig(), name))
    if not PARAMETERS[name].holds(value):
        raise ConfigError(f"{name} must be {PARAMETERS[name].rule}, got {value!r}")
    return value
