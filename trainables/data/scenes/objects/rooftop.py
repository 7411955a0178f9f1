"""What stands on roofs: chimneys, skylights, solar panels, ventilation."""

from __future__ import annotations

import numpy as np

from trainables.data.scenes.canvas.canvas import BUILDING, Canvas, coverage, local_axes, paint_box
from trainables.data.scenes.canvas.layout import Pose
from trainables.data.scenes.canvas.materials import jittered
from trainables.data.scenes.objects.roofs import Wing


def furnish_pitched_roof(canvas: Canvas, wing: Wing, rng: np.random.Generator) -> None:
    """Chimneys, skylights and solar panels."""
    half_a, half_b = wing.length / 2, wing.width / 2
    for _ in range(int(rng.integers(0, 3))):
        place = wing.pose.moved(rng.uniform(-0.7, 0.7) * half_a, rng.uniform(-0.4, 0.4) * half_b)
        size = (float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.45, 0.7)))
        brick = jittered((0.27, 0.22, 0.18), 0.25, rng)
        paint_box(canvas, place, size, brick, class_index=BUILDING, raise_m=1.1)
        paint_box(canvas, place, (0.25, 0.25), (0.05, 0.05, 0.05), class_index=BUILDING)
    side = float(rng.choice((-1.0, 1.0)))
    for _ in range(int(rng.integers(0, 5))):
        place = wing.pose.moved(
            rng.uniform(-0.8, 0.8) * half_a, side * rng.uniform(0.25, 0.7) * half_b
        )
        glass = (0.50, 0.55, 0.56) if rng.random() < 0.25 else (0.09, 0.11, 0.12)
        paint_box(canvas, place, (0.8, 1.0), glass, class_index=None, strength=0.85, shade=None)
    if rng.random() < 0.09:
        length = float(rng.uniform(0.3, 0.8)) * wing.length
        place = wing.pose.moved(rng.uniform(-0.1, 0.1) * half_a, -side * 0.5 * half_b)
        _paint_panels(canvas, place, length, 0.62 * half_b, rng)


def _paint_panels(
    canvas: Canvas, pose: Pose, length: float, width: float, rng: np.random.Generator
) -> None:
    """Solar modules in rows, dark and bluish, with bright frames."""
    window = canvas.window_about(pose, 0.5 * float(np.hypot(length, width)))
    if window.is_empty:
        return
    along, across = local_axes(window, pose)
    inside = np.minimum(length / 2 - np.abs(along), width / 2 - np.abs(across))
    frame = (np.abs((along / 1.0) % 1.0 - 0.5) > 0.45) | (
        np.abs((across / 1.65) % 1.0 - 0.5) > 0.47
    )
    cell = np.asarray(jittered((0.075, 0.095, 0.125), 0.2, rng), dtype=np.float32)
    texture = cell[:, None, None] * np.where(frame, np.float32(1.9), np.float32(1.0))
    canvas.blend(window, coverage(inside.astype(np.float32)), texture.astype(np.float32))


def furnish_flat_roof(canvas: Canvas, wing: Wing, rng: np.random.Generator) -> None:
    """Skylight rows, ventilation boxes, a stairhead."""
    half_a, half_b = wing.length / 2 - 1.0, wing.width / 2 - 1.0
    area = wing.length * wing.width
    if half_a < 1.5 or half_b < 1.5:
        return
    if area > 250 and rng.random() < 0.7:
        step = float(rng.uniform(3.5, 7.0))
        bright = jittered((0.52, 0.56, 0.56), 0.12, rng)
        for a in np.arange(-half_a + 1.5, half_a - 1.0, step):
            size = (float(0.3 * step), float(half_b * 1.1)) if area > 600 else (1.3, 1.3)
            paint_box(canvas, wing.pose.moved(a, 0.0), size, bright, class_index=None, raise_m=0.3)
    for _ in range(int(rng.poisson(min(area / 60.0, 9.0)))):
        place = wing.pose.moved(rng.uniform(-half_a, half_a), rng.uniform(-half_b, half_b))
        size = (float(rng.uniform(0.5, 2.4)), float(rng.uniform(0.5, 1.8)))
        metal = jittered((0.40, 0.42, 0.42), 0.35, rng)
        paint_box(
            canvas, place, size, metal, class_index=None, raise_m=float(rng.uniform(0.2, 1.4))
        )
    if area > 200 and rng.random() < 0.6:
        place = wing.pose.moved(rng.uniform(-half_a, half_a) * 0.7, rng.uniform(-0.3, 0.3) * half_b)
        paint_box(
            canvas,
            place,
            (4.0, 3.0),
            jittered((0.3, 0.3, 0.29), 0.2, rng),
            class_index=None,
            raise_m=2.4,
        )
