"""One plot with a house: garden, drive, terrace, shed, hedges, beds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trainables.data.scenes.canvas.canvas import IMPERVIOUS, LOW_VEGETATION, Canvas, paint_rect
from trainables.data.scenes.canvas.layout import Pose, Rect
from trainables.data.scenes.canvas.materials import SOIL, Surface, draw_lawn, draw_paving, jittered
from trainables.data.scenes.objects.buildings import paint_building, roof_surface
from trainables.data.scenes.objects.roofs import RoofKind, Wing
from trainables.data.scenes.objects.vegetation import paint_bush, paint_hedge

Side = Literal["u0", "u1", "v0", "v1"]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A rectangle of a block with its street side; s runs along the street, t away from it."""

    rect: Rect
    front: Side

    @property
    def width(self) -> float:
        """Metres along the street."""
        return self.rect.width if self.front in ("v0", "v1") else self.rect.depth

    @property
    def depth(self) -> float:
        """Metres away from the street."""
        return self.rect.depth if self.front in ("v0", "v1") else self.rect.width

    def to_frame(self, s: float, t: float) -> tuple[float, float]:
        """(u, v) of a point of the plot."""
        rect = self.rect
        if self.front == "v0":
            return rect.u0 + s, rect.v0 + t
        if self.front == "v1":
            return rect.u1 - s, rect.v1 - t
        if self.front == "u0":
            return rect.u0 + t, rect.v1 - s
        return rect.u1 - t, rect.v0 + s

    def part(self, s0: float, t0: float, s1: float, t1: float) -> Rect:
        """A rectangle of the plot, in the frame."""
        (ua, va), (ub, vb) = self.to_frame(s0, t0), self.to_frame(s1, t1)
        return Rect(u0=min(ua, ub), v0=min(va, vb), u1=max(ua, ub), v1=max(va, vb))

    def pose(self, canvas: Canvas, s: float, t: float, turn: float = 0.0) -> Pose:
        """Pose of a thing whose length lies along the street, then turned."""
        heading = {"v0": 0.0, "v1": np.pi, "u0": -np.pi / 2, "u1": np.pi / 2}[self.front]
        return canvas.frame.pose(*self.to_frame(s, t), heading + turn)


@dataclass(frozen=True, kw_only=True)
class Spots:
    """Places that later steps fill: for cars, for trees, for things of the clutter class."""

    cars: list[Pose] = field(default_factory=list)
    trees: list[Pose] = field(default_factory=list)
    things: list[Pose] = field(default_factory=list)


def draw_house_roof(rng: np.random.Generator) -> RoofKind:
    """A roof shape for a dwelling."""
    kinds: tuple[RoofKind, ...] = ("gable", "hip", "half hip", "flat", "pent")
    return kinds[rng.choice(5, p=(0.54, 0.22, 0.10, 0.10, 0.04))]


def house_wings(
    pose: Pose, length: float, width: float, roof: RoofKind, rng: np.random.Generator
) -> tuple[Wing, ...]:
    """A house of one box or of an L or T of two."""
    eaves = float(rng.choice((3.0, 4.2, 5.6, 6.5))) + float(rng.normal(0, 0.2))
    pitch = float(rng.uniform(0.14, 0.3)) if roof == "pent" else float(rng.uniform(0.42, 1.0))
    main = Wing(pose=pose, length=length, width=width, eaves=eaves, roof=roof, pitch=pitch)
    if rng.random() > 0.42 or roof == "pent":
        return (main,)
    side = float(rng.choice((-1.0, 1.0)))
    run = float(rng.uniform(0.45, 0.7)) * width
    offset = float(rng.uniform(-0.5, 0.5)) * (length - run)
    reach = float(rng.uniform(1.5, 4.0))
    arm = Wing(
        pose=pose.moved(offset, side * (width / 2 + reach) / 2, np.pi / 2),
        length=width / 2 + reach,
        width=run,
        eaves=eaves - float(rng.choice((0.0, 0.0, 2.2))),
        roof=roof,
        pitch=pitch,
    )
    return (main, arm)


