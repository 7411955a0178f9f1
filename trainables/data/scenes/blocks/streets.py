"""Streets: asphalt, patches, kerbs, pavements, markings, manholes."""

from __future__ import annotations

import numpy as np

from trainables.data.scenes.canvas.canvas import (
    IMPERVIOUS,
    Canvas,
    coverage,
    paint_box,
    paint_rect,
    rect_distance,
)
from trainables.data.scenes.canvas.layout import Plan, Rect, Street
from trainables.data.scenes.canvas.materials import (
    Surface,
    draw_asphalt,
    draw_paving,
    jittered,
    surface_texture,
)
from trainables.data.scenes.canvas.noise import Window

PAINT = (0.60, 0.63, 0.62)
"""Reflectance of road paint."""


def paint_streets(canvas: Canvas, plan: Plan, rng: np.random.Generator) -> None:
    """The whole tile as asphalt, then each street in its own, wear and patches."""
    rows, columns = canvas.mask.shape
    whole = Window(y0=0, y1=rows, x0=0, x1=columns)
    canvas.reflectance[:] = surface_texture(draw_asphalt(rng), canvas.noise, whole, rng)
    canvas.mask[:] = IMPERVIOUS
    for street in sorted(plan.streets, key=lambda s: -s.level):
        surface = draw_asphalt(rng) if rng.random() < 0.8 else draw_paving(rng)
        paint_rect(canvas, _longer(street.rect, street, 2.0), surface, IMPERVIOUS, rng)
        _paint_wear(canvas, street, rng)
        _paint_patches(canvas, street, surface, rng)
        if street.level < 2 and rng.random() < 0.6:
            _paint_dashes(canvas, street)
        if street.level < 3 and rng.random() < 0.35:
            _paint_zebra(canvas, street, rng)


def _longer(rect: Rect, street: Street, by: float) -> Rect:
    if street.along_u:
        return Rect(u0=rect.u0 - by, v0=rect.v0, u1=rect.u1 + by, v1=rect.v1)
    return Rect(u0=rect.u0, v0=rect.v0 - by, u1=rect.u1, v1=rect.v1 + by)


