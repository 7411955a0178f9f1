"""Blocks of large buildings: apartment slabs and halls, with their parking."""

from __future__ import annotations

import numpy as np

from trainables.data.scenes.blocks.plots import Plot, Spots
from trainables.data.scenes.blocks.streets import paint_stalls
from trainables.data.scenes.canvas.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas, paint_rect
from trainables.data.scenes.canvas.layout import Rect
from trainables.data.scenes.canvas.materials import (
    draw_asphalt,
    draw_flat_roof,
    draw_lawn,
    draw_paving,
)
from trainables.data.scenes.objects.buildings import paint_building, roof_surface
from trainables.data.scenes.objects.roofs import RoofKind, Wing
from trainables.data.scenes.objects.vegetation import paint_bush


def paint_slabs(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Apartment slabs on lawns with paths and parking."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    plot = Plot(rect=block, front="v0" if block.width >= block.depth else "u0")
    width, depth = plot.width, plot.depth
    roof: RoofKind = ("flat", "flat", "hip", "gable")[int(rng.integers(4))]
    surface = roof_surface(canvas, roof, rng)
    eaves = float(rng.uniform(8.5, 13.5))
    deep = float(rng.uniform(11.5, 15.0))
    parks = rng.random() < 0.55
    if parks:
        _paint_parking(canvas, plot, rng.uniform(0.0, 2.0), spots, rng)
    t = (13.0 if parks else 5.5) + deep / 2
    while t + deep / 2 < depth - 2.0:
        length = float(rng.uniform(0.7, 0.9)) * width
        s = float(rng.uniform(length / 2 + 2.0, width - length / 2 - 2.0))
        path = plot.part(2.0, t - deep / 2 - 3.2, width - 2.0, t - deep / 2 - 1.4)
        paint_rect(canvas, path, draw_paving(rng), IMPERVIOUS, rng)
        rim = plot.part(s - length / 2 - 1, t - deep / 2 - 1, s + length / 2 + 1, t + deep / 2 + 1)
        paint_rect(canvas, rim, draw_paving(rng), IMPERVIOUS, rng)
        slab = Wing(
            pose=plot.pose(canvas, s, t),
            length=length,
            width=deep,
            eaves=eaves,
            roof=roof,
            pitch=float(rng.uniform(0.3, 0.55)),
        )
        paint_building(canvas, (slab,), surface, rng)
        spots.things.append(plot.pose(canvas, s + length / 2 - 3.0, t - deep / 2 - 4.0))
        spots.things.append(plot.pose(canvas, s, t + deep / 2 + 7.0))
        for _ in range(9):
            spots.trees.append(plot.pose(canvas, rng.uniform(1, width - 1), rng.uniform(t, t + 22)))
        for _ in range(12):
            place = plot.pose(
                canvas, rng.uniform(1, width - 1), t + deep / 2 + rng.uniform(0.8, 3.0)
            )
            paint_bush(canvas, place, float(rng.uniform(0.5, 1.3)), rng)
        t += deep + float(rng.uniform(14.0, 19.0))


def _paint_parking(
    canvas: Canvas, plot: Plot, start_t: float, spots: Spots, rng: np.random.Generator
) -> None:
    """An aisle with stalls on both sides along the street."""
    lot = plot.part(1.0, start_t, plot.width - 1.0, start_t + 11.5)
    paint_rect(canvas, lot, draw_asphalt(rng), IMPERVIOUS, rng)
    for t0 in (start_t, start_t + 6.5):
        row = plot.part(2.0, t0, plot.width - 2.0, t0 + 5.0)
        for u, v, turn in paint_stalls(canvas, row, along_u=plot.front == "v0", rng=rng):
            spots.cars.append(canvas.frame.pose(u, v, turn))


def paint_halls(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Big flat halls in paved yards, with parking, containers and a green rim."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng, ragged_m=0.1)
    yard = block.inset(float(rng.uniform(4.0, 10.0)))
    paint_rect(canvas, yard, draw_asphalt(rng), IMPERVIOUS, rng, corner_m=1.0)
    plot = Plot(
        rect=yard, front=("v0", "v1")[int(rng.integers(2))] if yard.width >= yard.depth else "u0"
    )
    width, depth = plot.width, plot.depth
    if depth > 26:
        _paint_parking(canvas, plot, 0.0, spots, rng)
    start = 13.0 if depth > 26 else 2.0
    s = 1.0
    while width - s > 9.0:
        length = min(float(rng.uniform(16.0, 38.0)), width - s)
        deep = float(rng.uniform(0.8, 0.98)) * (depth - start)
        roof: RoofKind = "flat" if rng.random() < 0.72 else "gable"
        surface = draw_flat_roof(canvas.conditions, rng)
        hall = Wing(
            pose=plot.pose(canvas, s + length / 2, start + deep / 2),
            length=length,
            width=deep,
            eaves=float(rng.uniform(5.0, 10.0)),
            roof=roof,
            pitch=float(rng.uniform(0.1, 0.2)),
        )
        wings = [hall]
        if rng.random() < 0.6:
            wings.append(
                Wing(
                    pose=plot.pose(canvas, s + length * 0.3, start + 4.0),
                    length=length * 0.6,
                    width=8.0,
                    eaves=hall.eaves + float(rng.uniform(1.5, 3.5)),
                    roof="flat",
                )
            )
        paint_building(canvas, tuple(wings), surface, rng)
        gap = float(rng.choice((0.2, 4.5, 6.5)))
        if gap > 4:
            for along in rng.uniform(0.1, 0.9, 3):
                side = plot.pose(canvas, s + length + gap / 2, start + deep * along, np.pi / 2)
                spots.things.append(side)
        s += length + gap
    for _ in range(14):
        spots.trees.append(
            plot.pose(canvas, rng.uniform(0, width), rng.choice((-1.5, depth + 1.5)))
        )
