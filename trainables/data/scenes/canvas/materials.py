"""Reflectance of surfaces in near infrared, red and green, and the texture they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trainables.data.scenes.canvas.conditions import Conditions
from trainables.data.scenes.canvas.noise import FloatArray, NoiseBank, Window

Spectrum = tuple[float, float, float]
"""Reflectance in near infrared, red, green."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A material: its mean colour and how much it varies at each scale."""

    spectrum: Spectrum
    other: Spectrum | None = None
    """A second colour that patches of the surface take."""
    other_share: float = 0.0
    """Mean share of the second colour, 0-1."""
    grain: float = 0.05
    speckle: float = 0.03
    patch: float = 0.03
    stain: float = 0.04


def surface_texture(
    surface: Surface, noise: NoiseBank, window: Window, rng: np.random.Generator
) -> FloatArray:
    """Reflectance (3, h, w) of the surface over a window."""
    factor = 1.0 + surface.grain * noise.sample("grain", window, rng)
    factor += surface.speckle * noise.sample("speckle", window, rng)
    factor += surface.patch * noise.sample("patch", window, rng)
    factor += surface.stain * noise.sample("stain", window, rng)
    base = np.asarray(surface.spectrum, dtype=np.float32)[:, None, None]
    if surface.other is None:
        return np.asarray(base * factor, dtype=np.float32)
    other = np.asarray(surface.other, dtype=np.float32)[:, None, None]
    where = 0.55 * noise.sample("stain", window, rng) + 0.35 * noise.sample("patch", window, rng)
    share = np.clip(0.5 + 0.8 * (where + 1.6 * (surface.other_share - 0.5)), 0.0, 1.0)
    return np.asarray((base + (other - base) * share) * factor, dtype=np.float32)


def jittered(spectrum: Spectrum, amount: float, rng: np.random.Generator) -> Spectrum:
    """The colour made lighter or darker and a little tinted, by about `amount` (relative)."""
    values = np.asarray(spectrum) * np.exp(rng.normal(0.0, amount))
    values = values * np.exp(rng.normal(0.0, min(0.3 * amount, 0.05), 3))
    return (float(values[0]), float(values[1]), float(values[2]))


ASPHALTS: Final[tuple[Spectrum, ...]] = (
    (0.205, 0.240, 0.255),
    (0.165, 0.190, 0.202),
    (0.255, 0.285, 0.292),
)
PAVINGS: Final[tuple[Spectrum, ...]] = (
    (0.315, 0.335, 0.335),
    (0.255, 0.275, 0.280),
    (0.345, 0.360, 0.350),
    (0.380, 0.395, 0.385),
    (0.215, 0.240, 0.245),
)
ROOF_FAMILIES: Final[tuple[Spectrum, ...]] = (
    (0.370, 0.350, 0.190),
    (0.320, 0.300, 0.155),
    (0.270, 0.255, 0.125),
    (0.360, 0.370, 0.210),
    (0.250, 0.250, 0.130),
    (0.330, 0.315, 0.180),
    (0.430, 0.415, 0.240),
)
FLAT_ROOFS: Final[tuple[Spectrum, ...]] = (
    (0.270, 0.265, 0.155),
    (0.360, 0.350, 0.220),
    (0.310, 0.300, 0.175),
    (0.430, 0.430, 0.280),
    (0.380, 0.375, 0.235),
    (0.240, 0.235, 0.135),
)
LAWNS: Final[tuple[Spectrum, ...]] = (
    (0.540, 0.245, 0.265),
    (0.510, 0.275, 0.280),
    (0.580, 0.265, 0.285),
    (0.480, 0.245, 0.250),
    (0.530, 0.310, 0.305),
)
DRY_GRASS: Final[Spectrum] = (0.520, 0.345, 0.320)
SOIL: Final[Spectrum] = (0.300, 0.250, 0.205)
GREEN_ROOF: Final[Spectrum] = (0.390, 0.225, 0.215)


def draw_asphalt(rng: np.random.Generator) -> Surface:
    """A street surface."""
    spectrum = jittered(ASPHALTS[rng.integers(len(ASPHALTS))], 0.10, rng)
    return Surface(spectrum=spectrum, grain=0.04, speckle=0.02, patch=0.02, stain=0.05)


def draw_paving(rng: np.random.Generator) -> Surface:
    """Slabs, cobbles, concrete or gravel of a yard, a path or a pavement."""
    if rng.random() < 0.25:
        return draw_asphalt(rng)
    spectrum = jittered(PAVINGS[rng.integers(len(PAVINGS))], 0.10, rng)
    return Surface(spectrum=spectrum, grain=0.06, speckle=0.04, patch=0.04, stain=0.06)


def draw_lawn(conditions: Conditions, rng: np.random.Generator) -> Surface:
    """Grass: mown, rough, or dry in patches, as the season of the tile has it."""
    nir, red, green = jittered(LAWNS[rng.integers(len(LAWNS))], 0.09, rng)
    dry = float(np.clip(rng.normal(conditions.dryness * 0.65, 0.2), 0.0, 0.95))
    rough = float(rng.uniform(0.5, 1.4))
    return Surface(
        spectrum=(nir * conditions.vigour, red, green),
        other=jittered(DRY_GRASS, 0.08, rng),
        other_share=dry,
        grain=0.045 * rough,
        speckle=0.05 * rough,
        patch=0.05 * rough,
        stain=0.06,
    )


def draw_flat_roof(conditions: Conditions, rng: np.random.Generator) -> Surface:
    """Bitumen, gravel, membrane or, seldom, plants."""
    if rng.random() < 0.10:
        nir, red, green = jittered(GREEN_ROOF, 0.12, rng)
        return Surface(
            spectrum=(nir * conditions.vigour, red, green),
            other=jittered(SOIL, 0.1, rng),
            other_share=0.4,
            grain=0.07,
            patch=0.08,
            stain=0.1,
        )
    spectrum = jittered(FLAT_ROOFS[rng.choice(6, p=(0.27, 0.25, 0.2, 0.08, 0.12, 0.08))], 0.1, rng)
    return Surface(spectrum=spectrum, grain=0.035, speckle=0.02, patch=0.04, stain=0.07)


def draw_pitched_roof(conditions: Conditions, rng: np.random.Generator) -> Surface:
    """Tiles of one of the colour families in fashion on this tile, weathered or new."""
    family = ROOF_FAMILIES[rng.choice(len(ROOF_FAMILIES), p=conditions.roof_weights)]
    spectrum = jittered(family, 0.10, rng)
    age = float(rng.uniform(0.3, 1.5))
    return Surface(
        spectrum=spectrum,
        other=jittered((0.26, 0.21, 0.175), 0.1, rng) if rng.random() < 0.35 else None,
        other_share=0.25 * age,
        grain=0.035,
        speckle=0.04 * age,
        patch=0.03 * age,
        stain=0.05 * age,
    )