def _paint_wear(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Wheel tracks lighter than the middle and the gutters."""
    window = canvas.window_of(street.rect)
    if window.is_empty:
        return
    rows, columns = window.slices
    inside = coverage(rect_distance(canvas, window, street.rect))
    rect = street.rect
    if street.along_u:
        across = canvas.v[rows, columns] - np.float32((rect.v0 + rect.v1) / 2)
    else:
        across = canvas.u[rows, columns] - np.float32((rect.u0 + rect.u1) / 2)
    half = np.float32(street.half_width)
    tracks = np.cos(np.abs(across) / half * np.float32(2 * np.pi) - np.float32(np.pi))
    gutter = np.clip((np.abs(across) - half + np.float32(0.45)) / np.float32(0.35), 0.0, 1.0)
    factor = np.float32(rng.uniform(0.0, 0.06)) * tracks - np.float32(0.10) * gutter
    canvas.reflectance[:, rows, columns] *= 1.0 + inside * factor


def _paint_patches(
    canvas: Canvas, street: Street, surface: Surface, rng: np.random.Generator
) -> None:
    """Repaired trenches, darker or lighter, and manhole covers."""
    rect = street.rect
    for _ in range(int(rng.poisson(2.2))):
        u, v = rng.uniform(rect.u0, rect.u1), rng.uniform(rect.v0, rect.v1)
        long, wide = float(rng.uniform(1.5, 14.0)), float(rng.uniform(0.6, 1.6))
        size = (long, wide) if street.along_u == (rng.random() < 0.8) else (wide, long)
        trench = Rect(
            u0=max(rect.u0, u - size[0] / 2),
            v0=max(rect.v0, v - size[1] / 2),
            u1=min(rect.u1, u + size[0] / 2),
            v1=min(rect.v1, v + size[1] / 2),
        )
        tone = Surface(spectrum=jittered(surface.spectrum, 0.16, rng), grain=0.04)
        paint_rect(canvas, trench, tone, IMPERVIOUS, rng, strength=0.8)
    for _ in range(int(rng.poisson(3.0))):
        place = canvas.frame.pose(rng.uniform(rect.u0, rect.u1), rng.uniform(rect.v0, rect.v1))
        iron = (0.13, 0.135, 0.135)
        paint_box(canvas, place, (0.7, 0.7), iron, class_index=None, corner_m=0.34, strength=0.7)


def _paint_zebra(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """A crossing: bars along the traffic, side by side."""
    rect = street.rect
    begin, end = (rect.u0, rect.u1) if street.along_u else (rect.v0, rect.v1)
    at = float(rng.uniform(begin + 5.0, max(begin + 6.0, end - 5.0)))
    middle = (rect.v0 + rect.v1) / 2 if street.along_u else (rect.u0 + rect.u1) / 2
    for offset in np.arange(-street.half_width + 0.5, street.half_width - 0.3, 1.0):
        u, v = (at, middle + offset) if street.along_u else (middle + offset, at)
        bar = canvas.frame.pose(u, v, 0.0 if street.along_u else np.pi / 2)
        worn = float(rng.uniform(0.5, 0.9))
        paint_box(canvas, bar, (3.2, 0.5), PAINT, class_index=None, strength=worn)


def _paint_dashes(canvas: Canvas, street: Street) -> None:
    rect = street.rect
    window = canvas.window_of(rect)
    if window.is_empty:
        return
    rows, columns = window.slices
    u, v = canvas.u[rows, columns], canvas.v[rows, columns]
    along, across = (
        (u, v - (rect.v0 + rect.v1) / 2) if street.along_u else (v, u - (rect.u0 + rect.u1) / 2)
    )
    inside = rect_distance(canvas, window, rect) > 0
    # Dashes of 3 m every 9 m.
    on = inside & ((along % np.float32(9.0)) < 3.0)
    line = coverage(np.float32(0.07) - np.abs(across)) * on
    worn = np.float32(0.75) + np.float32(0.25) * canvas.noise.patch[rows, columns].clip(-1, 1)
    paint = np.asarray(PAINT, dtype=np.float32)[:, None, None] * np.ones_like(worn)
    canvas.blend(window, (line * worn).astype(np.float32), paint)


def paint_pavement(canvas: Canvas, block: Rect, width_m: float, rng: np.random.Generator) -> Rect:
    """Kerb and pavement around a block; returns what lies within."""
    window = canvas.window_of(block)
    if window.is_empty:
        return block.inset(width_m)
    corner = float(rng.uniform(2.0, 5.0))
    inside = rect_distance(canvas, window, block, corner)
    surface = draw_paving(rng)
    canvas.blend(
        window,
        coverage(inside),
        surface_texture(surface, canvas.noise, window, rng),
        class_index=IMPERVIOUS,
    )
    kerb = coverage(inside) * coverage(np.float32(0.16) - inside)
    stone = np.asarray(jittered((0.37, 0.38, 0.365), 0.1, rng), dtype=np.float32)
    canvas.blend(window, kerb * np.float32(0.8), stone[:, None, None] * np.ones_like(kerb))
    return block.inset(width_m)


def paint_stalls(
    canvas: Canvas, rect: Rect, *, along_u: bool, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """A row of parking stalls; returns (u, v, turn) of each stall.

    Stalls lie side by side along u (or v) and fill the depth of the rectangle.
    """
    count = int((rect.width if along_u else rect.depth) / 2.5)
    stalls = []
    marked = rng.random() < 0.75
    for index in range(count + 1):
        at = index * 2.5
        u = rect.u0 + at if along_u else (rect.u0 + rect.u1) / 2
        v = (rect.v0 + rect.v1) / 2 if along_u else rect.v0 + at
        turn = np.pi / 2 if along_u else 0.0
        if marked:
            length = min(rect.depth if along_u else rect.width, 5.0)
            line = canvas.frame.pose(u, v, turn)
            paint_box(canvas, line, (length, 0.11), PAINT, class_index=None, strength=0.6)
        if index < count:
            stalls.append((u + (1.25 if along_u else 0), v + (0 if along_u else 1.25), turn))
    return stalls
