"""U-REC: a U-Net whose decoder blocks also reconstruct the image."""

from __future__ import annotations

import torch
from torch import Tensor

from contract.parameters import PARAMETERS, Value
from trainables.errors import ConfigError
from trainables.networks.layers.blocks import (
    Encoder,
    ReconstructionDecoder,
    SegmentationDecoder,
    crop_to,
    first_of,
    pad_to_stride,
    stage_widths,
)
from trainables.networks.layers.branch_norm import reconstruction_statistics, separate_norms
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

    With `branch_norm` `separate`, the encoder and the shared blocks have statistics of each branch.
    While training, the encoder normalises the patches to segment and those from anywhere apart. In
    evaluation the encoder uses the statistics of the segmentation, and each decoder its own
    branch's. With `rec_decoder` `own` the decoders share no block (30.5 M parameters at width 32).

    Args:
        num_channels: Bands of the images, C.
        num_classes: Classes, K.
        config: For the width, and `branch_norm` and `rec_decoder`, `shared` where not given.

    Raises:
        ConfigError: If one of those two has another value than its row of `contract.parameters`.
    """

    has_reconstruction = True
    draws = False

    def __init__(self, num_channels: int, num_classes: int, config: NetworkConfig) -> None:
        super().__init__()
        widths = stage_widths(config.width)
        # Registered in U-Net's order, so that one seed gives both models the same weights here.
        self.encoder = Encoder(num_channels, widths)
        self.segmentation = SegmentationDecoder(widths, num_classes)
        is_own = _choice(config, "rec_decoder") == "own"
        self.reconstruction = ReconstructionDecoder(widths, num_channels, is_own=is_own)
        self._is_separate = _choice(config, "branch_norm") == "separate"
        if self._is_separate:
            separate_norms(self.encoder, *([] if is_own else [self.segmentation.refinements]))

    def forward(self, images: Tensor, num_segment: int | None = None) -> Output:
        """Both branches; see `Network.forward`."""
        num_segment = len(first_images(images, num_segment))
        features, bottom = self._encode(pad_to_stride(images), num_segment)
        logits = self.segmentation(
            [first_of(f, num_segment) for f in features], first_of(bottom, num_segment)
        )
        return Output(crop_to(logits, images), crop_to(self._rebuild(bottom), images))

    def segment(self, images: Tensor) -> Tensor:
        """Logits (N, K, H, W) of images (N, C, H, W) in [0, 1], without the reconstruction."""
        features, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self.segmentation(features, bottom), images)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstruction (N, C, H, W) of images (N, C, H, W) in [0, 1], without the logits."""
        _, bottom = self.encoder(pad_to_stride(images))
        return crop_to(self._rebuild(bottom), images)

    def _encode(self, images: Tensor, num_segment: int) -> tuple[list[Tensor], Tensor]:
        """Features of the images to segment at least, and the bottom of all."""
        encoded: tuple[list[Tensor], Tensor]
        if not (self._is_separate and self.training and num_segment < len(images)):
            encoded = self.encoder(images)
            return encoded
        features, bottom = self.encoder(images[:num_segment])
        with reconstruction_statistics(self):
            _, other = self.encoder(images[num_segment:])
        return features, torch.cat([bottom, other])

    def _rebuild(self, bottom: Tensor) -> Tensor:
        with reconstruction_statistics(self):
            reconstruction: Tensor = self.reconstruction(bottom, self.segmentation.refinements)
        return reconstruction


def _choice(config: NetworkConfig, name: str) -> Value:
    """The value of a parameter of the network; `shared`, as published, where it is not given."""
    value = config.parameters.get(name, "shared")
    if not PARAMETERS[name].holds(value):
        raise ConfigError(f"{name} must be {PARAMETERS[name].rule}, got {value!r}")
    return value
