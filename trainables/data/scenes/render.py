"""One scene from start to end: plan, paint, plant, park, expose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.blocks.blocks import BLOCK_MIX, PAINTERS
from trainables.data.scenes.blocks.plots import Spots
from trainables.data.scenes.blocks.streets import paint_pavement, paint_streets
from trainables.data.scenes.canvas.canvas import (
    CAR,
    CLUTTER,
    IMPERVIOUS,
    LOW_VEGETATION,
    TREE,
    Canvas,
)
from trainables.data.scenes.canvas.conditions import draw_conditions
from trainables.data.scenes.canvas.layout import (
    BLOCK_LIMITS,
    GSD_M,
    Plan,
    Pose,
    Street,
    draw_frame,
    draw_plan,
)
from trainables.data.scenes.canvas.light import expose
from trainables.data.scenes.canvas.noise import draw_noise_bank
from trainables.data.scenes.objects.things import GARDEN_THINGS, YARD_THINGS, paint_car
from trainables.data.scenes.objects.vegetation import SPECIES, paint_crown

_YARD_M: Final = 9.0
"""How far from a place for things further ones may stand, along and across it."""
_ROUNDS: Final = 6


@dataclass(frozen=True, kw_only=True)
class Generators:
    """One random generator per purpose."""

    layout: np.random.Generator
    noise: np.random.Generator
    blocks: np.random.Generator
    cars: np.random.Generator
    trees: np.random.Generator
    sensor: np.random.Generator


def draw_generators(seed: int, area: int, version: int) -> Generators:
    """Independent generators for a tile."""
    children = np.random.SeedSequence([version, seed, area]).spawn(6)
    layout, noise, blocks, cars, trees, sensor = (np.random.default_rng(c) for c in children)
    return Generators(
        layout=layout, noise=noise, blocks=blocks, cars=cars, trees=trees, sensor=sensor
    )


def paint_scene(
    kind: str, generators: Generators, *, height_px: int, width_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture (3, H, W) and class indices (H, W), both uint8, of a tile of the given kind."""
    canvas = _blank_canvas(kind, generators, height_px=height_px, width_px=width_px)
    reach_m = 0.5 * GSD_M * float(np.hypot(height_px, width_px)) + 22.0
    plan = draw_plan(canvas.frame, reach_m, BLOCK_LIMITS[kind], generators.layout)
    paint_streets(canvas, plan, generators.blocks)
    spots = Spots()
    _paint_blocks(canvas, plan, spots, generators.blocks)
    for street in plan.streets:
        spots.cars.extend(_kerb_spots(canvas, street, generators.cars))
    _place_clutter(canvas, spots, generators.cars)
    _park_cars(canvas, spots, generators.cars)
    _plant_trees(canvas, spots, generators.trees)
    return expose(canvas, generators.sensor), canvas.mask


def _blank_canvas(kind: str, generators: Generators, *, height_px: int, width_px: int) -> Canvas:
    conditions = draw_conditions(kind, generators.layout)
    frame = draw_frame(height_px, width_px, generators.layout)
    u, v = frame.to_uv(np.arange(width_px)[None, :], np.arange(height_px)[:, None])
    shape = (height_px, width_px)
    return Canvas(
        reflectance=np.zeros((3, *shape), dtype=np.float32),
        height=np.zeros(shape, dtype=np.float32),
        shade=np.ones(shape, dtype=np.float32),
        mask=np.zeros(shape, dtype=np.uint8),
        u=u,
        v=v,
        frame=frame,
        noise=draw_noise_bank(height_px, width_px, generators.noise),
        conditions=conditions,
    )


def _paint_blocks(canvas: Canvas, plan: Plan, spots: Spots, rng: np.random.Generator) -> None:
    mix = BLOCK_MIX[canvas.conditions.kind]
    names, shares = list(mix), list(mix.values())
    for block in plan.blocks:
        if canvas.window_of(block).is_empty:
            continue
        inner = paint_pavement(canvas, block, float(rng.uniform(0.9, 1.8)), rng)
        PAINTERS[names[rng.choice(len(names), p=shares)]](canvas, inner, spots, rng)


