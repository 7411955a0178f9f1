"""Blocks without streets of houses: parks, fields and allotments."""

from __future__ import annotations

import numpy as np

from trainables.data.scenes.blocks.plots import Plot, Spots
from trainables.data.scenes.canvas.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas, paint_rect
from trainables.data.scenes.canvas.layout import Rect
from trainables.data.scenes.canvas.materials import SOIL, Surface, draw_lawn, draw_paving, jittered
from trainables.data.scenes.objects.buildings import paint_building, roof_surface
from trainables.data.scenes.objects.roofs import RoofKind, Wing
from trainables.data.scenes.objects.vegetation import paint_bush, paint_hedge


def paint_park(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Grass, paths and groups of trees."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    plot = Plot(rect=block, front="v0")
    for _ in range(int(rng.integers(1, 4))):
        patch = plot.part(
            rng.uniform(0, plot.width * 0.6),
            rng.uniform(0, plot.depth * 0.6),
            plot.width,
            plot.depth,
        )
        meadow = draw_lawn(canvas.conditions, rng)
        paint_rect(canvas, patch, meadow, LOW_VEGETATION, rng, corner_m=6.0, ragged_m=0.4)
    paving = draw_paving(rng)
    at = float(rng.uniform(0.3, 0.7))
    wide = float(rng.uniform(1.5, 3.0))
    for path in (
        plot.part(0, at * plot.depth, plot.width, at * plot.depth + wide),
        plot.part(at * plot.width, 0, at * plot.width + wide, plot.depth),
    ):
        paint_rect(canvas, path, paving, IMPERVIOUS, rng, ragged_m=0.06)
    for _ in range(6):
        s, t = rng.uniform(0, plot.width), rng.uniform(0, plot.depth)
        for _ in range(int(rng.integers(3, 8))):
            spots.trees.append(plot.pose(canvas, s + rng.normal(0, 5), t + rng.normal(0, 5)))
        for _ in range(int(rng.integers(0, 5))):
            place = plot.pose(canvas, s + rng.normal(0, 4), t + rng.normal(0, 4))
            paint_bush(canvas, place, float(rng.uniform(0.5, 1.6)), rng)


def paint_field(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Strips of crops in rows, meadow and bare soil; sheds as on allotments."""
    plot = Plot(rect=block, front="v0" if block.width >= block.depth else "u0")
    s = 0.0
    while s < plot.width:
        wide = float(rng.uniform(5.0, 16.0))
        strip = plot.part(s, 0.0, min(s + wide, plot.width), plot.depth)
        if rng.random() < 0.55:
            surface = draw_lawn(canvas.conditions, rng)
        else:
            crop = jittered((0.52, 0.25, 0.27), 0.12, rng)
            surface = Surface(
                spectrum=jittered(SOIL, 0.12, rng),
                other=crop,
                other_share=float(rng.uniform(0.1, 0.9)),
                patch=0.08,
                grain=0.08,
            )
        paint_rect(canvas, strip, surface, LOW_VEGETATION, rng, ragged_m=0.1)
        _paint_rows(canvas, strip, along_u=plot.front != "v0", rng=rng)
        spots.things.append(plot.pose(canvas, s + wide / 2, rng.uniform(4, plot.depth - 4)))
        if rng.random() < 0.55:
            _paint_hut(canvas, plot, s + wide / 2, rng)
        if rng.random() < 0.5:
            paint_hedge(canvas, plot.part(s, 0.0, s + 0.8, plot.depth), 1.4, rng)
        for _ in range(2):
            spots.trees.append(
                plot.pose(canvas, s + rng.uniform(0, wide), rng.uniform(0, plot.depth))
            )
        s += wide


def _paint_hut(canvas: Canvas, plot: Plot, s: float, rng: np.random.Generator) -> None:
    roof: RoofKind = "gable" if rng.random() < 0.6 else "flat"
    at = float(rng.uniform(4.0, plot.depth - 4.0))
    paint_rect(
        canvas, plot.part(s - 2.5, at - 3.5, s + 2.5, at + 1), draw_paving(rng), IMPERVIOUS, rng
    )
    hut = Wing(
        pose=plot.pose(canvas, s, at),
        length=float(rng.uniform(3.0, 5.0)),
        width=float(rng.uniform(2.8, 4.0)),
        eaves=2.3,
        roof=roof,
        pitch=0.4,
    )
    paint_building(canvas, (hut,), roof_surface(canvas, roof, rng), rng)


def _paint_rows(canvas: Canvas, strip: Rect, *, along_u: bool, rng: np.random.Generator) -> None:
    """Ridges and furrows."""
    window = canvas.window_of(strip)
    if window.is_empty:
        return
    rows, columns = window.slices
    axis = (canvas.v if along_u else canvas.u)[rows, columns]
    other = (canvas.u if along_u else canvas.v)[rows, columns]
    low, high = (strip.v0, strip.v1) if along_u else (strip.u0, strip.u1)
    begin, end = (strip.u0, strip.u1) if along_u else (strip.v0, strip.v1)
    within = (axis > low) & (axis < high) & (other > begin) & (other < end)
    step = np.float32(rng.uniform(0.45, 1.3))
    wobble = 0.06 * canvas.noise.sample("patch", window, rng)
    wave = np.sin((axis + wobble) * (np.float32(2 * np.pi) / step))
    depth = np.float32(rng.uniform(0.04, 0.16))
    canvas.reflectance[:, rows, columns] *= 1.0 + depth * wave * within
