"""Trees, bushes and hedges: lobed crowns with a lit and a dark side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trainables.data.scenes.canvas.canvas import (
    LOW_VEGETATION,
    TREE,
    Canvas,
    coverage,
    rect_distance,
)
from trainables.data.scenes.canvas.layout import GSD_M, Pose, Rect
from trainables.data.scenes.canvas.materials import Spectrum, jittered
from trainables.data.scenes.canvas.noise import FloatArray, Window


@dataclass(frozen=True, kw_only=True)
class Species:
    """What the crowns of a kind of tree have in common."""

    spectrum: Spectrum
    lobe: int
    """Index of the lobe field: 0 fine (needles) to 2 coarse."""
    height_ratio: float
    """Tree height over crown radius."""
    dome: float
    """Exponent of the crown profile: 1 a cone, 0.5 a half sphere."""
    roughness: float
    """Height of the lobes, metres."""
    outline: float
    """Relative irregularity of the outline."""


SPECIES: Final[tuple[Species, ...]] = (
    Species(
        spectrum=(0.330, 0.092, 0.115),
        lobe=2,
        height_ratio=2.1,
        dome=0.5,
        roughness=1.3,
        outline=0.15,
    ),
    Species(
        spectrum=(0.360, 0.102, 0.125),
        lobe=1,
        height_ratio=2.0,
        dome=0.5,
        roughness=0.8,
        outline=0.11,
    ),
    Species(
        spectrum=(0.265, 0.082, 0.100),
        lobe=2,
        height_ratio=2.4,
        dome=0.6,
        roughness=1.0,
        outline=0.13,
    ),
    Species(
        spectrum=(0.205, 0.072, 0.090),
        lobe=0,
        height_ratio=3.8,
        dome=0.95,
        roughness=0.5,
        outline=0.09,
    ),
    Species(
        spectrum=(0.390, 0.122, 0.135),
        lobe=1,
        height_ratio=1.7,
        dome=0.5,
        roughness=0.7,
        outline=0.17,
    ),
    Species(
        spectrum=(0.290, 0.112, 0.112),
        lobe=1,
        height_ratio=1.9,
        dome=0.55,
        roughness=0.9,
        outline=0.14,
    ),
)
"""Dark broadleaf, light broadleaf, dense dark, conifer, fruit tree, copper or sparse."""


def _outline(
    window: Window, pose: Pose, radius_m: float, species: Species, rng: np.random.Generator
) -> tuple[FloatArray, ...]:
    """Distance from the centre (m) and the crown radius in that direction (m), (h, w) each."""
    dx = ((np.arange(window.x0, window.x1) - pose.x) * GSD_M).astype(np.float32)[None, :]
    dy = ((np.arange(window.y0, window.y1) - pose.y) * GSD_M).astype(np.float32)[:, None]
    distance = np.sqrt(dx * dx + dy * dy) + np.float32(1e-3)
    steps = np.linspace(-np.pi, np.pi, 97)
    ring = np.zeros_like(steps)
    for order in range(2, 7):
        ring += rng.normal(0.0, 1.3 * species.outline / order) * np.cos(
            order * steps + rng.uniform(0, 6.3)
        )
    # The outline is a table over the angle, read with linear interpolation.
    position = (np.arctan2(dy, dx) + np.float32(np.pi)) * np.float32(96 / (2 * np.pi))
    index = np.minimum(position.astype(np.int32), 95)
    table = (radius_m * np.clip(1.0 + ring, 0.55, 1.45)).astype(np.float32)
    step = np.diff(table)
    return distance, table[index] + step[index] * (position - index)


def _crown_body(
    canvas: Canvas,
    window: Window,
    pose: Pose,
    radius_m: float,
    species: Species,
    top_m: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Metres inside the outline, height in metres and leaf clumps in 0-1, (h, w) each."""
    distance, radius = _outline(window, pose, radius_m, species, rng)
    lump = np.float32(min(0.11 * radius_m, 0.45)) * canvas.noise.sample("stain", window, rng)
    lump += np.float32(min(0.06 * radius_m, 0.2)) * canvas.noise.sample("patch", window, rng)
    distance = np.maximum(distance - lump, np.float32(1e-3))
    clumps = _leaf_clumps(canvas, window, species, radius_m, rng)
    profile = np.clip(1.0 - (distance / radius) ** 2, 0.0, 1.0) ** np.float32(species.dome)
    height = np.float32(0.45 * top_m) + np.float32(0.55 * top_m) * profile
    height += np.float32(species.roughness) * (clumps - np.float32(0.5)) + np.float32(0.8) * lump
    return radius - distance, height, clumps


