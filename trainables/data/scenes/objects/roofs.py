"""Roofs: the shapes they have, how high they are and how the sun falls on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainables.data.scenes.canvas.canvas import Canvas
from trainables.data.scenes.canvas.layout import Pose
from trainables.data.scenes.canvas.noise import FloatArray

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


def roof_rise(wing: Wing, along: FloatArray, across: FloatArray) -> tuple[FloatArray, ...]:
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


def plane_shade(canvas: Canvas, pose: Pose, slope_a: FloatArray, slope_b: FloatArray) -> FloatArray:
    """Direct sun on planes of these slopes relative to level ground."""
    conditions = canvas.conditions
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    sun_a = np.float32(conditions.sun_east * cos + conditions.sun_south * sin)
    sun_b = np.float32(conditions.sun_south * cos - conditions.sun_east * sin)
    facing = slope_a * sun_a + slope_b * sun_b
    lit = 1.0 - facing / np.float32(conditions.sun_slope)
    shade: FloatArray = np.clip(lit / np.sqrt(1.0 + slope_a**2 + slope_b**2), 0.0, 1.7)
    return shade


def tile_courses(
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


def flat_roof_seams(
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
