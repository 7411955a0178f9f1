"""What a device reaches at most, for shares of it."""

from __future__ import annotations

import time

import torch
from torch import nn


def lone_convolution_gflops(dtype: torch.dtype = torch.float32) -> float:
    """The best rate of one convolution on the CPU, whose tensors fit the cache, GFLOP/s."""
    num, channels, side = 4, 128, 64
    form = {"dtype": dtype, "memory_format": torch.channels_last}
    images = torch.randn(num, channels, side, side).to(**form)  # type: ignore[call-overload]
    layer = nn.Conv2d(channels, channels, 3, padding=1).to(**form)  # type: ignore[call-overload]
    seconds = []
    with torch.inference_mode():
        for _ in range(20):
            start = time.perf_counter()
            layer(images)
            seconds.append(time.perf_counter() - start)
    return 2 * num * 9 * channels**2 * side**2 / min(seconds) / 1e9


def matmul_tflops(device: str, side: int = 8192, repeats: int = 20) -> float:
    """Rate of bf16 matrix products on a card, TFLOP/s: the median of single products."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for index in range(repeats + 5):  # the first ones wake the card
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.mm(left, right)
        end.record()
        end.synchronize()
        if index >= 5:
            seconds.append(start.elapsed_time(end) / 1e3)
    return 2 * side**3 / sorted(seconds)[repeats // 2] / 1e12