def paint_house_plot(canvas: Canvas, plot: Plot, spots: Spots, rng: np.random.Generator) -> None:
    """A detached house with everything around it."""
    width, depth = plot.width, plot.depth
    paint_rect(canvas, plot.rect, draw_lawn(canvas.conditions, rng), LOW_VEGETATION, rng)
    setback = float(rng.uniform(2.0, 5.5))
    house_w = float(np.clip(rng.uniform(0.55, 0.80) * width, 7.5, 16.5))
    house_d = float(np.clip(rng.uniform(9.5, 14.0), 7.0, max(7.5, 0.5 * depth)))
    free = width - house_w
    left = float(rng.uniform(0.12, 0.5)) * free if free < 5 else float(rng.uniform(1.0, 2.0))
    mirror = rng.random() < 0.5
    house_s = width - left - house_w / 2 if mirror else left + house_w / 2
    drive_s = (width - left - house_w) / 2 if mirror else (left + house_w + width) / 2
    _paint_yard(canvas, plot, setback, house_s, house_w, house_d, rng)
    drive_w = float(np.clip(free - left - 0.4, 2.5, 3.6 if rng.random() < 0.6 else 5.8))
    drive_t = setback + (float(rng.uniform(-2.0, 6.0)) if free > 4 else -0.5)
    if free - left > 2.4:
        end = drive_t + 5.5
        drive = plot.part(drive_s - drive_w / 2, 0.0, drive_s + drive_w / 2, end)
        paint_rect(canvas, drive, draw_paving(rng), IMPERVIOUS, rng)
        spots.cars.append(plot.pose(canvas, drive_s, max(2.8, drive_t - 2.6), np.pi / 2))
        if rng.random() < 0.72:
            _paint_garage(
                canvas, plot.pose(canvas, drive_s, drive_t + 2.9, np.pi / 2), drive_w, rng
            )
    roof = draw_house_roof(rng)
    turned = rng.random() < 0.35 and 0.7 < house_w / house_d < 1.4
    pose = plot.pose(
        canvas, house_s, setback + house_d / 2, float(rng.normal(0, 0.012)) + turned * np.pi / 2
    )
    size = (house_d, house_w) if turned else (house_w, house_d)
    wings = house_wings(pose, size[0], size[1], roof, rng)
    paint_building(canvas, wings, roof_surface(canvas, roof, rng), rng)
    paint_garden(canvas, plot, setback + house_d + 3.0, spots, rng)
    _paint_borders(canvas, plot, rng)


def _paint_garage(canvas: Canvas, pose: Pose, width: float, rng: np.random.Generator) -> None:
    roof: RoofKind = "flat" if rng.random() < 0.7 else "gable"
    wing = Wing(pose=pose, length=6.0, width=max(width, 2.8), eaves=2.5, roof=roof, pitch=0.4)
    paint_building(canvas, (wing,), roof_surface(canvas, roof, rng), rng)


def _paint_yard(
    canvas: Canvas,
    plot: Plot,
    setback: float,
    house_s: float,
    house_w: float,
    house_d: float,
    rng: np.random.Generator,
) -> None:
    """Paved front, path to the door, terrace behind, a paved rim around the house."""
    if rng.random() < 0.10:
        front = plot.part(0.2, 0.0, plot.width - 0.2, setback + 2.0)
        paint_rect(canvas, front, draw_paving(rng), IMPERVIOUS, rng)
    else:
        at = house_s + float(rng.uniform(-0.3, 0.3)) * house_w
        path = plot.part(at - 0.7, 0.0, at + 0.7, setback + 1.0)
        paint_rect(canvas, path, draw_paving(rng), IMPERVIOUS, rng)
    rim = float(rng.uniform(0.2, 0.7))
    around = plot.part(
        house_s - house_w / 2 - rim,
        setback - rim,
        house_s + house_w / 2 + rim,
        setback + house_d + rim,
    )
    paint_rect(canvas, around, draw_paving(rng), IMPERVIOUS, rng)
    back = setback + house_d
    half = float(rng.uniform(0.2, 0.42)) * house_w
    shift = float(rng.uniform(-0.2, 0.2)) * house_w
    deep = float(rng.uniform(2.0, 4.2))
    terrace = plot.part(house_s + shift - half, back - 0.5, house_s + shift + half, back + deep)
    paint_rect(canvas, terrace, draw_paving(rng), IMPERVIOUS, rng, corner_m=0.4)


