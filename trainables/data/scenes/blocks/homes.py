"""Blocks of dwellings on plots: detached houses, terraces, old town."""

from __future__ import annotations

import itertools

import numpy as np

from trainables.data.scenes.blocks.plots import Plot, Side, Spots, paint_garden, paint_house_plot
from trainables.data.scenes.canvas.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas, paint_rect
from trainables.data.scenes.canvas.layout import Rect
from trainables.data.scenes.canvas.materials import draw_lawn, draw_paving, draw_pitched_roof
from trainables.data.scenes.objects.buildings import paint_building, roof_surface
from trainables.data.scenes.objects.roofs import RoofKind, Wing
from trainables.data.scenes.objects.vegetation import paint_hedge


def cut_plots(block: Rect, width_m: tuple[float, float], rng: np.random.Generator) -> list[Plot]:
    """Rows of plots along the longer side of a block: two back to back, or one if shallow."""
    along_u = block.width >= block.depth
    length = block.width if along_u else block.depth
    depth = min(block.width, block.depth)
    middle = float(rng.uniform(0.44, 0.56)) if depth > 33 else float(rng.choice((0.0, 1.0)))
    edges = [0.0]
    while edges[-1] < length:
        edges.append(edges[-1] + float(rng.uniform(*width_m)))
    scale = length / edges[-1]
    plots = []
    for row in range(2):
        if middle == float(row):
            continue
        jitter = 1.0 if row == 0 else float(rng.uniform(0.9, 1.0))
        for a, b in itertools.pairwise(edges):
            lo, hi = a * scale, b * scale
            if row == 1:
                lo, hi = length - hi * jitter - length * (1 - jitter), length - lo * jitter
                lo = max(lo, 0.0)
            plots.append(_plot(block, lo, hi, middle, row, along_u=along_u))
    return plots


def _plot(block: Rect, lo: float, hi: float, middle: float, row: int, *, along_u: bool) -> Plot:
    front: Side
    if along_u:
        line = block.v0 + middle * block.depth
        v0, v1 = (block.v0, line) if row == 0 else (line, block.v1)
        front = "v0" if row == 0 else "v1"
        return Plot(rect=Rect(u0=block.u0 + lo, v0=v0, u1=block.u0 + hi, v1=v1), front=front)
    line = block.u0 + middle * block.width
    u0, u1 = (block.u0, line) if row == 0 else (line, block.u1)
    front = "u0" if row == 0 else "u1"
    return Plot(rect=Rect(u0=u0, v0=block.v0 + lo, u1=u1, v1=block.v0 + hi), front=front)


