"""A network whose outputs are computed in bf16, some of them beside those of float32."""

from __future__ import annotations

import random
from typing import Final

import torch
from torch import Tensor

from trainables.evaluation.windows import Forward

_COMPARED_EVERY: Final = 50
"""One batch of so many is computed in float32 too."""


class Bf16Forward:
    """Outputs in bf16; one batch of every fifty, drawn with a fixed seed, beside float32.

    Float32 is what the device computes without this: on a card, convolutions in TF32.
    """

    def __init__(self, forward: Forward, num_classes: int) -> None:
        """Wrap a network.

        Args:
            forward: Gives outputs (N, M, h, w), of which the first are logits.
            num_classes: How many of them are.
        """
        self._forward = forward
        self._num_classes = num_classes
        self._draw = random.Random(0)
        self._num_batches = 0
        self._next_compared = 0
        self.num_compared = 0
        """Pixels of windows, before windows are added up; those without data among them."""
        self.num_equal = 0
        """Those among them that have the class of float32."""

    def __call__(self, images: Tensor) -> Tensor:
        """Outputs (N, M, h, w), float32, of images (N, C, h, w) as read."""
        with torch.autocast(images.device.type, torch.bfloat16):
            outputs = self._forward(images).float()
        if self._num_batches == self._next_compared:
            classes, exact = (
                given[:, : self._num_classes].max(dim=1).indices
                for given in (outputs, self._forward(images))
            )
            self.num_compared += classes.numel()
            self.num_equal += int((classes == exact).sum())
            # Anywhere in the next fifty: a fixed step could always meet the same columns.
            following = self._num_batches - self._num_batches % _COMPARED_EVERY + _COMPARED_EVERY
            self._next_compared = following + self._draw.randrange(_COMPARED_EVERY)
        self._num_batches += 1
        return outputs
