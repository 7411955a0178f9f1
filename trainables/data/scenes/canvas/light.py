"""Sun, cast shadows, sky light and the sensor: from the painted canvas to grey values."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from trainables.data.scenes.canvas.canvas import Canvas
from trainables.data.scenes.canvas.conditions import Conditions
from trainables.data.scenes.canvas.layout import GSD_M
from trainables.data.scenes.canvas.noise import FloatArray, value_noise

SHADOW_STEPS: Final = 8
"""Doublings of the shadow search: it reaches 2 ** steps pixels."""

TONE_EXPONENT: Final = 0.76
"""Grey value = 255 * radiance ** exponent."""


def cast_shadows(height: FloatArray, conditions: Conditions) -> FloatArray:
    """How far below the shadow surface each pixel lies, (H, w) metres; <= 0 in the sun.

    The shadow surface is the maximum over steps k of height(x + k * s) - k * drop, with s the
    pixel step towards the sun. Doubling computes it in log steps: the maximum over the first
    2 ** (j + 1) steps is that over the first 2 ** j and itself, shifted by 2 ** j steps.
    """
    drop = conditions.sun_slope * GSD_M
    # The ray starts three pixels away, so that a rough surface does not shade itself.
    surface = _shifted(height, 3, conditions) - np.float32(3 * drop)
    for step in range(SHADOW_STEPS):
        count = 2**step
        ahead = _shifted(surface, count, conditions) - np.float32(count * drop)
        surface = np.maximum(surface, ahead)
    return surface - height


def _shifted(field: FloatArray, count: int, conditions: Conditions) -> FloatArray:
    """Field value `count` pixels towards the sun; 0 beyond the tile."""
    dx = round(count * conditions.sun_east)
    dy = round(count * conditions.sun_south)
    height, width = field.shape
    result = np.zeros_like(field)
    if abs(dx) >= width or abs(dy) >= height:
        return result
    rows_to = slice(max(0, -dy), min(height, height - dy))
    rows_from = slice(max(0, dy), min(height, height + dy))
    columns_to = slice(max(0, -dx), min(width, width - dx))
    columns_from = slice(max(0, dx), min(width, width + dx))
    result[rows_to, columns_to] = field[rows_from, columns_from]
    return result


def open_sky(height: FloatArray) -> FloatArray:
    """Share of the sky that a pixel sees, about 0.4-1, (H, W)."""
    small = np.ascontiguousarray(height[::2, ::2])
    around = 0.6 * ndimage.gaussian_filter(small, 5.0) + 0.4 * ndimage.gaussian_filter(small, 16.0)
    image = Image.fromarray(around).resize(height.shape[::-1], Image.Resampling.BILINEAR)
    above = np.clip(np.asarray(image, dtype=np.float32) - height, 0.0, None)
    return np.asarray(1.0 / (1.0 + 0.22 * above), dtype=np.float32)


def expose(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture (3, H, W), uint8, as the sensor sees the canvas."""
    conditions = canvas.conditions
    below = ndimage.gaussian_filter(cast_shadows(canvas.height, conditions), 0.9)
    sun = 1.0 - np.clip(below / np.float32(0.35) + np.float32(0.15), 0.0, 1.0)
    sun *= canvas.shade
    sky = open_sky(canvas.height)
    shape = canvas.mask.shape
    illumination = (
        1.0
        + 0.05 * value_noise(shape, 420.0, rng)
        + 0.02 * canvas.noise.sweep[: shape[0], : shape[1]]
    )
    bands = []
    for band in range(3):
        ambient = conditions.ambient[band]
        light = (1.0 - ambient) * sun + ambient * sky
        radiance = canvas.reflectance[band] * light * illumination + conditions.haze
        radiance = ndimage.gaussian_filter(radiance, conditions.psf_px)
        grey = 255.0 * np.clip(1.42 * conditions.gain[band] * radiance, 0.0, 1.2) ** TONE_EXPONENT
        spread = conditions.noise * (0.6 + grey / 255.0)
        bands.append(grey + spread * rng.standard_normal(shape, dtype=np.float32))
    picture = np.clip(np.stack(bands, axis=-1) + 0.5, 0.0, 255.0).astype(np.uint8)
    return compressed(picture, quality=int(rng.integers(88, 95)))


def compressed(picture: NDArray[np.uint8], *, quality: int) -> NDArray[np.uint8]:
    """The picture (H, W, 3) after JPEG, as (3, H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as image:
        decoded = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(decoded.transpose(2, 0, 1))
