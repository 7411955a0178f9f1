"""Batch normalisation with statistics of each branch its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from trainables.networks.layers.blocks import ConvBlock


class BranchNorm(nn.Module):
    """Batch normalisation of what both branches compute, with one set of affine weights.

    The statistics of the segmentation count, except inside `reconstruction_statistics`. They are
    two modules, so that each can be synchronised over workers as any other.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        """Split a normalisation in two.

        Args:
            norm: The one that stays the segmentation's, with its affine weights.
        """
        super().__init__()
        self.segmentation = norm
        self.reconstruction = nn.BatchNorm2d(norm.num_features, affine=False)
        self.is_reconstructing = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) by the statistics of the branch that is computed."""
        if self.is_reconstructing:
            weight, bias = self.segmentation.weight, self.segmentation.bias
            scaled: Tensor = self.reconstruction(x) * weight[:, None, None] + bias[:, None, None]
            return scaled.to(x.dtype)  # affine weights stay float32 under autocast
        normalised: Tensor = self.segmentation(x)
        return normalised


def separate_norms(*parts: nn.Module) -> None:
    """Give the conv blocks of these parts statistics of each branch."""
    for part in parts:
        for block in part.modules():
            if isinstance(block, ConvBlock):
                norm = block[1]
                assert isinstance(norm, nn.BatchNorm2d)
                block[1] = BranchNorm(norm)


@contextmanager
def reconstruction_statistics(network: nn.Module) -> Iterator[None]:
    """Inside, the separate norms of a network use the statistics of the reconstruction."""
    norms = [one for one in network.modules() if isinstance(one, BranchNorm)]
    for norm in norms:
        norm.is_reconstructing = True
    try:
        yield
    finally:
        for norm in norms:
            norm.is_reconstructing = False
