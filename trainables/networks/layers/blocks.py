"""The parts U-Net and U-REC are built from: encoder, bottom and the two decoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainables.networks.layers.convolution import Convolution

NUM_BLOCKS: Final = (2, 2, 3, 3, 3)
"""3x3 conv blocks in each of the five encoder stages."""

STRIDE_PX: Final = 2 ** len(NUM_BLOCKS)
"""Heights and widths must be a multiple of this inside the network (five max-poolings)."""

WIDTH_FACTORS: Final = (1, 2, 4, 8, 16)
"""Channels of the five encoder stages, in units of the width."""


def stage_widths(width: int) -> tuple[int, ...]:
    """Channels of the five encoder stages, finest first."""
    return tuple(width * factor for factor in WIDTH_FACTORS)


class ConvBlock(nn.Sequential):
    """3x3 convolution (with bias), batch normalisation, ReLU; keeps height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            Convolution(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


def chain(channels: Sequence[int]) -> nn.Sequential:
    """Conv blocks one after another: `channels` (a, b, c) gives a block a-b and a block b-c."""
    return nn.Sequential(*(ConvBlock(a, b) for a, b in pairwise(channels)))


class Encoder(nn.Module):
    """Five stages of conv blocks, each followed by 2x2 max-pooling, then one bottom block."""

    def __init__(self, num_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = (num_channels, *widths[:-1])
        self.stages = nn.ModuleList(
            chain((before, *[width] * num_blocks))
            for before, width, num_blocks in zip(inputs, widths, NUM_BLOCKS, strict=True)
        )
        self.bottom = ConvBlock(widths[-1], widths[-1])

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode images.

        Args:
            images: (N, C, H, W), float; H and W multiples of `STRIDE_PX`.

        Returns:
            The output of each stage before its pooling, finest first, the i-th (from 0) of
            shape (N, widths[i], H / 2**i, W / 2**i); and the bottom,
            (N, widths[-1], H / 32, W / 32).
        """
        features = []
        x = images
        for stage in self.stages:
            x = stage(x)
            features.append(x)
            x = F.max_pool2d(x, kernel_size=2)
        return features, self.bottom(x)


def refinement_stages(widths: Sequence[int]) -> nn.ModuleList:
    """The refinement blocks of the five decoder stages, coarsest first."""
    w1, w2, w3, w4, w5 = widths
    return nn.ModuleList(
        (
            chain((w5, w5, w4, w4)),
            chain((w4, w4, w3, w3)),
            chain((w3, w3, w2, w2)),
            chain((w2, w1, w1)),
            nn.Identity(),  # the final stage has an entry block alone
        )
    )


class SegmentationDecoder(nn.Module):
    """Five upsamplings, each joined with the encoder stage of that size, then a 1x1 conv.

    A decoder stage is an entry block, which takes the concatenation, followed by refinement
    blocks. The refinements are what U-REC's reconstruction shares; all attributes are ordered
    coarsest stage first.
    """

    def __init__(self, widths: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.entries = nn.ModuleList(ConvBlock(2 * width, width) for width in reversed(widths))
        self.refinements = refinement_stages(widths)
        self.head = nn.Conv2d(widths[0], num_classes, kernel_size=1)

    def forward(self, features: Sequence[Tensor], bottom: Tensor) -> Tensor:
        """Class scores (N, K, H, W) from what `Encoder.forward` returned."""
        x = bottom
        for entry, refine, skip in zip(
            self.entries, self.refinements, reversed(features), strict=True
        ):
            x = refine(entry(torch.cat((upsample(x), skip), dim=1)))
        logits: Tensor = self.head(x)
        return logits


class ReconstructionDecoder(nn.Module):
    """U-REC's second decoder: no skips, and every block but the entries is borrowed.

    As published it owns its entry blocks and its 1x1 conv only. The refinements are passed to
    `forward` instead of being registered here a second time, so that every tensor has one name in
    the state dict (averaging weights by name would otherwise treat shared ones twice).

    Args:
        widths: Channels of the encoder stages, finest first.
        num_channels: Bands of the images, C.
        is_own: Whether it has refinements of its own instead.
    """

    def __init__(self, widths: Sequence[int], num_channels: int, *, is_own: bool = False) -> None:
        super().__init__()
        self.entries = nn.ModuleList(ConvBlock(width, width) for width in reversed(widths))
        self.head = nn.Conv2d(widths[0], num_channels, kernel_size=1)
        # Drawn last: one seed gives the layers above the same weights with and without them.
        self.refinements = refinement_stages(widths) if is_own else None

    def forward(self, bottom: Tensor, refinements: nn.ModuleList) -> Tensor:
        """Reconstruct the image.

        The head is linear (no sigmoid, as published): values may leave [0, 1].

        Args:
            bottom: (N, widths[-1], H / 32, W / 32), from `Encoder.forward`.
            refinements: `SegmentationDecoder.refinements`, shared with that decoder; not used
                where it has its own.

        Returns:
            (N, C, H, W), on the scale of the images that were encoded.
        """
        x = bottom
        refinements = refinements if self.refinements is None else self.refinements
        for entry, refine in zip(self.entries, refinements, strict=True):
            x = refine(entry(upsample(x)))
        reconstruction: Tensor = self.head(x)
        return reconstruction


def first_of(x: Tensor, num: int) -> Tensor:
    """The first images of a batch, whose gradient lies in memory as the batch does.

    torch 2.13 puts the gradient of a slice into zeros in its default layout, also where the slice
    is the whole; what is computed in channels-last then takes up to 25 times as long with it.

    Args:
        x: A batch (N, ...).
        num: How many, 1 ... N.
    """
    if num == len(x):
        return x
    first: Tensor = _First.apply(x, num)  # type: ignore[no-untyped-call]
    return first


class _First(torch.autograd.Function):
    """What `first_of` gives, and its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, num: int) -> Tensor:
        ctx.num_others = len(x) - num
        return x[:num]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Padding keeps the layout.
        return F.pad(gradient, (0, 0) * (gradient.ndim - 1) + (0, ctx.num_others)), None


def upsample(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear, corners aligned as in the authors' code."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def pad_to_stride(images: Tensor, stride_px: int = STRIDE_PX) -> Tensor:
    """Repeat the last row and column until H and W are multiples of a stride.

    Args:
        images: (N, C, H, W), float; any H and W from 1. Replication, unlike reflection, also
            works where the padding is larger than the image.
        stride_px: The stride; that of the published networks if none is given.

    Returns:
        (N, C, H', W'); `images` itself where nothing is missing.
    """
    height, width = images.shape[-2:]
    missing = (0, -width % stride_px, 0, -height % stride_px)
    return F.pad(images, missing, mode="replicate") if any(missing) else images


def crop_to(x: Tensor, images: Tensor) -> Tensor:
    """The top left part of `x` (N, K, H', W') that has the height and width of `images`."""
    height, width = images.shape[-2:]
    return x[..., :height, :width]
