"""Errors of reconstructed pixels, by the names of `TrainingConfig.rec_loss`.

Each maps a reconstruction and its target (N, C, H, W), float32, and the pixels that count
(N, H, W), bool, to errors (N, C, H, W), of which the loss is the mean. Pixels that do not count
change no error of one that does. Errors of pixels that do not count are not to be used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

_CHARBONNIER_EPSILON: Final = 1e-3
"""Where it turns from a square into an absolute error (Lai et al. 2017)."""
_SSIM_SHARE: Final = 0.84
"""Weight of 1 - SSIM beside the absolute error (Zhao et al. 2017)."""
_WINDOW_PX: Final = 11
_SIGMA_PX: Final = 1.5
_WINDOW_SUM: Final = sum(
    math.exp(-((px - _WINDOW_PX // 2) ** 2) / (2 * _SIGMA_PX**2)) for px in range(_WINDOW_PX)
)
_C1, _C2 = 0.01**2, 0.03**2
"""Window, its sum along a line, constants of SSIM for values that span 1 (Wang et al. 2004)."""
_LEAST_WEIGHT: Final = 1e-12
"""Below that of any window with a pixel that counts."""


def l1(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Absolute error, as published."""
    return (reconstruction - target).abs()


def l2(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Squared error."""
    return _difference(reconstruction, target, valid).square()


def charbonnier(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The root of squared error + 1e-6: absolute, but smooth at 0 (Charbonnier et al. 1994)."""
    squares = _difference(reconstruction, target, valid).square()
    return (squares + _CHARBONNIER_EPSILON**2).sqrt()


def l1_ssim(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """0.84 of (1 - SSIM) and 0.16 of the absolute error (Zhao et al. 2017, at one scale)."""
    absolute = _difference(reconstruction, target, valid).abs()
    dissimilarity = 1 - ssim(reconstruction, target, valid)
    return _SSIM_SHARE * dissimilarity + (1 - _SSIM_SHARE) * absolute


def gradient(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Absolute error, and that of the differences to the next pixel on the right and below.

    Differences over depth are Eigen and Fergus's (2015), over images Mathieu et al.'s (2016). A
    difference counts where both of its pixels do.
    """
    errors = _difference(reconstruction, target, valid)
    absolute = errors.abs()
    for axis in (3, 2):
        steps = errors.diff(dim=axis).abs()
        length = errors.shape[axis] - 1
        both = valid.narrow(axis - 1, 0, length) & valid.narrow(axis - 1, 1, length)
        missing = (0, 1) if axis == 3 else (0, 0, 0, 1)
        absolute = absolute + F.pad(steps.where(both[:, None], 0.0), missing)
    return absolute


def ssim(one: Tensor, other: Tensor, valid: Tensor) -> Tensor:
    """Structural similarity around every pixel (Wang et al. 2004), per band.

    The Gaussian window has 11 px and a sigma of 1.5; its weights are those of the pixels that
    count, scaled to a sum of 1, also at the edge.

    Args:
        one: Values that span 1, (N, C, H, W), float32.
        other: The same.
        valid: Pixels that count, (N, H, W), bool.

    Returns:
        At most 1, (N, C, H, W), float32; to be used where a pixel counts.
    """
    kind = one.device.type
    knows = torch.amp.is_autocast_available(kind)  # not where shapes alone are computed
    with torch.autocast(kind, enabled=False) if knows else nullcontext():
        counted = valid[:, None].float()
        one, other = (x.float().where(valid[:, None], 0.0) for x in (one, other))
        total = _blur(counted).clamp(min=_LEAST_WEIGHT)
        mean_one, mean_other = _blur(one) / total, _blur(other) / total
        squares = mean_one.square() + mean_other.square()
        product = mean_one * mean_other
        variances = _blur(one.square() + other.square()) / total - squares
        covariance = _blur(one * other) / total - product
        luminance = (2 * product + _C1) / (squares + _C1)
        return luminance * (2 * covariance + _C2) / (variances + _C2)


def _blur(x: Tensor) -> Tensor:
    """Gaussian means (N, C, H, W) over windows, with nothing beyond the edge.

    As two products with banded matrices: they are exact in order on every device, and as fast as a
    convolution for each band.
    """
    rows, columns = (_band_matrix(length, x) for length in x.shape[-2:])
    return rows @ x @ columns


def _band_matrix(length: int, like: Tensor) -> Tensor:
    """Weights of a window around each of some pixels in line (length, length), symmetric."""
    line = torch.arange(length, device=like.device)
    apart = (line[:, None] - line).abs()
    weights = torch.exp(-apart.to(torch.float64).square() / (2 * _SIGMA_PX**2))
    return torch.where(apart <= _WINDOW_PX // 2, weights / _WINDOW_SUM, 0.0).to(like.dtype)


def _difference(reconstruction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The signed error; 0, without a gradient, where a pixel does not count."""
    return (reconstruction - target).where(valid[:, None], 0.0)


ERRORS: Final[Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "l1": l1,
    "l2": l2,
    "charbonnier": charbonnier,
    "l1_ssim": l1_ssim,
    "gradient": gradient,
}
"""By name; l1 is computed exactly as in earlier versions."""
