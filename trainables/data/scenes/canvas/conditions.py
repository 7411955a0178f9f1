"""What one tile has of its own: sun, season, haze, sensor and the fashion of its roofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

KINDS: Final = ("suburb", "old town", "terraces", "apartments", "industry", "edge")
"""What a tile mostly shows; neighbouring areas of a split get different ones."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Light, season, sensor and building fashion of one tile."""

    kind: str
    """One of `KINDS`."""
    sun_east: float
    """Horizontal direction towards the sun, east (+x) part of a unit vector."""
    sun_south: float
    """The same, south (+y) part."""
    sun_elevation: float
    """Radians above the horizon."""
    ambient: tuple[float, float, float]
    """Sky light on the ground as a share of all light there: near infrared, red, green."""
    gain: tuple[float, float, float]
    """Sensor gain of the bands."""
    haze: float
    """Path radiance, in units of reflectance."""
    psf_px: float
    """Standard deviation of the blur."""
    noise: float
    """Standard deviation of the sensor noise at mid grey, grey values."""
    vigour: float
    """Factor on the near infrared of vegetation."""
    dryness: float
    """Share of dry grass in lawns, 0-1."""
    roof_weights: tuple[float, ...]
    """How often each roof colour family occurs, sums to 1."""
    tree_share: float
    """Share of the tile under crowns, 0-1."""
    car_share: float
    """Share of the tile under cars, 0-1."""

    clutter_share: float
    """Share of the tile under things of the clutter class, 0-1."""

    @property
    def sun_slope(self) -> float:
        """Height lost per horizontal distance along a ray of the sun."""
        return float(np.tan(self.sun_elevation))


TREE_SHARES: Final = {
    "suburb": 0.25,
    "old town": 0.13,
    "terraces": 0.23,
    "apartments": 0.27,
    "industry": 0.17,
    "edge": 0.30,
}

NUM_ROOF_FAMILIES: Final = 7


def draw_conditions(kind: str, rng: np.random.Generator) -> Conditions:
    """Conditions of one tile of the given kind."""
    azimuth = np.deg2rad(rng.uniform(115.0, 245.0))
    haze = float(rng.uniform(0.004, 0.022))
    shade = float(rng.uniform(0.28, 0.40))
    gain = rng.uniform(0.92, 1.14) * rng.uniform(0.94, 1.06, 3)
    return Conditions(
        kind=kind,
        sun_east=float(np.sin(azimuth)),
        sun_south=float(-np.cos(azimuth)),
        sun_elevation=float(np.deg2rad(rng.uniform(48.0, 62.0))),
        ambient=(0.72 * shade, 0.95 * shade, 1.15 * shade),
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        haze=haze,
        psf_px=float(rng.uniform(0.6, 0.95)),
        noise=float(rng.uniform(1.6, 3.2)),
        vigour=float(rng.uniform(0.82, 1.14)),
        dryness=float(rng.beta(1.5, 2.5)),
        roof_weights=tuple(float(w) for w in rng.dirichlet(np.full(NUM_ROOF_FAMILIES, 0.9))),
        tree_share=float(np.clip(TREE_SHARES[kind] + rng.normal(0.0, 0.03), 0.05, 0.42)),
        car_share=float(rng.uniform(0.032, 0.044)),
        clutter_share=float(rng.uniform(0.026, 0.038)),
    )
