"""Cars and the rare things of the clutter class: pools, containers, bins, building sites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from trainables.data.scenes.canvas.canvas import (
    CAR,
    CLUTTER,
    Canvas,
    coverage,
    local_axes,
    paint_box,
)
from trainables.data.scenes.canvas.layout import Pose
from trainables.data.scenes.canvas.materials import Spectrum, jittered

CAR_PAINTS: Final[tuple[Spectrum, ...]] = (
    (0.74, 0.78, 0.77),
    (0.62, 0.66, 0.66),
    (0.56, 0.60, 0.62),
    (0.50, 0.55, 0.58),
    (0.06, 0.07, 0.08),
    (0.66, 0.62, 0.10),
    (0.58, 0.12, 0.40),
    (0.16, 0.12, 0.46),
    (0.62, 0.60, 0.42),
    (0.24, 0.52, 0.30),
)
CAR_PAINT_SHARES: Final = (0.26, 0.24, 0.14, 0.08, 0.06, 0.06, 0.05, 0.05, 0.03, 0.03)


def paint_car(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> int:
    """Paints one car or van heading along the pose; returns its pixels."""
    is_van = rng.random() < 0.08
    length = float(rng.uniform(5.0, 6.2) if is_van else rng.uniform(3.7, 4.8))
    width = float(rng.uniform(1.9, 2.05) if is_van else rng.uniform(1.66, 1.86))
    window = canvas.window_about(pose, 0.5 * float(np.hypot(length, width)))
    if window.is_empty or window.height < 4 or window.width < 4:
        return 0
    along, across = local_axes(window, pose)
    in_a = np.float32(length / 2) - np.abs(along)
    in_b = np.float32(width / 2) - np.abs(across)
    inside = np.minimum(in_a, in_b)
    corner = np.float32(0.45)
    near = (in_a < corner) & (in_b < corner)
    inside[near] = corner - np.hypot(corner - in_a[near], corner - in_b[near])
    paint = jittered(CAR_PAINTS[rng.choice(10, p=CAR_PAINT_SHARES)], 0.10, rng)
    texture = np.empty((3, *along.shape), dtype=np.float32)
    texture[:] = np.asarray(paint, dtype=np.float32)[:, None, None]
    height = np.full(along.shape, 1.9 if is_van else 0.85, dtype=np.float32)
    # Seen from above: bonnet, windscreen, roof, rear window; side windows as dark slits.
    nose = 0.26 if not is_van else 0.40
    cabin = (along < np.float32((nose - 0.02) * length)) & (along > np.float32(-0.42 * length))
    cabin &= in_b > np.float32(0.10)
    roof = (along < np.float32((nose - 0.17) * length)) & (along > np.float32(-0.30 * length))
    roof &= in_b > np.float32(0.27)
    if is_van:
        roof = (along < np.float32(0.30 * length)) & (in_b > np.float32(0.10))
    height[cabin] = 2.0 if is_van else 1.4
    glass = np.asarray((0.07, 0.085, 0.095), dtype=np.float32) * float(rng.uniform(0.8, 2.0))
    texture[:, cabin & ~roof] = glass[:, None]
    texture[:, roof] *= np.float32(rng.uniform(0.95, 1.2))
    lean = 1.0 - 0.25 * (across / np.float32(width)) * np.float32(rng.choice((-1.0, 1.0)))
    texture *= lean
    canvas.blend(window, coverage(inside), texture, class_index=CAR, height=height, shade=1.0)
    return int(np.count_nonzero(inside > 0))


def paint_pool(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """A pool with its rim: water is dark in the near infrared."""
    length, width = float(rng.uniform(3.2, 6.5)), float(rng.uniform(2.4, 3.6))
    corner = float(rng.choice((0.1, width / 2 - 0.05)))
    rim = jittered((0.42, 0.43, 0.41), 0.1, rng)
    paint_box(canvas, pose, (length + 0.8, width + 0.8), rim, class_index=CLUTTER, corner_m=corner)
    water = jittered((0.06, 0.30, 0.46), 0.2, rng)
    paint_box(canvas, pose, (length, width), water, class_index=CLUTTER, corner_m=corner)


def paint_container(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """A shipping or waste container."""
    colours: tuple[Spectrum, ...] = (
        (0.10, 0.30, 0.52),
        (0.08, 0.22, 0.44),
        (0.14, 0.44, 0.52),
        (0.10, 0.40, 0.34),
    )
    length = float(rng.choice((3.2, 6.0, 6.0)))
    colour = jittered(colours[rng.integers(4)], 0.2, rng)
    paint_box(canvas, pose, (length, 2.4), colour, class_index=CLUTTER, height_m=2.3)
    for offset in np.arange(-length / 2 + 0.5, length / 2, 0.9):
        paint_box(
            canvas,
            pose.moved(offset, 0.0),
            (0.12, 2.3),
            jittered(colour, 0.2, rng),
            class_index=None,
        )


def paint_bins(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """A row of waste bins."""
    for index in range(int(rng.integers(2, 6))):
        colour = jittered((0.14, 0.14, 0.13), 0.4, rng)
        place = pose.moved(0.85 * index, float(rng.normal(0.0, 0.08)), float(rng.normal(0.0, 0.1)))
        paint_box(canvas, place, (0.65, 0.75), colour, class_index=CLUTTER, height_m=1.1)


def paint_stack(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """Building material: pallets, planks, heaps of different colours side by side."""
    for _ in range(int(rng.integers(4, 9))):
        place = pose.moved(
            float(rng.uniform(-3.0, 3.0)), float(rng.uniform(-2.0, 2.0)), float(rng.uniform(0, 3.1))
        )
        colour = jittered((0.42, 0.36, 0.27), 0.4, rng)
        size = (float(rng.uniform(0.8, 3.2)), float(rng.uniform(0.7, 1.5)))
        paint_box(
            canvas,
            place,
            size,
            colour,
            class_index=CLUTTER,
            height_m=float(rng.uniform(0.3, 1.2)),
        )


def paint_trampoline(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """A round trampoline with a coloured rim."""
    size = float(rng.uniform(2.3, 3.4))
    rim = jittered((0.12, 0.34, 0.52), 0.2, rng)
    paint_box(
        canvas, pose, (size, size), rim, class_index=CLUTTER, corner_m=size / 2 - 0.02, height_m=0.8
    )
    inner = size - 0.7
    paint_box(
        canvas,
        pose,
        (inner, inner),
        (0.07, 0.07, 0.075),
        class_index=CLUTTER,
        corner_m=inner / 2 - 0.02,
        height_m=0.8,
    )


def paint_site(canvas: Canvas, pose: Pose, rng: np.random.Generator) -> None:
    """A small building site: bare soil with material on it."""
    size = (float(rng.uniform(5.0, 8.5)), float(rng.uniform(3.5, 5.5)))
    soil = jittered((0.37, 0.31, 0.24), 0.12, rng)
    paint_box(canvas, pose, size, soil, class_index=CLUTTER, corner_m=1.2, height_m=0.0)
    for _ in range(5):
        at = pose.moved(
            float(rng.uniform(-0.4, 0.4)) * size[0], float(rng.uniform(-0.4, 0.4)) * size[1]
        )
        tone = jittered(soil, 0.25, rng)
        wide = float(rng.uniform(1.0, 2.4))
        paint_box(
            canvas,
            at,
            (wide, wide),
            tone,
            class_index=None,
            corner_m=wide / 2 - 0.05,
            raise_m=float(rng.uniform(0.1, 0.6)),
        )
    paint_stack(canvas, pose, rng)


PaintThing = Callable[[Canvas, Pose, np.random.Generator], None]

GARDEN_THINGS: Final[tuple[PaintThing, ...]] = (
    paint_pool,
    paint_pool,
    paint_pool,
    paint_trampoline,
    paint_stack,
)
YARD_THINGS: Final[tuple[PaintThing, ...]] = (
    paint_container,
    paint_container,
    paint_container,
    paint_bins,
    paint_site,
)
