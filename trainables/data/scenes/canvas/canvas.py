"""The picture while it is painted: reflectance, height, slope towards the sun, class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.scenes.canvas.conditions import Conditions
from trainables.data.scenes.canvas.layout import GSD_M, Frame, Pose, Rect
from trainables.data.scenes.canvas.materials import Spectrum, Surface, surface_texture
from trainables.data.scenes.canvas.noise import FloatArray, NoiseBank, Window

IMPERVIOUS: Final = 0
BUILDING: Final = 1
LOW_VEGETATION: Final = 2
TREE: Final = 3
CAR: Final = 4
CLUTTER: Final = 5


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Rasters of one tile (the arrays are painted on) and what painting needs to know."""

    reflectance: FloatArray
    """(3, H, W): near infrared, red, green."""
    height: FloatArray
    """(H, W), metres above the ground."""
    shade: FloatArray
    """(H, W): direct sun on the surface, relative to level ground."""
    mask: NDArray[np.uint8]
    """(H, W), class indices."""
    u: FloatArray
    """(H, W), metres along the frame."""
    v: FloatArray
    """(H, W), metres across the frame."""
    frame: Frame
    noise: NoiseBank
    conditions: Conditions

    def window(self, x0: float, x1: float, y0: float, y1: float) -> Window:
        """The pixels between these positions that lie on the canvas."""
        height, width = self.mask.shape
        return Window(
            y0=min(max(int(np.floor(y0)), 0), height),
            y1=min(max(int(np.ceil(y1)) + 1, 0), height),
            x0=min(max(int(np.floor(x0)), 0), width),
            x1=min(max(int(np.ceil(x1)) + 1, 0), width),
        )

    def window_about(self, pose: Pose, reach_m: float) -> Window:
        """The pixels within reach_m of a pose, as a square."""
        reach = reach_m / GSD_M + 1.0
        return self.window(pose.x - reach, pose.x + reach, pose.y - reach, pose.y + reach)

    def window_of(self, rect: Rect) -> Window:
        """The pixels that a rectangle of the frame can touch."""
        share = np.linspace(0.0, 1.0, 7)
        u, v = rect.u0 + share * rect.width, rect.v0 + share * rect.depth
        ends = np.ones_like(share)
        x, y = self.frame.to_px(
            np.concatenate([u, u, rect.u0 * ends, rect.u1 * ends]),
            np.concatenate([rect.v0 * ends, rect.v1 * ends, v, v]),
        )
        pad = 4.0
        return self.window(x.min() - pad, x.max() + pad, y.min() - pad, y.max() + pad)

    def blend(
        self,
        window: Window,
        alpha: FloatArray,
        reflectance: FloatArray,
        *,
        class_index: int | None = None,
        height: FloatArray | float | None = None,
        shade: FloatArray | float | None = None,
    ) -> None:
        """Paints reflectance (3, h, w) with coverage alpha (h, w) in 0-1; None leaves as is."""
        rows, columns = window.slices
        under = self.reflectance[:, rows, columns]
        under += alpha * (reflectance - under)
        solid = alpha > 0.5
        if class_index is not None:
            self.mask[rows, columns][solid] = class_index
        if height is not None:
            np.copyto(self.height[rows, columns], height, where=solid)
        if shade is not None:
            self.shade[rows, columns] += alpha * (shade - self.shade[rows, columns])


def local_axes(window: Window, pose: Pose) -> tuple[FloatArray, FloatArray]:
    """Metres along and across a pose for the pixels of a window, (h, w) each."""
    cos, sin = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    dx = ((np.arange(window.x0, window.x1) - pose.x) * GSD_M).astype(np.float32)[None, :]
    dy = ((np.arange(window.y0, window.y1) - pose.y) * GSD_M).astype(np.float32)[:, None]
    return dx * cos + dy * sin, dy * cos - dx * sin


def coverage(inside_m: FloatArray) -> FloatArray:
    """Share of a pixel that is covered, from its signed distance to the edge in metres."""
    share: FloatArray = np.clip(inside_m * np.float32(1.0 / GSD_M) + np.float32(0.5), 0.0, 1.0)
    return share


def rect_distance(canvas: Canvas, window: Window, rect: Rect, corner_m: float = 0.0) -> FloatArray:
    """Metres inside (positive) a rectangle of the frame with rounded corners, (h, w)."""
    rows, columns = window.slices
    du = np.abs(canvas.u[rows, columns] - np.float32((rect.u0 + rect.u1) / 2))
    dv = np.abs(canvas.v[rows, columns] - np.float32((rect.v0 + rect.v1) / 2))
    in_u = np.float32(rect.width / 2) - du
    in_v = np.float32(rect.depth / 2) - dv
    inside: FloatArray = np.minimum(in_u, in_v)
    if corner_m > 0:
        corner = np.float32(corner_m)
        near = (in_u < corner) & (in_v < corner)
        inside[near] = corner - np.hypot(corner - in_u[near], corner - in_v[near])
    return inside


def paint_rect(
    canvas: Canvas,
    rect: Rect,
    surface: Surface,
    class_index: int,
    rng: np.random.Generator,
    *,
    corner_m: float = 0.0,
    ragged_m: float = 0.0,
    strength: float = 1.0,
) -> None:
    """Covers the bare ground of a rectangle of the frame; ragged_m frays its edge."""
    window = canvas.window_of(rect)
    if window.is_empty:
        return
    inside = rect_distance(canvas, window, rect, corner_m)
    if ragged_m > 0:
        inside += ragged_m * canvas.noise.sample("patch", window, rng)
    texture = surface_texture(surface, canvas.noise, window, rng)
    ground = canvas.height[window.slices] < np.float32(0.3)
    alpha = coverage(inside) * np.float32(strength) * ground
    canvas.blend(window, alpha, texture, class_index=class_index)


def paint_box(
    canvas: Canvas,
    pose: Pose,
    size_m: tuple[float, float],
    spectrum: Spectrum,
    *,
    class_index: int | None,
    height_m: float | None = None,
    raise_m: float | None = None,
    corner_m: float = 0.0,
    strength: float = 1.0,
    shade: float | None = 1.0,
) -> None:
    """A small rigid box: height_m above the ground, or raise_m above what is there."""
    window = canvas.window_about(pose, 0.5 * float(np.hypot(*size_m)))
    if window.is_empty:
        return
    along, across = local_axes(window, pose)
    in_a = np.float32(size_m[0] / 2) - np.abs(along)
    in_b = np.float32(size_m[1] / 2) - np.abs(across)
    inside = np.minimum(in_a, in_b)
    if corner_m > 0:
        near = (in_a < corner_m) & (in_b < corner_m)
        inside[near] = corner_m - np.hypot(corner_m - in_a[near], corner_m - in_b[near])
    rows, columns = window.slices
    height: FloatArray | float | None = height_m
    if raise_m is not None:
        height = canvas.height[rows, columns] + np.float32(raise_m)
    colour = np.asarray(spectrum, dtype=np.float32)[:, None, None]
    colour = colour * (1.0 + 0.04 * canvas.noise.grain[rows, columns])
    canvas.blend(
        window,
        coverage(inside) * np.float32(strength),
        colour,
        class_index=class_index,
        height=height,
        shade=shade,
    )
