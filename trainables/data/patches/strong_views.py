"""Strongly augmented views of patches, from which the labels that a teacher gives are learned.

Values change by colours, blur and noise, and a box of every view is cut from another patch
(CutMix). Places do not change, so that a pixel keeps its label. All of it is defined for any number
of bands, and pixels that show nothing neither change nor change others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from trainables.data.patches.normalisation import band_statistics
from trainables.settings.seeds import torch_generator

_COLOUR_RATE: Final = 0.8
_BLUR_RATE: Final = 0.5
"""Shares of the patches whose colours change, and that are blurred, as in UniMatch (Yang et al.
2023); noise is on all."""
_ALL_BANDS: Final = 0.5
"""Factors of brightness and contrast that all bands have in common are in 1 ± this (there too)."""
_EACH_BAND: Final = 0.1
"""Those of each band, in the place of hue and saturation, which three bands alone have."""
_BLUR_PX: Final = (0.1, 2.0)
"""Standard deviation of a blur (there too)."""
_NOISE: Final = 0.25
"""Most noise, as a share of the standard deviation of a band of a patch."""
_BOX_SHARE: Final = 0.5
"""Area of a box beside that of its patch (French et al. 2020)."""


@dataclass(frozen=True, kw_only=True)
class StrongViews:
    """Views of V patches from anywhere, and the patches themselves; V of them, or V + 1.

    Every view holds a box of the patch after its own; the last view of a batch holds one of the
    first patch. Where a worker's last view holds one of another worker's patch, that comes last.
    """

    patches: Tensor
    """What the teacher sees, float32 in [0, 1] (V or V + 1, C, H, W)."""
    images: Tensor
    """The views, float32 in [0, 1] (V, C, H, W)."""
    pasted: Tensor
    """Whether a pixel of a view comes from the patch after its own, bool (V, H, W)."""
    shown: Tensor
    """Whether a pixel of a view shows anything, bool (V, H, W)."""

    def mix(self, values: Tensor) -> Tensor:
        """What is where in the views (V, H, W), of values of the patches (V or V + 1, H, W)."""
        return _mix(values, self.pasted)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is done to P patches of C bands."""

    brightness: Tensor
    """Factor of every value, float32 (P, C)."""
    contrast: Tensor
    """Factor of the distance from the mean of the band, float32 (P, C)."""
    blur_px: Tensor
    """Standard deviation of the blur, float32 (P,); 0 for none."""
    noise: Tensor
    """Standard deviation of the noise beside that of the band, float32 (P,)."""
    noise_seeds: tuple[int, ...]
    """Seed of the noise of every patch."""
    boxes: Tensor
    """First row, first column, row and column after the last one, of what a view holds of the patch
    after its own; int64 (P, 4)."""


def draw_changes(
    seed: int, step: int, numbers: Sequence[int], *, num_bands: int, patch_px: int
) -> Changes:
    """Draw what is done to patches; it follows from the trial's seed, the step and the patch alone.

    All is on the CPU.

    Args:
        seed: The trial's.
        step: From 0.
        numbers: Places of the patches among those of all workers (P).
        num_bands: C.
        patch_px: Side of a patch.
    """
    brightness, contrast, blur_px, noise, boxes = [], [], [], [], []
    for number in numbers:
        generator = torch_generator(seed, "strong_views", step, number)
        rates = torch.rand(2, generator=generator)
        all_bands = 1 + _ALL_BANDS * _around_0((2, 1), generator)
        each_band = 1 + _EACH_BAND * _around_0((2, num_bands), generator)
        factors = torch.where(rates[0] < _COLOUR_RATE, all_bands * each_band, 1.0)
        brightness.append(factors[0])
        contrast.append(factors[1])
        low, high = _BLUR_PX
        sigma = low + (high - low) * torch.rand((), generator=generator)
        blur_px.append(torch.where(rates[1] < _BLUR_RATE, sigma, 0.0))
        noise.append(_NOISE * torch.rand((), generator=generator))
        boxes.append(_box(torch.rand(3, generator=generator, dtype=torch.float64), patch_px))
    return Changes(
        brightness=torch.stack(brightness),
        contrast=torch.stack(contrast),
        blur_px=torch.stack(blur_px),
        noise=torch.stack(noise),
        noise_seeds=tuple(
            torch_generator(seed, "noise", step, number).initial_seed() for number in numbers
        ),
        boxes=torch.stack(boxes),
    )


