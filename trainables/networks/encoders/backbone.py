"""A pretrained encoder as a part of a network: its bands, its normalisation, its feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.errors import ConfigError
from trainables.networks.encoders.reading import build_backbone
from trainables.networks.network import PretrainedEncoder

_SCALES: Final = (4.0, 2.0, 1.0, 0.5)
"""What the four maps of an encoder of one stride are resized by, as in DPT (Ranftl et al. 2021)."""


class Backbone(nn.Module):
    """Feature maps of images in [0, 1] with any number of bands.

    Args:
        encoder: What it is.
        num_channels: Bands of the images, C.
        is_pretrained: Whether it begins with the weights of the encoder; else they are drawn from
            the global generator, which advances alike in both cases.

    Raises:
        ConfigError: If the encoder cannot be given so many bands.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, encoder: PretrainedEncoder, num_channels: int, *, is_pretrained: bool
    ) -> None:
        super().__init__()
        self.model = build_backbone(encoder.config, num_channels)
        if is_pretrained and encoder.state is not None:
            self._load(encoder, num_channels)
        _take_strides_out(self.model)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name not in encoder.unused)
        for name, values in (("mean", encoder.mean), ("std", encoder.std)):
            held = torch.tensor(band_values(values, num_channels))[:, None, None]
            self.register_buffer(name, held, persistent=False)
        self._scales = _SCALES if len(set(encoder.strides)) == 1 else None
        self.channels = encoder.channels
        """Channels of the maps, finest first."""
        self.strides: tuple[float, ...] = encoder.strides
        """Pixels of the image to one of each map."""
        if self._scales is not None:
            self.strides = tuple(encoder.strides[0] / scale for scale in self._scales)
        self.stride_px = math.lcm(*map(int, self.strides[-2:]))
        """Heights and widths must be a multiple of this."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode images.

        Args:
            images: (N, C, H, W), float in [0, 1]; H and W multiples of `stride_px`.

        Returns:
            Maps, finest first, the i-th of shape (N, channels[i], H / strides[i], W / strides[i])
            where the stride divides the size.
        """
        maps: Sequence[Tensor] = self.model((images - self.mean) / self.std).feature_maps
        if self._scales is None:
            return list(maps)
        return [
            one if scale == 1 else F.interpolate(one, scale_factor=scale, mode="bilinear")
            for scale, one in zip(self._scales, maps, strict=True)
        ]

    def _load(self, encoder: PretrainedEncoder, num_channels: int) -> None:
        assert encoder.state is not None
        own = self.model.state_dict()
        adapted = {}
        for name, weight in encoder.state.items():
            shape = own[name].shape
            if weight.shape == shape:
                adapted[name] = weight
            elif weight.ndim == 4 and shape == (len(weight), num_channels, *weight.shape[2:]):
                adapted[name] = adapt_bands(weight, num_channels)
            else:
                raise ConfigError(
                    f"{encoder.source} must have a first convolution over the bands, to be used "
                    f"for {num_channels} of them, got {name} {tuple(weight.shape)}; take another "
                    "encoder"
                )
        self.model.load_state_dict(adapted)


def _take_strides_out(model: nn.Module) -> None:
    """Let 1x1 convolutions with a stride get the pixels that they look at, and no others.

    What they compute is the same. oneDNN's gradient of such a convolution writes beyond its memory
    where channels are last and their number is no multiple of 8, and the process dies of it (torch
    2.13, a CPU with AVX-512).
    """
    for part in model.modules():
        if not isinstance(part, nn.Conv2d) or part.kernel_size != (1, 1):
            continue
        if part.padding == (0, 0) and part.stride != (1, 1):
            part.register_forward_pre_hook(_Strided(part.stride))
            part.stride = (1, 1)


class _Strided:
    """Hands every n-th row and column of the input to a module."""

    def __init__(self, stride: tuple[int, ...]) -> None:
        self._rows, self._columns = stride

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][..., :: self._rows, :: self._columns], *inputs[1:])


def adapt_bands(weight: Tensor, num_channels: int) -> Tensor:
    """The weights of a first convolution for another number of bands.

    The first bands have the weights of the first that it was trained on, further ones their mean,
    and all are scaled so that an image whose bands are the same gives what it gave. A single band
    has their sum.

    Args:
        weight: Of the trained convolution, (O, B, k, k).
        num_channels: Bands of the images, C.

    Returns:
        (O, C, k, k).
    """
    num = weight.shape[1]
    if num_channels == num:
        return weight
    if num_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    mean = weight.mean(dim=1, keepdim=True)
    further = mean.expand(-1, max(0, num_channels - num), -1, -1)
    return torch.cat([weight[:, :num_channels], further], dim=1) * (num / num_channels)


def band_values(values: Sequence[float], num_channels: int) -> list[float]:
    """Values of trained bands for C bands, as `adapt_bands` has it: further ones have the mean."""
    mean = math.fsum(values) / len(values)
    if num_channels == 1:
        return [mean]
    return [*values[:num_channels], *[mean] * (num_channels - len(values))]