def paint_houses(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Detached houses in gardens."""
    lawn = draw_lawn(canvas.conditions, rng)
    paint_rect(canvas, block, lawn, LOW_VEGETATION, rng)
    for plot in cut_plots(block, (14.0, 22.0), rng):
        if not canvas.window_of(plot.rect).is_empty:
            paint_house_plot(canvas, plot, spots, rng)


def paint_terraces(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Rows of equal narrow houses with narrow gardens."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    unit = float(rng.uniform(5.6, 7.5))
    deep = float(rng.uniform(9.5, 12.0))
    setback = float(rng.uniform(2.0, 6.0))
    roof: RoofKind = "gable" if rng.random() < 0.75 else "flat"
    pitch, eaves = float(rng.uniform(0.5, 0.9)), float(rng.uniform(4.8, 6.5))
    common = roof_surface(canvas, roof, rng)
    for index, plot in enumerate(cut_plots(block, (unit, unit + 0.01), rng)):
        if canvas.window_of(plot.rect).is_empty or index % 7 == 6:
            continue
        paint_rect(canvas, plot.rect, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
        own = roof_surface(canvas, roof, rng) if rng.random() < 0.25 else common
        front = plot.part(0.0, 0.0, plot.width, setback + 1.0)
        if rng.random() < 0.4:
            paint_rect(canvas, front, draw_paving(rng), IMPERVIOUS, rng)
            spots.cars.append(plot.pose(canvas, plot.width / 2, setback - 2.5, np.pi / 2))
        back = setback + deep
        terrace = plot.part(0.0, back - 0.5, plot.width, back + rng.uniform(2.5, 4.0))
        paint_rect(canvas, terrace, draw_paving(rng), IMPERVIOUS, rng)
        shift = float(rng.choice((0.0, 0.0, 0.0, 1.0)))
        house = Wing(
            pose=plot.pose(canvas, plot.width / 2, setback + shift + deep / 2),
            length=plot.width + 0.3,
            width=deep,
            eaves=eaves + float(rng.normal(0, 0.12)),
            roof=roof,
            pitch=pitch,
        )
        paint_building(canvas, (house,), own, rng)
        paint_garden(canvas, plot, back + 3.5, spots, rng)
        if rng.random() < 0.5:
            paint_hedge(canvas, plot.part(0.0, back + 1.0, 0.6, plot.depth), 1.6, rng)


def paint_old_town(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Houses wall to wall along the streets, yards and outbuildings behind."""
    paint_rect(canvas, block, draw_paving(rng), IMPERVIOUS, rng)
    for plot in cut_plots(block, (7.5, 15.0), rng):
        if canvas.window_of(plot.rect).is_empty:
            continue
        yard = draw_paving(rng) if rng.random() < 0.30 else draw_lawn(canvas.conditions, rng)
        green = yard.other is not None
        back = plot.part(0.0, 6.0, plot.width, plot.depth)
        paint_rect(canvas, back, yard, LOW_VEGETATION if green else IMPERVIOUS, rng)
        deep = float(np.clip(rng.uniform(8.5, 12.0), 6.0, plot.depth - 2.0))
        roof: RoofKind = ("gable", "gable", "half hip", "hip")[int(rng.integers(4))]
        turned = plot.width < deep and rng.random() < 0.4
        pose = plot.pose(
            canvas, plot.width / 2, deep / 2 + rng.uniform(0.0, 0.6), turned * np.pi / 2
        )
        size = (deep, plot.width) if turned else (plot.width, deep)
        house = Wing(
            pose=pose,
            length=size[0] + 0.1,
            width=size[1],
            eaves=float(rng.uniform(5.5, 9.5)),
            roof=roof,
            pitch=float(rng.uniform(0.7, 1.15)),
        )
        paint_building(canvas, (house,), draw_pitched_roof(canvas.conditions, rng), rng)
        if rng.random() < 0.45 and plot.depth > deep + 6:
            _paint_annexe(canvas, plot, deep, rng)
        if green:
            paint_garden(canvas, plot, deep + 2.0, spots, rng)
        elif rng.random() < 0.4:
            spots.things.append(plot.pose(canvas, plot.width / 2, plot.depth - 4.0))
        else:
            spots.cars.append(
                plot.pose(
                    canvas, plot.width / 2, plot.depth - 3.0, float(rng.choice((0, np.pi / 2)))
                )
            )


def _paint_annexe(canvas: Canvas, plot: Plot, deep: float, rng: np.random.Generator) -> None:
    length = float(rng.uniform(0.4, 0.9)) * (plot.depth - deep)
    width = float(rng.uniform(0.35, 0.55)) * plot.width
    side = width / 2 if rng.random() < 0.5 else plot.width - width / 2
    roof: RoofKind = ("gable", "pent", "flat")[int(rng.integers(3))]
    annexe = Wing(
        pose=plot.pose(canvas, side, deep + length / 2, np.pi / 2),
        length=length,
        width=width,
        eaves=float(rng.uniform(2.8, 5.0)),
        roof=roof,
        pitch=0.25 if roof == "pent" else 0.6,
    )
    paint_building(canvas, (annexe,), roof_surface(canvas, roof, rng), rng)
