"""Buildings: roof planes lit by the sun, tiles, ridges, chimneys and what stands on flat roofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainables.data.scenes.canvas import (
    BUILDING,
    Canvas,
    coverage,
    local_axes,
    paint_box,
)
from trainables.data.scenes.layout import Pose
from trainables.data.scenes.materials import (
    Spectrum,
    Surface,
    draw_flat_roof,
    draw_pitched_roof,
    jittered,
    surface_texture,
)
from trainables.data.scenes.noise import FloatArray, Window

RoofKind = Literal["gable", "hip", "half hip", "pent", "flat"]


@dataclass(frozen=True, kw_only=True)
class Wing:
    """One box of a building with its own roof; the ridge lies along its length."""

    pose: Pose
    length: float
    """Metres along the ridge."""
    width: float
    """Metres across the ridge."""
    eaves: float
    """Height of the eaves, metres."""
    roof: RoofKind
    pitch: float = 0.7
    """Slope of the roof, rise over run."""


def paint_building(
    canvas: Canvas, wings: tuple[Wing, ...], surface: Surface, rng: np.random.Generator
) -> None:
    """Paints the wings, highest surface first, with one roof material."""
    for wing in wings:
        _paint_wing(canvas, wing, surface, rng)
    for wing in wings:
        if wing.roof == "flat":
            _furnish_flat_roof(canvas, wing, rng)
        elif wing.length > 5:
            _furnish_pitched_roof(canvas, wing, surface.spectrum, rng)


def _rise(wing: Wing, along: FloatArray, across: FloatArray) -> tuple[FloatArray, ...]:
    """Height above the eaves and its slope along and across, (h, w) each."""
    pitch = np.float32(wing.pitch)
    in_a = np.float32(wing.length / 2) - np.abs(along)
    in_b = np.float32(wing.width / 2) - np.abs(across)
    zero = np.zeros_like(in_a)
    if wing.roof == "flat":
        return zero, zero, zero
    if wing.roof == "pent":
        return pitch * (across + np.float32(wing.width / 2)), zero, zero + pitch
    slope_b = -np.sign(across) * pitch
    rise = pitch * in_b
    if wing.roof == "gable":
        return rise, zero, slope_b
    end = pitch * in_a
    if wing.roof == "half hip":
        end = end * np.float32(1.25) + np.float32(0.28 * wing.width) * pitch
    at_end = end < rise
    return (
        np.where(at_end, end, rise),
        np.where(at_end, -np.sign(along) * pitch, 0.0).astype(np.float32),
        np.where(at_end, 0.0, slope_b).astype(np.float32),
    )


def _plane_shade(canvas: Canvas, pose: Pose, slope_a: FloatArray, slope_b: FloatArray) -> FloatArray:
    """Direct sun on planes of these slopes relative to level ground."""
    conditions = canvas.conditions
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    sun_a = np.float32(conditions.sun_east * cos + conditions.sun_south * sin)
    sun_b = np.float32(conditions.sun_south * cos - conditions.sun_east * sin)
    facing = slope_a * sun_a + slope_b * sun_b
    lit = 1.0 - facing / np.float32(conditions.sun_slope)
    return np.clip(lit / np.sqrt(1.0 + slope_a**2 + slope_b**2), 0.0, 1.7)


def _courses(
    wing: Wing, along: FloatArray, across: FloatArray, rise: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Factor of tile rows, ridge and eaves on reflectance, (h, w)."""
    two_pi = np.float32(2 * np.pi)
    step = rng.uniform(0.30, 0.42)
    depth = rng.uniform(0.015, 0.05)
    factor = 1.0 + depth * np.sin(np.abs(across) * (two_pi / np.float32(step)))
    column = rng.uniform(0.28, 0.5)
    factor += 0.6 * depth * np.sin(along * (two_pi / np.float32(column)))
    top = np.float32(wing.pitch * wing.width / 2)
    if wing.roof in ("gable", "half hip", "hip"):
        ridge = np.exp(-(((top - rise) / np.float32(0.13)) ** 2))
        factor += np.float32(rng.choice((0.22, 0.16, -0.14))) * ridge
    edge = np.minimum(
        np.float32(wing.width / 2) - np.abs(across), np.float32(wing.length / 2) - np.abs(along)
    )
    factor += np.float32(rng.uniform(-0.22, 0.12)) * (edge < np.float32(0.17))
    return factor.astype(np.float32)