def paint_garden(
    canvas: Canvas, plot: Plot, start_t: float, spots: Spots, rng: np.random.Generator
) -> None:
    """Beds, bushes, shed, rarely a pool, from start_t to the end of the plot."""
    width, depth = plot.width, plot.depth
    room = depth - start_t
    if room < 3.0:
        return
    for _ in range(int(rng.integers(0, 3))):
        s, t = rng.uniform(0.5, width - 2.5), rng.uniform(start_t, depth - 1.5)
        bed = plot.part(s, t, s + rng.uniform(1.5, 4.0), t + rng.uniform(1.0, 2.5))
        soil = Surface(
            spectrum=jittered(SOIL, 0.12, rng), other=(0.50, 0.24, 0.26), other_share=0.5
        )
        paint_rect(canvas, bed, soil, LOW_VEGETATION, rng, corner_m=0.5, ragged_m=0.15)
    if rng.random() < 0.35:
        path_s = rng.uniform(1.0, width - 1.0)
        path = plot.part(path_s, start_t - 2.0, path_s + 0.8, depth - 1.0)
        paint_rect(canvas, path, draw_paving(rng), IMPERVIOUS, rng)
    if rng.random() < 0.5 and room > 6:
        corner = 2.2 if rng.random() < 0.5 else width - 2.2
        roof: RoofKind = "flat" if rng.random() < 0.4 else "gable"
        size = (float(rng.uniform(2.4, 4.5)), float(rng.uniform(2.2, 3.2)))
        shed = Wing(
            pose=plot.pose(canvas, corner, depth - 2.2),
            length=size[0],
            width=size[1],
            eaves=2.1,
            roof=roof,
            pitch=0.4,
        )
        paint_building(canvas, (shed,), roof_surface(canvas, roof, rng), rng)
    if room > 5:
        spots.things.append(plot.pose(canvas, width * rng.uniform(0.3, 0.7), (start_t + depth) / 2))
    for _ in range(int(rng.poisson(min(room * width / 30.0, 7.0)))):
        s = float(rng.choice((rng.uniform(0.3, 1.6), width - rng.uniform(0.3, 1.6))))
        s = s if rng.random() < 0.7 else float(rng.uniform(0.5, width - 0.5))
        place = plot.pose(canvas, s, float(rng.uniform(start_t, depth - 0.4)))
        paint_bush(canvas, place, float(rng.uniform(0.4, 1.4)), rng)
    for _ in range(1 + int(room * width / 70.0)):
        spots.trees.append(
            plot.pose(canvas, rng.uniform(0.5, width - 0.5), rng.uniform(start_t, depth))
        )


def _paint_borders(canvas: Canvas, plot: Plot, rng: np.random.Generator) -> None:
    """Hedges or nothing on the sides of the plot."""
    width, depth = plot.width, plot.depth
    thick = float(rng.uniform(0.5, 1.1))
    tall = float(rng.uniform(0.9, 2.1))
    start = float(rng.uniform(0.0, 0.4)) * depth
    for chance, part in (
        (0.45, plot.part(0.0, start, thick, depth)),
        (0.35, plot.part(0.0, depth - thick, width, depth)),
        (0.2, plot.part(0.0, 0.0, width * float(rng.uniform(0.3, 0.6)), thick)),
    ):
        if rng.random() < chance:
            paint_hedge(canvas, part, tall, rng)