def paint_crown(
    canvas: Canvas,
    pose: Pose,
    radius_m: float,
    species: Species,
    rng: np.random.Generator,
    *,
    top_m: float | None = None,
    class_index: int = TREE,
) -> int:
    """Paints one crown over whatever is lower; returns the pixels newly of the class."""
    window = canvas.window_about(pose, 1.4 * radius_m)
    if window.height < 3 or window.width < 3:
        return 0
    rows, columns = window.slices
    top = top_m if top_m is not None else species.height_ratio * radius_m
    inside, height, clumps = _crown_body(canvas, window, pose, radius_m, species, top, rng)
    speckle = canvas.noise.sample("speckle", window, rng)
    height += np.float32(0.08) * speckle
    higher = height > canvas.height[rows, columns]
    fray = np.float32(min(0.9, 0.28 * radius_m)) * (clumps - np.float32(0.45))
    fray += np.float32(0.12) * speckle - np.float32(0.05)
    colour = np.asarray(jittered(species.spectrum, 0.13, rng), dtype=np.float32)
    colour[0] *= canvas.conditions.vigour
    leaf = 1.0 + 0.19 * canvas.noise.sample("grain", window, rng) + 0.13 * speckle
    leaf += 0.06 * canvas.noise.sample("patch", window, rng)
    texture = colour[:, None, None] * ((0.42 + 0.86 * clumps) * leaf)
    alpha = coverage(inside + fray) * higher
    before = int(np.count_nonzero(canvas.mask[rows, columns] == class_index))
    canvas.blend(window, alpha, texture, height=height, shade=_crown_shade(canvas, height))
    # The reference outline is drawn by a person: smoother than the leaves.
    canvas.mask[rows, columns][(inside > 0.05) & higher] = class_index
    return int(np.count_nonzero(canvas.mask[rows, columns] == class_index)) - before


def _leaf_clumps(
    canvas: Canvas, window: Window, species: Species, radius_m: float, rng: np.random.Generator
) -> FloatArray:
    """Leaf clumps of two sizes in [0, 1], (h, w)."""
    size = (window.height, window.width)
    fine = canvas.noise.sample_lobes(species.lobe, *size, rng)
    other = canvas.noise.sample_lobes(2 if radius_m > 2.0 else 1, *size, rng)
    smallest = canvas.noise.sample_lobes(0, *size, rng)
    share = np.float32(rng.uniform(0.3, 0.5))
    clumps: FloatArray = share * fine + (np.float32(0.74) - share) * other
    return clumps + np.float32(0.26) * smallest


def _crown_shade(canvas: Canvas, height: FloatArray) -> FloatArray:
    """Direct sun on leaves, from the slope of the canopy; leaves let some light through."""
    conditions = canvas.conditions
    slope_y, slope_x = np.gradient(height, GSD_M)
    facing = slope_x * np.float32(conditions.sun_east) + slope_y * np.float32(conditions.sun_south)
    lit = 1.0 - facing / np.float32(conditions.sun_slope)
    lit = np.clip(lit / np.sqrt(1.0 + slope_x**2 + slope_y**2), 0.0, 1.6)
    return np.asarray(0.30 + 0.85 * lit, dtype=np.float32)


def paint_bush(canvas: Canvas, pose: Pose, radius_m: float, rng: np.random.Generator) -> None:
    """A bush: looks like a small tree and counts as low vegetation."""
    species = SPECIES[int(rng.choice(6, p=(0.2, 0.25, 0.15, 0.1, 0.2, 0.1)))]
    paint_crown(
        canvas,
        pose,
        radius_m,
        species,
        rng,
        top_m=float(rng.uniform(0.7, 1.7)),
        class_index=LOW_VEGETATION,
    )


def paint_hedge(canvas: Canvas, rect: Rect, height_m: float, rng: np.random.Generator) -> None:
    """A clipped hedge along a rectangle of the frame; low vegetation."""
    window = canvas.window_of(rect)
    if window.is_empty:
        return
    rows, columns = window.slices
    rough = canvas.noise.sample("patch", window, rng)
    inside = rect_distance(canvas, window, rect, 0.3) + np.float32(0.12) * rough
    height = np.float32(height_m) + np.float32(0.15) * canvas.noise.sample("speckle", window, rng)
    alpha = coverage(inside) * (height > canvas.height[rows, columns])
    colour = np.asarray(jittered(SPECIES[int(rng.integers(0, 4))].spectrum, 0.15, rng))
    colour[0] *= canvas.conditions.vigour
    texture = colour.astype(np.float32)[:, None, None] * (
        1.0
        + 0.16 * canvas.noise.sample("speckle", window, rng)
        + 0.10 * canvas.noise.sample("grain", window, rng)
    )
    canvas.blend(window, alpha, texture, class_index=LOW_VEGETATION, height=height, shade=1.0)