def _kerb_spots(canvas: Canvas, street: Street, rng: np.random.Generator) -> list[Pose]:
    """Where cars stand at the kerb or drive on their lane."""
    rect = street.rect
    middle = (rect.v0 + rect.v1) / 2 if street.along_u else (rect.u0 + rect.u1) / 2
    begin, end = (rect.u0, rect.u1) if street.along_u else (rect.v0, rect.v1)
    spots = []
    for side in (-1.0, 1.0):
        at = begin + float(rng.uniform(4, 8))
        while at < end - 4:
            at += float(rng.uniform(5.3, 8.0))
            offset = side * (street.half_width - 1.15 + float(rng.normal(0, 0.12)))
            if rng.random() < 0.15:
                offset = side * street.half_width * 0.45
            turn = float(rng.normal(0, 0.03)) + (np.pi if side > 0 else 0.0)
            u, v = (at, middle + offset) if street.along_u else (middle + offset, at)
            spots.append(canvas.frame.pose(u, v, turn + (0.0 if street.along_u else np.pi / 2)))
    return spots


def _place_clutter(canvas: Canvas, spots: Spots, rng: np.random.Generator) -> None:
    """Puts rare things on free spots until the tile's share of clutter is reached."""
    rows, columns = canvas.mask.shape
    wanted = canvas.conditions.clutter_share * canvas.mask.size
    places = [spots.things[index] for index in rng.permutation(len(spots.things))]
    # Where the first round is not enough, more things stand about the same places.
    places += [
        place.moved(*rng.uniform(-_YARD_M, _YARD_M, 2)) for _ in range(_ROUNDS) for place in places
    ]
    for pose in places:
        x, y = int(pose.x), int(pose.y)
        if not (0 <= x < columns and 0 <= y < rows) or canvas.height[y, x] > 0.3:
            continue
        if canvas.mask[y, x] == CLUTTER:
            continue
        on_grass = canvas.mask[y, x] == LOW_VEGETATION
        choice = GARDEN_THINGS if on_grass else YARD_THINGS
        choice[int(rng.integers(len(choice)))](canvas, pose, rng)
        if np.count_nonzero(canvas.mask == CLUTTER) >= wanted:
            return


def _park_cars(canvas: Canvas, spots: Spots, rng: np.random.Generator) -> None:
    """Fills spots in random order until the tile's share of cars is reached."""
    rows, columns = canvas.mask.shape
    # Trees hide some cars later.
    wanted = 1.1 * canvas.conditions.car_share * canvas.mask.size
    taken = 0
    for index in rng.permutation(len(spots.cars)):
        pose = spots.cars[index]
        if taken >= wanted:
            return
        x, y = int(pose.x), int(pose.y)
        if not (0 <= x < columns and 0 <= y < rows) or canvas.height[y, x] > 0.3:
            continue
        if np.any(canvas.mask[canvas.window_about(pose, 0.9).slices] == CAR):
            continue
        turn = np.pi if rng.random() < 0.3 else 0.0
        taken += paint_car(canvas, pose.moved(float(rng.normal(0, 0.2)), 0.0, turn), rng)


def _plant_trees(canvas: Canvas, spots: Spots, rng: np.random.Generator) -> None:
    """Plants until the tile's share of crowns is reached."""
    rows, columns = canvas.mask.shape
    wanted = canvas.conditions.tree_share * canvas.mask.size
    fashion = rng.dirichlet(np.full(len(SPECIES), 0.8))
    likes = np.zeros(6)
    likes[LOW_VEGETATION], likes[IMPERVIOUS], likes[TREE] = 1.0, 0.24, 0.3
    thickness = canvas.noise.sample("sweep", canvas.window(0, columns, 0, rows), rng)
    typical = float(rng.uniform(0.72, 1.08))
    planned = [spots.trees[i] for i in rng.permutation(len(spots.trees))]
    grown = 0
    for attempt in range(2500):
        if grown >= wanted:
            return
        if attempt < len(planned):
            pose = planned[attempt]
        else:
            x, y = rng.uniform(-30, columns + 30), rng.uniform(-30, rows + 30)
            pose = Pose(x=float(x), y=float(y), angle=0.0)
        column, row = int(np.clip(pose.x, 0, columns - 1)), int(np.clip(pose.y, 0, rows - 1))
        # Trees stand in groups: some gardens are full of them, others open.
        density = np.clip(0.45 + 0.7 * thickness[row, column], 0.0, 1.0)
        if rng.random() > likes[canvas.mask[row, column]] * density:
            continue
        species = SPECIES[rng.choice(len(SPECIES), p=fashion)]
        radius = float(np.clip(rng.lognormal(typical, 0.42), 1.0, 5.8))
        grown += paint_crown(canvas, pose, radius, species, rng)
