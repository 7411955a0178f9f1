"""Where things are: the curved frame of a tile, its streets, blocks and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainables.data.scenes.canvas.noise import FloatArray

GSD_M: Final = 0.09
"""Size of a pixel on the ground, metres."""


@dataclass(frozen=True, kw_only=True)
class Rect:
    """A rectangle of the frame, metres."""

    u0: float
    v0: float
    u1: float
    v1: float

    @property
    def width(self) -> float:
        """Extent along u."""
        return self.u1 - self.u0

    @property
    def depth(self) -> float:
        """Extent along v."""
        return self.v1 - self.v0

    def inset(self, margin: float) -> Rect:
        """The rectangle without a margin on all sides."""
        return Rect(
            u0=self.u0 + margin, v0=self.v0 + margin, u1=self.u1 - margin, v1=self.v1 - margin
        )


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Place and heading of a rigid thing: pixels and radians from +x towards +y."""

    x: float
    y: float
    angle: float

    def moved(self, along_m: float, across_m: float, turn: float = 0.0) -> Pose:
        """The pose shifted in its own axes, metres, then turned."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return Pose(
            x=self.x + float(along_m * cos - across_m * sin) / GSD_M,
            y=self.y + float(along_m * sin + across_m * cos) / GSD_M,
            angle=self.angle + turn,
        )


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Coordinates (u, v) in metres that follow the streets: rotated and gently bent."""

    x_px: float
    y_px: float
    angle: float
    bend_m: tuple[float, float]
    wave_m: tuple[float, float]
    phase: tuple[float, float]

    def _bends(self, u: NDArray[np.floating], v: NDArray[np.floating]) -> tuple[FloatArray, ...]:
        turn = 2.0 * np.pi
        return (
            self.bend_m[0] * np.sin(v * (turn / self.wave_m[0]) + self.phase[0]),
            self.bend_m[1] * np.sin(u * (turn / self.wave_m[1]) + self.phase[1]),
        )

    def to_uv(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Metres (u, v) of pixel positions; shapes broadcast."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        east = (np.asarray(x, dtype=np.float32) - np.float32(self.x_px)) * np.float32(GSD_M)
        south = (np.asarray(y, dtype=np.float32) - np.float32(self.y_px)) * np.float32(GSD_M)
        u, v = east * cos + south * sin, south * cos - east * sin
        bend_u, bend_v = self._bends(u, v)
        return (u + bend_u).astype(np.float32), (v + bend_v).astype(np.float32)

    def to_px(self, u: ArrayLike, v: ArrayLike) -> tuple[NDArray[np.floating], ...]:
        """Pixel positions (x, y) of metres (u, v): the inverse of `to_uv`."""
        goal_u, goal_v = np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)
        flat_u, flat_v = goal_u, goal_v
        for _ in range(5):
            bend_u, bend_v = self._bends(flat_u, flat_v)
            flat_u, flat_v = goal_u - bend_u, goal_v - bend_v
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (
            self.x_px + (flat_u * cos - flat_v * sin) / GSD_M,
            self.y_px + (flat_u * sin + flat_v * cos) / GSD_M,
        )

    def pose(self, u: float, v: float, turn: float = 0.0) -> Pose:
        """The pose of a thing at (u, v) whose length lies along +u, then turned."""
        x, y = self.to_px([u, u + 0.5, u - 0.5], [v, v, v])
        heading = float(np.arctan2(y[1] - y[2], x[1] - x[2]))
        return Pose(x=float(x[0]), y=float(y[0]), angle=heading + turn)


@dataclass(frozen=True, kw_only=True)
class Street:
    """A carriageway between blocks."""

    rect: Rect
    along_u: bool
    """Whether traffic runs along u (else along v)."""
    level: int
    """0 for a main street; higher for smaller ones."""

    @property
    def half_width(self) -> float:
        """Half of the carriageway, metres."""
        return (self.rect.depth if self.along_u else self.rect.width) / 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Streets and blocks of a tile."""

    frame: Frame
    streets: tuple[Street, ...]
    blocks: tuple[Rect, ...]


BLOCK_LIMITS: Final = {
    "suburb": (100.0, 64.0),
    "old town": (78.0, 56.0),
    "terraces": (95.0, 60.0),
    "apartments": (110.0, 76.0),
    "industry": (110.0, 76.0),
    "edge": (105.0, 74.0),
}
"""Longest and second longest side that a block may have before it is cut, metres."""


def draw_frame(height_px: int, width_px: int, rng: np.random.Generator) -> Frame:
    """A frame about the middle of the tile with a random heading and bend."""
    strength = float(rng.choice((0.0, 1.0, 1.0, 1.8)))
    return Frame(
        x_px=width_px / 2 + float(rng.uniform(-60, 60)),
        y_px=height_px / 2 + float(rng.uniform(-60, 60)),
        angle=float(rng.uniform(0.0, np.pi)),
        bend_m=(strength * float(rng.uniform(1.0, 3.6)), strength * float(rng.uniform(0.5, 3.0))),
        wave_m=(float(rng.uniform(110, 220)), float(rng.uniform(110, 220))),
        phase=(float(rng.uniform(0, 6.3)), float(rng.uniform(0, 6.3))),
    )


def draw_plan(
    frame: Frame, reach_m: float, limits: tuple[float, float], rng: np.random.Generator
) -> Plan:
    """Cuts the square of half side reach_m into blocks by streets, larger streets first."""
    streets: list[Street] = []
    blocks: list[Rect] = []
    left, right, top, bottom = reach_m + rng.uniform(0.0, 50.0, 4)
    pending = [(Rect(u0=-left, v0=-top, u1=right, v1=bottom), 0)]
    while pending:
        rect, level = pending.pop()
        cut_u = rect.width >= rect.depth
        long, short = max(rect.width, rect.depth), min(rect.width, rect.depth)
        if long <= limits[0] * rng.uniform(0.85, 1.15) and short <= limits[1]:
            blocks.append(rect)
            continue
        if long <= limits[0]:
            cut_u = rect.width > limits[1] if rect.depth <= limits[1] else cut_u
        half = float(rng.uniform(2.5, 3.4) if level < 2 else rng.uniform(1.9, 2.6))
        share = float(rng.uniform(0.38, 0.62))
        middle = rect.u0 + share * rect.width if cut_u else rect.v0 + share * rect.depth
        low, high, street = _cut(rect, cut_u=cut_u, middle=middle, half=half)
        streets.append(Street(rect=street, along_u=not cut_u, level=level))
        pending += [(low, level + 1), (high, level + 1)]
    return Plan(frame=frame, streets=tuple(streets), blocks=tuple(blocks))


def _cut(rect: Rect, *, cut_u: bool, middle: float, half: float) -> tuple[Rect, Rect, Rect]:
    lo, hi = middle - half, middle + half
    if cut_u:
        return (
            Rect(u0=rect.u0, v0=rect.v0, u1=lo, v1=rect.v1),
            Rect(u0=hi, v0=rect.v0, u1=rect.u1, v1=rect.v1),
            Rect(u0=lo, v0=rect.v0, u1=hi, v1=rect.v1),
        )
    return (
        Rect(u0=rect.u0, v0=rect.v0, u1=rect.u1, v1=lo),
        Rect(u0=rect.u0, v0=hi, u1=rect.u1, v1=rect.v1),
        Rect(u0=rect.u0, v0=lo, u1=rect.u1, v1=hi),
    )
