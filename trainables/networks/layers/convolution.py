"""3x3 convolutions that take the gradient of their weights in the way that is fast for it.

oneDNN's AVX2 kernel for that gradient passes over the images once for every eight by eight
channels. In channels-last it then reads eight of the many channels that lie side by side, and is up
to four times as slow as in torch's default layout where an image does not fit into the cache. It is
slow as well where weights are many, which it writes in a layout of its own; torch then brings them
into its default one, and again into that of the weights.

With many channels and pixels the gradient is therefore a product of matrices: the channels of all
outputs by the 3 x 3 inputs around each. Its result lies in memory as the weights do, and is at
least as exact. With less of either and large images the same kernel of oneDNN runs in the default
layout, and gives the same to the last bit. The other two passes are as fast or faster in channels-
last. docs/performance.md has the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Way = Literal["product", "default layout", "torch"]
"""How the gradient of the weights is taken."""

_MANY_CHANNELS: Final = 64
"""With as many on both sides, a product of matrices is the fastest."""
_MANY_PX: Final = 2048
"""Pixels of all images together from which it is; with fewer a whole step gains nothing."""
_FEW_CHANNELS: Final = 16
"""With fewer, on either side, changing the layout takes longer than it saves, whatever the size."""
_SOME_CHANNELS: Final = 32
"""So it does unless one side has as many as this."""
_LARGE_BYTES: Final = 1 << 20
"""Least size of one image, of the side with more channels, from which the layout matters."""
_PRODUCT_PX: Final = 1024
"""Pixels of one product of matrices, whose surroundings then fit the cache."""


class Convolution(nn.Conv2d):
    """A convolution of stride 1 as torch's own, with the same weights, results and gradients."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """A 3x3 convolution that keeps height and width, with a bias."""
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Convolve images (N, C, H, W) to (N, K, H, W)."""
        if torch.is_grad_enabled() and self.weight.requires_grad:
            way = fastest_way(input, self.weight)
            if way != "torch":
                convolved: Tensor = _Convolved.apply(input, self.weight, self.bias, way)  # type: ignore[no-untyped-call]
                return convolved
        return super().forward(input)


def fastest_way(images: Tensor, weight: Tensor) -> Way:
    """How the gradient of the weights is taken the fastest, change of layout included.

    It follows from shapes and the processor's kernels alone, so that a trial that is continued goes
    on as it began.

    Args:
        images: (N, C, H, W).
        weight: (K, C, 3, 3).
    """
    if not (
        images.device.type == "cpu"
        and images.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
        and images.is_contiguous(memory_format=torch.channels_last)
    ):
        return "torch"
    fewer, more = sorted(weight.shape[:2])
    num, _, height, width = images.shape
    if fewer >= _MANY_CHANNELS and num * height * width >= _MANY_PX:
        return "product"
    image_bytes = more * height * width * images.element_size()
    if fewer >= _FEW_CHANNELS and more >= _SOME_CHANNELS and image_bytes >= _LARGE_BYTES:
        return "default layout"
    return "torch"


class _Convolved(torch.autograd.Function):
    """What `Convolution` computes, and its gradients."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, way: Way) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.way = way
        return F.conv2d(images, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        needs_images, _, needs_bias, _ = ctx.needs_input_grad
        of_images: Tensor | None = None
        of_weight: Tensor | None
        if needs_images:
            of_images, _, _ = _backward(gradient, images, weight, (True, False, False))
        if ctx.way == "product":
            of_weight, of_bias = _product(gradient, images, needs_bias)
            return of_images, of_weight, of_bias, None
        _, of_weight, of_bias = _backward(
            _default_layout(gradient),
            _default_layout(images),
            weight.contiguous(),
            (False, True, needs_bias),
        )
        return of_images, of_weight, of_bias, None


def _product(gradient: Tensor, images: Tensor, needs_bias: bool) -> tuple[Tensor, Tensor | None]:
    """Gradients of the weights (K, C, 3, 3), in channels-last, and of the bias (K,), by products.

    Args:
        gradient: Of the outputs (N, K, H, W).
        images: (N, C, H, W).
        needs_bias: Whether the latter is wanted.
    """
    of_outputs = gradient.permute(0, 2, 3, 1).contiguous()
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    (num, height, width, num_out), num_in = of_outputs.shape, images.shape[1]
    per_image, per_row, per_pixel, _ = padded.stride()
    # The three pixels of a row lie side by side: the inputs around a pixel are three pieces.
    around = padded.as_strided(
        (num, height, width, 3, 3 * num_in), (per_image, per_row, per_pixel, per_row, 1)
    )
    of_weight = images.new_empty(num_out, 9 * num_in)
    for index, (some, outputs) in enumerate(zip(_pieces(around), _pieces(of_outputs), strict=True)):
        factors = outputs.reshape(-1, num_out).t(), some.reshape(-1, 9 * num_in)
        torch.addmm(of_weight, *factors, beta=float(index > 0), out=of_weight)
    of_bias = of_outputs.sum(dim=(0, 1, 2)) if needs_bias else None
    return of_weight.view(num_out, 3, 3, num_in).permute(0, 3, 1, 2), of_bias


def _pieces(images: Tensor) -> Iterator[Tensor]:
    """Images (N, H, W, ...) in pieces of about `_PRODUCT_PX` pixels: images, or rows of one."""
    height, width = images.shape[1:3]
    if height * width <= _PRODUCT_PX:
        yield from torch.split(images, _PRODUCT_PX // (height * width))
        return
    for image in images:
        yield from torch.split(image, max(1, _PRODUCT_PX // width))


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