def make_views(patches: Tensor, shown: Tensor, changes: Changes, num_views: int) -> StrongViews:
    """View patches strongly.

    Args:
        patches: Float32 in [0, 1] (P, C, H, W).
        shown: Whether a pixel shows anything, bool (P, H, W).
        changes: Of the patches, where those are.
        num_views: Views wanted (V): P, or P - 1 where the last patch is there for its box alone.
    """
    mean, deviation = band_statistics(patches, shown)
    changed = change_colours(patches, mean, changes.brightness, changes.contrast)
    changed = blur(changed, shown, changes.blur_px)
    noise = noise_like(patches, changes.noise_seeds)
    changed = changed + changes.noise[:, None, None, None] * deviation * noise
    changed = torch.where(shown[:, None], changed.clamp(0.0, 1.0), patches)
    pasted = in_boxes(changes.boxes[:num_views], patches.shape[-1])
    return StrongViews(
        patches=patches,
        images=_mix(changed, pasted),
        pasted=pasted,
        shown=_mix(shown, pasted),
    )


def change_colours(patches: Tensor, mean: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Brightness times (mean + contrast times the distance from the mean), per band.

    Args:
        patches: (P, C, H, W).
        mean: Of the bands of each patch (P, C, 1, 1).
        brightness: (P, C).
        contrast: (P, C).

    Returns:
        (P, C, H, W); values may leave [0, 1].
    """
    return brightness[..., None, None] * (mean + contrast[..., None, None] * (patches - mean))


def blur(patches: Tensor, shown: Tensor, sigma_px: Tensor) -> Tensor:
    """Gaussian means over the pixels that show something, to the edge of the patch.

    As products with matrices, which add up in one order on every device.

    Args:
        patches: (P, C, H, H), float32.
        shown: Bool (P, H, H).
        sigma_px: Standard deviation for each patch (P,); 0 leaves it as it is.

    Returns:
        (P, C, H, H); to be used where a pixel shows something.
    """
    line = torch.arange(patches.shape[-1], device=patches.device)
    squares = (line[:, None] - line).square().to(patches.dtype)
    weights = torch.exp(-squares / (2 * sigma_px[:, None, None].square()))
    weights = torch.where(squares == 0, 1.0, weights)[:, None]  # also of a deviation of 0
    counted = shown[:, None].to(patches.dtype)
    total = (weights @ counted @ weights).clamp(min=torch.finfo(patches.dtype).tiny)
    return (weights @ (patches * counted) @ weights) / total


def noise_like(patches: Tensor, seeds: Sequence[int]) -> Tensor:
    """Standard normal numbers in the shape of the patches (P, C, H, W), from a seed for each."""
    shape, device = patches.shape[1:], patches.device
    return torch.stack(
        [
            torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)
            for seed in seeds
        ]
    )


def in_boxes(boxes: Tensor, side_px: int) -> Tensor:
    """Whether pixels of squares lie in boxes (V, 4), bool (V, side_px, side_px)."""
    line = torch.arange(side_px, device=boxes.device)
    top, left, bottom, right = (one[:, None] for one in boxes.unbind(1))
    rows, columns = (line >= top) & (line < bottom), (line >= left) & (line < right)
    return rows[:, :, None] & columns[:, None, :]


def _box(drawn: Tensor, side_px: int) -> Tensor:
    """A box of half the area of a square, of any shape and place that fits (4,), int64."""
    shape, *places = drawn.tolist()
    height_share = _BOX_SHARE**shape
    sizes = [round(side_px * share) for share in (height_share, _BOX_SHARE / height_share)]
    corner = [round((side_px - size) * place) for size, place in zip(sizes, places, strict=True)]
    return torch.tensor([*corner, *(sum(one) for one in zip(corner, sizes, strict=True))])


def _around_0(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(shape, generator=generator) - 1


def _mix(values: Tensor, pasted: Tensor) -> Tensor:
    """Values (P, ..., H, W) of the patches, and inside of the boxes of those after them."""
    num_views = len(pasted)
    inside = pasted.reshape(num_views, *[1] * (values.ndim - pasted.ndim), *pasted.shape[1:])
    return torch.where(inside, values.roll(-1, 0)[:num_views], values[:num_views])
