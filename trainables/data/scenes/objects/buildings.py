"""Buildings of one or several wings under one roof material."""

from __future__ import annotations

import numpy as np

from trainables.data.scenes.canvas.canvas import BUILDING, Canvas, coverage, local_axes
from trainables.data.scenes.canvas.materials import (
    Surface,
    draw_flat_roof,
    draw_pitched_roof,
    jittered,
    surface_texture,
)
from trainables.data.scenes.objects.roofs import (
    RoofKind,
    Wing,
    flat_roof_seams,
    plane_shade,
    roof_rise,
    tile_courses,
)
from trainables.data.scenes.objects.rooftop import furnish_flat_roof, furnish_pitched_roof


def paint_building(
    canvas: Canvas, wings: tuple[Wing, ...], surface: Surface, rng: np.random.Generator
) -> None:
    """Paints the wings with one roof material; where they meet, the higher surface shows."""
    for wing in wings:
        _paint_wing(canvas, wing, surface, rng)
    for wing in wings:
        if wing.roof == "flat":
            furnish_flat_roof(canvas, wing, rng)
        elif wing.length > 5:
            if wing.roof in ("gable", "half hip") and wing.length > 8 and rng.random() < 0.3:
                _paint_dormers(canvas, wing, surface, rng)
            furnish_pitched_roof(canvas, wing, rng)


def _paint_wing(canvas: Canvas, wing: Wing, surface: Surface, rng: np.random.Generator) -> None:
    window = canvas.window_about(wing.pose, 0.5 * float(np.hypot(wing.length, wing.width)))
    if window.is_empty:
        return
    along, across = local_axes(window, wing.pose)
    inside = np.minimum(
        np.float32(wing.length / 2) - np.abs(along), np.float32(wing.width / 2) - np.abs(across)
    )
    rise, slope_a, slope_b = roof_rise(wing, along, across)
    height = np.float32(wing.eaves) + rise
    rows, columns = window.slices
    alpha = coverage(inside) * (height > canvas.height[rows, columns])
    texture = surface_texture(surface, canvas.noise, window, rng)
    shade = plane_shade(canvas, wing.pose, slope_a, slope_b)
    if wing.roof == "flat":
        texture *= flat_roof_seams(wing, along, across, inside, rng)
        height = height + np.float32(0.35) * (inside < np.float32(0.3))
    else:
        texture *= tile_courses(wing, along, across, rise, rng)
    canvas.blend(window, alpha, texture, class_index=BUILDING, height=height, shade=shade)


def roof_surface(canvas: Canvas, roof: RoofKind, rng: np.random.Generator) -> Surface:
    """A material that fits the roof."""
    if roof == "flat":
        return draw_flat_roof(canvas.conditions, rng)
    return draw_pitched_roof(canvas.conditions, rng)


def _paint_dormers(canvas: Canvas, wing: Wing, main: Surface, rng: np.random.Generator) -> None:
    """Small roofs across the main roof."""
    side = float(rng.choice((-1.0, 1.0)))
    count = int(rng.integers(1, 4))
    kind: RoofKind = "flat" if rng.random() < 0.45 else "gable"
    surface = Surface(spectrum=jittered(main.spectrum, 0.12, rng))
    run = 0.55 * wing.width / 2
    for index in range(count):
        offset = ((index + 0.5) / count - 0.5) * wing.length * 0.8
        pose = wing.pose.moved(offset, side * (wing.width / 2 - 0.7 - run / 2), np.pi / 2)
        top = wing.eaves + wing.pitch * wing.width / 2 * 0.55
        dormer = Wing(
            pose=pose,
            length=run,
            width=float(rng.uniform(1.5, 2.4)),
            eaves=top,
            roof=kind,
            pitch=0.5,
        )
        _paint_wing(canvas, dormer, surface, rng)
