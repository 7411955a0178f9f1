"""Blocks of each kind: houses, terraces, old town, slabs, halls, parks, fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from trainables.data.scenes.buildings import RoofKind, Wing, paint_building, roof_surface
from trainables.data.scenes.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas, paint_rect
from trainables.data.scenes.layout import Rect
from trainables.data.scenes.materials import (
    SOIL,
    Surface,
    draw_asphalt,
    draw_flat_roof,
    draw_lawn,
    draw_paving,
    draw_pitched_roof,
    jittered,
)
from trainables.data.scenes.plots import Plot, Side, Spots, paint_garden, paint_house_plot
from trainables.data.scenes.streets import paint_stalls
from trainables.data.scenes.things import paint_bins, paint_container, paint_stack
from trainables.data.scenes.vegetation import paint_bush, paint_hedge

PaintBlock = Callable[[Canvas, Rect, Spots, np.random.Generator], None]


def cut_plots(
    block: Rect, width_m: tuple[float, float], rng: np.random.Generator
) -> list[Plot]:
    """Two rows of plots back to back along the longer side of a block."""
    along_u = block.width >= block.depth
    length = block.width if along_u else block.depth
    middle = float(rng.uniform(0.44, 0.56))
    edges = [0.0]
    while edges[-1] < length:
        edges.append(edges[-1] + float(rng.uniform(*width_m)))
    scale = length / edges[-1]
    plots = []
    for row in range(2):
        jitter = 1.0 if row == 0 else float(rng.uniform(0.9, 1.0))
        for a, b in zip(edges[:-1], edges[1:], strict=True):
            lo, hi = a * scale, b * scale
            if row == 1:
                lo, hi = length - hi * jitter - length * (1 - jitter), length - lo * jitter
                lo = max(lo, 0.0)
            plots.append(_plot(block, lo, hi, middle, row, along_u=along_u))
    return plots


def _plot(
    block: Rect, lo: float, hi: float, middle: float, row: int, *, along_u: bool
) -> Plot:
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
        if rng.random() < 0.55:
            paint_rect(canvas, front, draw_paving(rng), IMPERVIOUS, rng)
            spots.cars.append(plot.pose(canvas, plot.width / 2, setback - 2.5, np.pi / 2))
        back = setback + deep
        terrace = plot.part(0.0, back - 0.5, plot.width, back + rng.uniform(2.5, 4.0))
        paint_rect(canvas, terrace, draw_paving(rng), IMPERVIOUS, rng)
        shift = float(rng.choice((0.0, 0.0, 0.0, 1.0)))
        house = Wing(
            pose=plot.pose(canvas, plot.width / 2, setback + shift + deep / 2),
            length=plot.width, width=deep, eaves=eaves + float(rng.normal(0, 0.12)),
            roof=roof, pitch=pitch,
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
        yard = draw_paving(rng) if rng.random() < 0.55 else draw_lawn(canvas.conditions, rng)
        green = yard.other is not None
        back = plot.part(0.0, 8.0, plot.width, plot.depth)
        paint_rect(canvas, back, yard, LOW_VEGETATION if green else IMPERVIOUS, rng)
        deep = float(np.clip(rng.uniform(9.0, 15.0), 6.0, plot.depth - 2.0))
        roof: RoofKind = ("gable", "gable", "half hip", "hip")[int(rng.integers(4))]
        turned = plot.width < deep and rng.random() < 0.4
        pose = plot.pose(canvas, plot.width / 2, deep / 2 + rng.uniform(0.0, 0.6), turned * np.pi / 2)
        size = (deep, plot.width) if turned else (plot.width, deep)
        house = Wing(
            pose=pose, length=size[0] + 0.1, width=size[1], eaves=float(rng.uniform(5.5, 9.5)),
            roof=roof, pitch=float(rng.uniform(0.7, 1.15)),
        )
        paint_building(canvas, (house,), draw_pitched_roof(canvas.conditions, rng), rng)
        if rng.random() < 0.6 and plot.depth > deep + 6:
            _paint_annexe(canvas, plot, deep, rng)
        if green:
            paint_garden(canvas, plot, deep + 2.0, spots, rng)
        elif rng.random() < 0.5:
            spots.cars.append(
                plot.pose(canvas, plot.width / 2, plot.depth - 3.0, float(rng.choice((0, np.pi / 2))))
            )


def _paint_annexe(canvas: Canvas, plot: Plot, deep: float, rng: np.random.Generator) -> None:
    length = float(rng.uniform(0.4, 0.9)) * (plot.depth - deep)
    width = float(rng.uniform(0.35, 0.55)) * plot.width
    side = width / 2 if rng.random() < 0.5 else plot.width - width / 2
    roof: RoofKind = ("gable", "pent", "flat")[int(rng.integers(3))]
    annexe = Wing(
        pose=plot.pose(canvas, side, deep + length / 2, np.pi / 2), length=length, width=width,
        eaves=float(rng.uniform(2.8, 5.0)), roof=roof, pitch=0.25 if roof == "pent" else 0.6,
    )
    paint_building(canvas, (annexe,), roof_surface(canvas, roof, rng), rng)


def paint_slabs(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Apartment slabs on lawns with paths and parking."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    plot = Plot(rect=block, front="v0" if block.width >= block.depth else "u0")
    width, depth = plot.width, plot.depth
    roof: RoofKind = ("flat", "flat", "hip", "gable")[int(rng.integers(4))]
    surface = roof_surface(canvas, roof, rng)
    eaves = float(rng.uniform(8.5, 13.5))
    deep = float(rng.uniform(11.0, 14.5))
    _paint_parking(canvas, plot, rng.uniform(0.0, 2.0), spots, rng)
    t = 13.0 + deep / 2
    while t + deep / 2 < depth - 2.0:
        length = float(rng.uniform(0.6, 0.82)) * width
        s = float(rng.uniform(length / 2 + 2.0, width - length / 2 - 2.0))
        path = plot.part(2.0, t - deep / 2 - 3.2, width - 2.0, t - deep / 2 - 1.4)
        paint_rect(canvas, path, draw_paving(rng), IMPERVIOUS, rng)
        rim = plot.part(s - length / 2 - 1, t - deep / 2 - 1, s + length / 2 + 1, t + deep / 2 + 1)
        paint_rect(canvas, rim, draw_paving(rng), IMPERVIOUS, rng)
        slab = Wing(
            pose=plot.pose(canvas, s, t), length=length, width=deep, eaves=eaves, roof=roof,
            pitch=float(rng.uniform(0.3, 0.55)),
        )
        paint_building(canvas, (slab,), surface, rng)
        if rng.random() < 0.4:
            paint_bins(canvas, plot.pose(canvas, s + length / 2 - 3.0, t - deep / 2 - 4.0), rng)
        for _ in range(9):
            spots.trees.append(plot.pose(canvas, rng.uniform(1, width - 1), rng.uniform(t, t + 22)))
        for _ in range(12):
            place = plot.pose(canvas, rng.uniform(1, width - 1), t + deep / 2 + rng.uniform(0.8, 3.0))
            paint_bush(canvas, place, float(rng.uniform(0.5, 1.3)), rng)
        t += deep + float(rng.uniform(15.0, 22.0))


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
    yard = block.inset(float(rng.uniform(1.0, 4.5)))
    paint_rect(canvas, yard, draw_asphalt(rng), IMPERVIOUS, rng, corner_m=1.0)
    plot = Plot(rect=yard, front=("v0", "v1")[int(rng.integers(2))] if yard.width >= yard.depth else "u0")
    width, depth = plot.width, plot.depth
    if depth > 26:
        _paint_parking(canvas, plot, 0.0, spots, rng)
    start = 13.0 if depth > 26 else 2.0
    s = 1.0
    while width - s > 9.0:
        length = min(float(rng.uniform(16.0, 38.0)), width - s)
        deep = float(rng.uniform(0.66, 0.95)) * (depth - start)
        roof: RoofKind = "flat" if rng.random() < 0.72 else "gable"
        surface = draw_flat_roof(canvas.conditions, rng)
        hall = Wing(
            pose=plot.pose(canvas, s + length / 2, start + deep / 2), length=length, width=deep,
            eaves=float(rng.uniform(5.0, 10.0)), roof=roof, pitch=float(rng.uniform(0.1, 0.2)),
        )
        wings = [hall]
        if rng.random() < 0.6:
            wings.append(
                Wing(
                    pose=plot.pose(canvas, s + length * 0.3, start + 4.0), length=length * 0.6,
                    width=8.0, eaves=hall.eaves + float(rng.uniform(1.5, 3.5)), roof="flat",
                )
            )
        paint_building(canvas, tuple(wings), surface, rng)
        gap = float(rng.choice((0.2, 4.5, 8.0)))
        if gap > 4 and rng.random() < 0.35:
            side = plot.pose(canvas, s + length + gap / 2, start + deep * rng.uniform(0.3, 0.8), 1.6)
            (paint_container if rng.random() < 0.6 else paint_stack)(canvas, side, rng)
        s += length + gap
    for _ in range(14):
        spots.trees.append(plot.pose(canvas, rng.uniform(0, width), rng.choice((-1.5, depth + 1.5))))


def paint_park(canvas: Canvas, block: Rect, spots: Spots, rng: np.random.Generator) -> None:
    """Grass, paths and groups of trees."""
    paint_rect(canvas, block, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    plot = Plot(rect=block, front="v0")
    for _ in range(int(rng.integers(1, 4))):
        patch = plot.part(
            rng.uniform(0, plot.width * 0.6), rng.uniform(0, plot.depth * 0.6), plot.width, plot.depth
        )
        meadow = draw_lawn(canvas.conditions, rng)
        paint_rect(canvas, patch, meadow, LOW_VEGETATION, rng, corner_m=6.0, ragged_m=0.8)
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
            crop = jittered((0.48, 0.14, 0.16), 0.15, rng)
            surface = Surface(
                spectrum=jittered(SOIL, 0.12, rng), other=crop,
                other_share=float(rng.uniform(0.1, 0.9)), patch=0.08, grain=0.08,
            )
        paint_rect(canvas, strip, surface, LOW_VEGETATION, rng, ragged_m=0.1)
        _paint_rows(canvas, strip, along_u=plot.front != "v0", rng=rng)
        if rng.random() < 0.55:
            _paint_hut(canvas, plot, s + wide / 2, rng)
        if rng.random() < 0.5:
            paint_hedge(canvas, plot.part(s, 0.0, s + 0.8, plot.depth), 1.4, rng)
        for _ in range(5):
            spots.trees.append(plot.pose(canvas, s + rng.uniform(0, wide), rng.uniform(0, plot.depth)))
        s += wide


def _paint_hut(canvas: Canvas, plot: Plot, s: float, rng: np.random.Generator) -> None:
    roof: RoofKind = "gable" if rng.random() < 0.6 else "flat"
    at = float(rng.uniform(4.0, plot.depth - 4.0))
    paint_rect(canvas, plot.part(s - 2.5, at - 3.5, s + 2.5, at + 1), draw_paving(rng), IMPERVIOUS, rng)
    hut = Wing(
        pose=plot.pose(canvas, s, at), length=float(rng.uniform(3.0, 5.0)),
        width=float(rng.uniform(2.8, 4.0)), eaves=2.3, roof=roof, pitch=0.4,
    )
    paint_building(canvas, (hut,), roof_surface(canvas, roof, rng), rng)


def _paint_rows(
    canvas: Canvas, strip: Rect, *, along_u: bool, rng: np.random.Generator
) -> None:
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


PAINTERS: Final[Mapping[str, PaintBlock]] = {
    "houses": paint_houses,
    "terraces": paint_terraces,
    "old town": paint_old_town,
    "slabs": paint_slabs,
    "halls": paint_halls,
    "park": paint_park,
    "field": paint_field,
}

BLOCK_MIX: Final[Mapping[str, Mapping[str, float]]] = {
    "suburb": {"houses": 0.80, "terraces": 0.10, "park": 0.06, "slabs": 0.04},
    "old town": {"old town": 0.84, "houses": 0.08, "park": 0.04, "halls": 0.04},
    "terraces": {"terraces": 0.62, "houses": 0.30, "park": 0.08},
    "apartments": {"slabs": 0.68, "houses": 0.18, "park": 0.08, "halls": 0.06},
    "industry": {"halls": 0.80, "houses": 0.08, "field": 0.06, "slabs": 0.06},
    "edge": {"houses": 0.60, "field": 0.22, "park": 0.08, "terraces": 0.10},
}
"""How often each painter is taken for a block, by kind of tile; rows sum to 1."""
