"""Decoders of any encoder's feature maps, of the blocks of the published U-Net and U-REC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.networks.layers.blocks import ConvBlock, chain

_MOST: Final = 16
"""Channels of the widest block, in units of the width, as published."""

Size = tuple[int, int]
"""Height and width in pixels."""


def level_widths(strides: Sequence[float], width: int) -> list[int]:
    """Channels of the decoder's levels, coarsest first: those of the published one at that stride.

    A level is of each stride but the deepest, and of 1, the image's own.

    Args:
        strides: Of the feature maps, finest first.
        width: Channels at the stride 1.
    """
    return [block_width(stride, width) for stride in (*reversed(strides[:-1]), 1)]


def block_width(stride: float, width: int) -> int:
    """Channels of a block at a stride: in proportion to it, but `width` x 16 at most."""
    return int(width * min(_MOST, 2 ** round(math.log2(stride))))


def refinement_levels(widths: Sequence[int]) -> nn.ModuleList:
    """The refinement blocks of the levels, coarsest first; each ends with the next one's width.

    As published, there is one block less before the last level, which has none.
    """
    pairs = list(pairwise(widths))
    return nn.ModuleList(
        [chain((a, a, b, b)) for a, b in pairs[:-1]]
        + [chain((a, b, b)) for a, b in pairs[-1:]]
        + [nn.Identity()]
    )


class SegmentationLevels(nn.Module):
    """Upsamplings, each joined with the feature map of that size, then a 1x1 conv.

    The last upsampling, to the image, is joined with none. A level is an entry block, which takes
    the concatenation, followed by refinement blocks, as in
    `trainables.networks.layers.blocks.SegmentationDecoder`. All attributes are ordered coarsest
    first.

    Args:
        bottom: Channels of the bottom.
        widths: As from `level_widths`.
        skips: Channels of the feature maps but the deepest, finest first.
        num_classes: Classes, K.
    """

    def __init__(
        self, bottom: int, widths: Sequence[int], skips: Sequence[int], num_classes: int
    ) -> None:
        super().__init__()
        inputs, joined = (bottom, *widths[1:]), (*reversed(skips), 0)
        self.entries = nn.ModuleList(
            ConvBlock(before + skip, width)
            for before, skip, width in zip(inputs, joined, widths, strict=True)
        )
        self.refinements = refinement_levels(widths)
        self.head = nn.Conv2d(widths[-1], num_classes, kernel_size=1)

    def forward(self, bottom: Tensor, skips: Sequence[Tensor], size: Size) -> Tensor:
        """Class scores (N, K, *size) from the bottom and the feature maps but the deepest."""
        x = bottom
        for entry, refine, skip in zip(
            self.entries, self.refinements, (*reversed(skips), None), strict=True
        ):
            if skip is None:
                x = refine(entry(resize(x, size)))
            else:
                x = refine(entry(torch.cat((resize(x, size_of(skip)), skip), dim=1)))
        logits: Tensor = self.head(x)
        return logits


class ReconstructionLevels(nn.Module):
    """U-REC's second decoder: no skips, and every block but the entries is borrowed.

    See `trainables.networks.layers.blocks.ReconstructionDecoder`.

    Args:
        bottom: Channels of the bottom.
        widths: As from `level_widths`.
        num_channels: Bands of the images, C.
        is_own: Whether it has refinements of its own instead.
    """

    def __init__(
        self, bottom: int, widths: Sequence[int], num_channels: int, *, is_own: bool
    ) -> None:
        super().__init__()
        inputs = (bottom, *widths[1:])
        self.entries = nn.ModuleList(
            ConvBlock(before, width) for before, width in zip(inputs, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], num_channels, kernel_size=1)
        self.refinements = refinement_levels(widths) if is_own else None

    def forward(self, bottom: Tensor, sizes: Sequence[Size], refinements: nn.ModuleList) -> Tensor:
        """Reconstruct the image; the head is linear.

        Args:
            bottom: (N, bottom, h, w).
            sizes: Of the levels, coarsest first.
            refinements: `SegmentationLevels.refinements`; not used where it has its own.

        Returns:
            (N, C, H, W), on the scale of the images that were encoded.
        """
        x = bottom
        refinements = refinements if self.refinements is None else self.refinements
        for entry, refine, size in zip(self.entries, refinements, sizes, strict=True):
            x = refine(entry(resize(x, size)))
        reconstruction: Tensor = self.head(x)
        return reconstruction


def size_of(x: Tensor) -> Size:
    """Height and width of (N, C, H, W)."""
    return x.shape[-2], x.shape[-1]


def resize(x: Tensor, size: Size) -> Tensor:
    """Another height and width, bilinear, corners aligned as in the published decoder."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
