"""Noise textures of several scales, drawn once per tile and sampled at random offsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

FloatArray = NDArray[np.float32]

MARGIN_PX: Final = 192
"""How far a sample may be shifted against the tile, in px."""

LOBE_FIELD_PX: Final = 512
"""Side of the fields of leaf lobes; no crown is as large."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of pixels: rows y0 to y1, columns x0 to x1, ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.y1 <= self.y0 or self.x1 <= self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of an array (H, W)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True, kw_only=True)
class NoiseBank:
    """Fields of mean 0 and standard deviation 1, (H + margin, W + margin), float32."""

    grain: FloatArray
    """Single pixels, slightly blurred."""
    speckle: FloatArray
    """About 0.3 m."""
    patch: FloatArray
    """About 1 m."""
    stain: FloatArray
    """About 3 m."""
    sweep: FloatArray
    """About 12 m."""
    lobes: tuple[FloatArray, ...]
    """Rounded bumps in [0, 1] of growing size, (LOBE_FIELD_PX, LOBE_FIELD_PX) each."""

    def sample(self, name: str, window: Window, rng: np.random.Generator) -> FloatArray:
        """A view of one field, (h, w) of the window, at a random offset."""
        field: FloatArray = getattr(self, name)
        dy, dx = rng.integers(0, MARGIN_PX, 2)
        return field[
            window.y0 + dy : window.y1 + dy,
            window.x0 + dx : window.x1 + dx,
        ]

    def sample_lobes(
        self, size: int, height: int, width: int, rng: np.random.Generator
    ) -> FloatArray:
        """Lobes (height, width) at a random offset, perhaps mirrored."""
        field = self.lobes[size]
        y0 = int(rng.integers(0, LOBE_FIELD_PX - height + 1))
        x0 = int(rng.integers(0, LOBE_FIELD_PX - width + 1))
        part = field[y0 : y0 + height, x0 : x0 + width]
        return part[:, ::-1] if rng.random() < 0.5 else part


def value_noise(shape: tuple[int, int], cell_px: float, rng: np.random.Generator) -> FloatArray:
    """Smooth noise (H, W) of mean 0 and standard deviation 1; cell_px is its grain size."""
    height, width = shape
    coarse = (int(height / cell_px) + 4, int(width / cell_px) + 4)
    small = Image.fromarray(rng.standard_normal(coarse, dtype=np.float32))
    span = (int(coarse[1] * cell_px) + 1, int(coarse[0] * cell_px) + 1)
    field = np.asarray(small.resize(span, Image.Resampling.BICUBIC), dtype=np.float32)
    y0, x0 = (int(v) for v in rng.integers(0, max(1, int(cell_px)), 2) + int(cell_px))
    field = field[y0 : y0 + height, x0 : x0 + width]
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _lobe_field(cell_px: float, rng: np.random.Generator) -> FloatArray:
    size = LOBE_FIELD_PX
    far = np.ones((size, size), dtype=bool)
    count = int((size / cell_px) ** 2 * 1.3)
    far[rng.integers(0, size, count), rng.integers(0, size, count)] = False
    distance = ndimage.distance_transform_edt(far).astype(np.float32)
    bumps = np.clip(1.0 - (distance / (0.85 * cell_px)) ** 2, 0.0, 1.0)
    return np.asarray(ndimage.gaussian_filter(bumps, 0.08 * cell_px), dtype=np.float32)


def _standardised(field: FloatArray) -> FloatArray:
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def draw_noise_bank(height_px: int, width_px: int, rng: np.random.Generator) -> NoiseBank:
    """The noise of one tile of (height_px, width_px)."""
    shape = (height_px + MARGIN_PX, width_px + MARGIN_PX)
    white = rng.standard_normal(shape, dtype=np.float32)
    grain = ndimage.gaussian_filter(white, 0.6)
    patch = value_noise(shape, 11.0, rng) + 0.6 * value_noise(shape, 5.0, rng)
    stain = value_noise(shape, 38.0, rng) + 0.5 * value_noise(shape, 17.0, rng)
    sweep = value_noise(shape, 150.0, rng) + 0.5 * value_noise(shape, 70.0, rng)
    return NoiseBank(
        grain=_standardised(grain),
        speckle=value_noise(shape, 3.0, rng),
        patch=_standardised(patch),
        stain=_standardised(stain),
        sweep=_standardised(sweep),
        lobes=tuple(_lobe_field(cell, rng) for cell in (5.0, 9.0, 15.0)),
    )
