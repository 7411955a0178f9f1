"""3x3 convolutions that take each gradient in the memory layout that is fast for it.

oneDNN's AVX2 kernel for the gradient of the weights passes over the images once for every eight by
eight channels. In channels-last it then reads eight of the many channels that lie side by side, and
is up to four times as slow as in torch's default layout where an image does not fit into the cache.
The other two passes are as fast or faster in channels-last. Both layouts add up in the same order,
so that weights are the same to the last bit. docs/performance.md has the figures.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

_FEW_CHANNELS: Final = 16
"""With fewer, on either side, changing the layout takes longer than it saves, whatever the size."""
_MANY_CHANNELS: Final = 32
"""So it does unless one side has as many as this."""
_LARGE_BYTES: Final = 1 << 20
"""Least size of one image, of the side with more channels, from which the layout matters."""


class Convolution(nn.Conv2d):
    """A convolution of stride 1 as torch's own, with the same weights, results and gradients."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """A 3x3 convolution that keeps height and width, with a bias."""
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Convolve images (N, C, H, W) to (N, K, H, W)."""
        if torch.is_grad_enabled() and self.weight.requires_grad and gains(input, self.weight):
            convolved: Tensor = _Convolved.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return convolved
        return super().forward(input)


def gains(images: Tensor, weight: Tensor) -> bool:
    """Whether the gradient of the weights is faster in the default layout, layout change included.

    Args:
        images: (N, C, H, W).
        weight: (K, C, 3, 3).
    """
    fewer, more = sorted(weight.shape[:2])
    height, width = images.shape[2:]
    return (
        images.device.type == "cpu"
        and images.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
        and fewer >= _FEW_CHANNELS
        and more >= _MANY_CHANNELS
        and more * height * width * images.element_size() >= _LARGE_BYTES
        and images.is_contiguous(memory_format=torch.channels_last)
    )


class _Convolved(torch.autograd.Function):
    """What `Convolution` computes, and its gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(images, weight)
        return F.conv2d(images, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        needs_images, _, needs_bias = ctx.needs_input_grad
        of_images = None
        if needs_images:
            of_images, _, _ = _backward(gradient, images, weight, (True, False, False))
        _, of_weight, of_bias = _backward(
            _default_layout(gradient),
            _default_layout(images),
            weight.contiguous(),
            (False, True, needs_bias),
        )
        return of_images, of_weight, of_bias


def _backward(
    gradient: Tensor, images: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The wanted gradients of images, weights and bias."""
    padding: list[Literal[1]] = [1, 1]
    found: tuple[Tensor | None, Tensor | None, Tensor | None] = torch.ops.aten.convolution_backward(
        gradient, images, weight, [len(weight)], [1, 1], padding, [1, 1], False, [0, 0], 1, wanted
    )
    return found


def _default_layout(images: Tensor) -> Tensor:
    """A copy of images (N, C, H, W) in the default layout.

    One image at a time as a matrix, which torch transposes in blocks; `contiguous` takes up to four
    times as long.
    """
    copy = torch.empty(images.shape, dtype=images.dtype)
    for to, image in zip(copy.flatten(2), images.permute(0, 2, 3, 1).flatten(1, 2), strict=True):
        to.copy_(image.t())
    return copy