def _paint_wing(canvas: Canvas, wing: Wing, surface: Surface, rng: np.random.Generator) -> None:
    window = canvas.window_about(wing.pose, 0.5 * float(np.hypot(wing.length, wing.width)))
    if window.is_empty:
        return
    along, across = local_axes(window, wing.pose)
    inside = np.minimum(
        np.float32(wing.length / 2) - np.abs(along), np.float32(wing.width / 2) - np.abs(across)
    )
    rise, slope_a, slope_b = _rise(wing, along, across)
    height = np.float32(wing.eaves) + rise
    rows, columns = window.slices
    alpha = coverage(inside) * (height > canvas.height[rows, columns])
    texture = surface_texture(surface, canvas.noise, window, rng)
    shade = _plane_shade(canvas, wing.pose, slope_a, slope_b)
    if wing.roof == "flat":
        texture *= _flat_details(wing, along, across, inside, rng)
        height = height + np.float32(0.35) * (inside < np.float32(0.3))
    else:
        texture *= _courses(wing, along, across, rise, rng)
    canvas.blend(window, alpha, texture, class_index=BUILDING, height=height, shade=shade)


def _flat_details(
    wing: Wing,
    along: FloatArray,
    across: FloatArray,
    inside: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Factor of the parapet and of the seams of the roofing on reflectance."""
    factor = np.ones_like(inside)
    factor[inside < 0.3] *= np.float32(rng.uniform(0.85, 1.35))
    if rng.random() < 0.6:
        step = float(rng.uniform(0.9, 2.4))
        axis = along if rng.random() < 0.5 else across
        seam = np.abs((axis / np.float32(step)) % 1.0 - 0.5) > 0.5 - 0.05 / step
        factor[seam] *= np.float32(rng.uniform(0.86, 1.08))
    return factor


def _furnish_pitched_roof(
    canvas: Canvas, wing: Wing, spectrum: Spectrum, rng: np.random.Generator
) -> None:
    """Chimneys, skylights, dormers and solar panels."""
    half_a, half_b = wing.length / 2, wing.width / 2
    for _ in range(int(rng.integers(0, 3))):
        place = wing.pose.moved(
            rng.uniform(-0.7, 0.7) * half_a, rng.uniform(-0.4, 0.4) * half_b
        )
        size = (float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.45, 0.7)))
        brick = jittered((0.27, 0.22, 0.18), 0.25, rng)
        paint_box(canvas, place, size, brick, class_index=BUILDING, raise_m=1.1)
        paint_box(canvas, place, (0.25, 0.25), (0.05, 0.05, 0.05), class_index=BUILDING)
    side = float(rng.choice((-1.0, 1.0)))
    if wing.roof in ("gable", "half hip") and wing.length > 8 and rng.random() < 0.3:
        _paint_dormers(canvas, wing, side, spectrum, rng)
    for _ in range(int(rng.integers(0, 5))):
        place = wing.pose.moved(
            rng.uniform(-0.8, 0.8) * half_a, side * rng.uniform(0.25, 0.7) * half_b
        )
        glass = (0.50, 0.55, 0.56) if rng.random() < 0.25 else (0.09, 0.11, 0.12)
        paint_box(canvas, place, (0.8, 1.0), glass, class_index=None, strength=0.85, shade=None)
    if rng.random() < 0.17:
        length = float(rng.uniform(0.3, 0.8)) * wing.length
        place = wing.pose.moved(rng.uniform(-0.1, 0.1) * half_a, -side * 0.5 * half_b)
        _paint_panels(canvas, place, length, 0.62 * half_b, rng)


def _paint_panels(
    canvas: Canvas, pose: Pose, length: float, width: float, rng: np.random.Generator
) -> None:
    """Solar modules in rows, dark and bluish, with bright frames."""
    window = canvas.window_about(pose, 0.5 * float(np.hypot(length, width)))
    if window.is_empty:
        return
    along, across = local_axes(window, pose)
    inside = np.minimum(length / 2 - np.abs(along), width / 2 - np.abs(across))
    frame = (np.abs((along / 1.0) % 1.0 - 0.5) > 0.45) | (np.abs((across / 1.65) % 1.0 - 0.5) > 0.47)
    cell = np.asarray(jittered((0.075, 0.095, 0.125), 0.2, rng), dtype=np.float32)
    texture = cell[:, None, None] * np.where(frame, np.float32(1.9), np.float32(1.0))
    canvas.blend(window, coverage(inside.astype(np.float32)), texture.astype(np.float32))


def _paint_dormers(
    canvas: Canvas, wing: Wing, side: float, spectrum: Spectrum, rng: np.random.Generator
) -> None:
    """Small roofs across the main roof."""
    count = int(rng.integers(1, 4))
    kind: RoofKind = "flat" if rng.random() < 0.45 else "gable"
    surface = Surface(spectrum=jittered(spectrum, 0.12, rng))
    run = 0.55 * wing.width / 2
    for index in range(count):
        offset = ((index + 0.5) / count - 0.5) * wing.length * 0.8
        pose = wing.pose.moved(offset, side * (wing.width / 2 - 0.7 - run / 2), np.pi / 2)
        top = wing.eaves + wing.pitch * wing.width / 2 * 0.55
        dormer = Wing(
            pose=pose, length=run, width=float(rng.uniform(1.5, 2.4)), eaves=top, roof=kind, pitch=0.5
        )
        _paint_wing(canvas, dormer, surface, rng)


def _furnish_flat_roof(canvas: Canvas, wing: Wing, rng: np.random.Generator) -> None:
    """Skylight rows, ventilation boxes, a stairhead."""
    half_a, half_b = wing.length / 2 - 1.0, wing.width / 2 - 1.0
    area = wing.length * wing.width
    if half_a < 1.5 or half_b < 1.5:
        return
    if area > 250 and rng.random() < 0.7:
        step = float(rng.uniform(3.5, 7.0))
        bright = jittered((0.52, 0.56, 0.56), 0.12, rng)
        for a in np.arange(-half_a + 1.5, half_a - 1.0, step):
            size = (float(0.3 * step), float(half_b * 1.1)) if area > 600 else (1.3, 1.3)
            paint_box(canvas, wing.pose.moved(a, 0.0), size, bright, class_index=None, raise_m=0.3)
    for _ in range(int(rng.poisson(min(area / 60.0, 9.0)))):
        place = wing.pose.moved(rng.uniform(-half_a, half_a), rng.uniform(-half_b, half_b))
        size = (float(rng.uniform(0.5, 2.4)), float(rng.uniform(0.5, 1.8)))
        metal = jittered((0.40, 0.42, 0.42), 0.35, rng)
        paint_box(
            canvas, place, size, metal, class_index=None, raise_m=float(rng.uniform(0.2, 1.4))
        )
    if area > 200 and rng.random() < 0.6:
        place = wing.pose.moved(rng.uniform(-half_a, half_a) * 0.7, rng.uniform(-0.3, 0.3) * half_b)
        paint_box(
            canvas, place, (4.0, 3.0), jittered((0.3, 0.3, 0.29), 0.2, rng),
            class_index=None, raise_m=2.4,
        )


def roof_surface(
    canvas: Canvas, roof: RoofKind, rng: np.random.Generator
) -> Surface:
    """A material that fits the roof."""
    if roof == "flat":
        return draw_flat_roof(canvas.conditions, rng)
    return draw_pitched_roof(canvas.conditions, rng)


__all__ = ["RoofKind", "Window", "Wing", "paint_building", "roof_surface"]
