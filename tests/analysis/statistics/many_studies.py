"""What is said of many simulated studies at once: `compute_answer`'s claims, without its tables.

One study takes `compute_answer` some 20 ms, a cell of a thousand 20 s. These functions say the same
of arrays (N, S, F); test_many_studies.py holds them to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.claims.failures import COLLAPSE_DROP, COLLAPSE_MADS, upper_bound
from analysis.statistics.label_efficiency.efficiency import area_under_curve
from analysis.statistics.label_efficiency.needed import Differences, measured_bounds, t_bounds
from contract.protocol.power import AREA_SHARE, LEVEL, all_signs, fewest_seeds
from tests.analysis.statistics.worlds import World

Values = NDArray[np.float64]

_AT_ONCE = 100
"""Studies whose signs are flipped together: bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is said of N studies of a world, U-REC against U-Net."""

    low: Values
    """Bounds of the annotations needed, (N, F)."""
    high: Values
    direction: NDArray[np.int64]
    """At each fraction: 1 where U-REC may be said to score higher, -1 lower, else 0; (N, F)."""
    p_area: Values
    """Adjusted p value of the difference of the areas, (N,)."""
    p_fraction: Values
    """Adjusted p values at single fractions, (N, F)."""

    @property
    def saves(self) -> NDArray[np.bool_]:
        """Where a saving is claimed, (N, F)."""
        claimed = self.direction > 0
        claimed[:, 0] = False  # nothing was measured below
        return claimed


def said_of(world: World, num_studies: int, generator: np.random.Generator) -> Said:
    """Draws studies and says of each what its report would."""
    return said(world, world.draw(num_studies, generator))


def said(world: World, drawn: dict[str, Values]) -> Said:
    """The same of studies that were drawn."""
    unet, urec = drawn["unet"], drawn["urec"]
    differences = urec - unet
    (p_area,), p_fraction = adjusted([differences], world.fracs)
    loss = {
        1: _unseen_loss(urec, unet),
        -1: _unseen_loss(unet, urec),
    }
    means = differences.mean(axis=1)
    signs = np.where(means > 0.0, 1, -1)
    higher = (differences > 0.0).sum(axis=1) - (differences < 0.0).sum(axis=1)
    nearer = np.abs(means) - (t_bounds(differences).high - means)  # the bound next to 0
    cost = np.where(means < 0.0, loss[-1], loss[1])
    agreed = (np.sign(higher) == signs) & ((cost == 0.0) | (nearer > cost))
    direction = np.where((p_fraction <= LEVEL) & agreed, signs, 0)
    low, high = np.empty(means.shape), np.empty(means.shape)
    for place, frac in enumerate(world.fractions):
        target = unet[..., place : place + 1]
        ours, its = t_bounds(urec - target), t_bounds(unet - target)
        less = Differences(surely=ours.surely - loss[1], high=ours.high)
        low[:, place], found = measured_bounds(world.fracs, place, less, its)
        high[:, place] = np.where(direction[:, place] > 0, np.minimum(found, frac), found)
    return Said(low=low, high=high, direction=direction, p_area=p_area, p_fraction=p_fraction)


def false_findings(
    world: World, num_variants: int, num_studies: int, generator: np.random.Generator
) -> float:
    """Share of studies that print a p of at most LEVEL though all their variants are U-Net.

    All pairs are compared, over the curve and at every fraction.

    Args:
        world: What trials of U-Net are drawn from.
        num_variants: How many variants a study has.
        num_studies: How many studies.
        generator: Draws them.
    """
    drawn = [world.draw(num_studies, generator)["unet"] for _ in range(num_variants)]
    areas, fractions = adjusted([a - b for a, b in combinations(drawn, 2)], world.fracs)
    found = (np.stack(areas, axis=1) <= LEVEL).any(axis=1) | (fractions <= LEVEL).any(axis=1)
    return float(found.mean())


def read_often(
    world: World, levels: Mapping[int, float], num_studies: int, generator: np.random.Generator
) -> float:
    """Share of studies of equal models that print a p below its level at any of several readings.

    Whoever reads a study after every seed sees what its last complete look says, so that each look
    counts once however often it is read.

    Args:
        world: Two models of the same mean.
        levels: What each look may spend, by its seeds per arm.
        num_studies: How many studies.
        generator: Draws them.
    """
    drawn = world.draw(num_studies, generator)
    differences = drawn["urec"] - drawn["unet"]
    found = np.zeros(num_studies, dtype=np.bool_)
    for num_seeds, level in levels.items():
        (area,), fractions = adjusted([differences[:, :num_seeds]], world.fracs)
        found |= (area <= level) | (fractions <= level).any(axis=1)
    return float(found.mean())


def adjusted(pairs: Sequence[Values], fracs: Values) -> tuple[list[Values], Values]:
    """As `significance.fallback` of the differences of all pairs, each (N, S, F).

    Returns:
        P values of the area of each pair (N,), and of all their fractions (N, P F).
    """
    num_studies, num_seeds, _ = pairs[0].shape
    differences = np.concatenate(pairs, axis=2)
    if num_seeds < fewest_seeds(LEVEL * AREA_SHARE):
        shape = num_studies, differences.shape[2]
        return [np.full(num_studies, np.nan) for _ in pairs], np.full(shape, np.nan)
    by_seed = np.stack([area_under_curve(fracs, one) for one in pairs], axis=2)
    areas = _step_down(by_seed) / AREA_SHARE
    fractions = _step_down(differences)
    fallen = np.maximum(fractions, areas.max(axis=1, keepdims=True))
    adjusted = np.minimum(fallen, fractions / (1.0 - AREA_SHARE)).clip(max=1.0)
    return [*np.minimum(areas, 1.0).T], adjusted


def _step_down(differences: Values) -> Values:
    """As `significance.step_down_p` of each study, (N, S, H) to (N, H), exact."""
    scale = np.sqrt((differences**2).sum(axis=1, keepdims=True))
    rows = differences / np.where(scale > 0.0, scale, 1.0)
    seen = np.abs(rows.sum(axis=1)) - 1e-10 * np.abs(rows).sum(axis=1)
    order = np.argsort(-seen, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order[:, None, :], axis=2)
    seen = np.take_along_axis(seen, order, axis=1)
    signs = all_signs(differences.shape[1])
    p = np.empty(seen.shape)
    for start in range(0, len(rows), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        flipped = np.abs(signs @ rows[some])
        largest = np.maximum.accumulate(flipped[..., ::-1], axis=2)[..., ::-1]
        p[some] = (largest >= seen[some, None, :]).mean(axis=1)
    found = np.empty(p.shape)
    np.put_along_axis(found, order, np.maximum.accumulate(p, axis=1), axis=1)
    return found


def _unseen_loss(better: Values, other: Values) -> Values:
    """As `failures.unseen_loss` where trials collapse and none fails, (N, F)."""
    (own, num, drop), (_, its_num, its_drop) = (_collapses(scores) for scores in (better, other))
    total = better.shape[1] * better.shape[2]
    bounds = np.array([upper_bound(count, total) for count in range(total + 1)])
    loss = np.maximum(0.0, bounds[num] * drop - its_num / total * its_drop)
    return np.where((own > 0) | (num == 0)[:, None], 0.0, loss[:, None])


def _collapses(scores: Values) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Collapses of each arm (N, F) and of all (N,), and what each of these lost on average."""
    below = np.median(scores, axis=1, keepdims=True) - scores
    deviation = np.median(np.abs(below), axis=1, keepdims=True)
    collapsed = below > np.maximum(COLLAPSE_DROP, COLLAPSE_MADS * deviation)
    num = collapsed.sum(axis=(1, 2))
    drop = np.where(collapsed, below, 0.0).sum(axis=(1, 2)) / np.maximum(num, 1)
    return collapsed.sum(axis=1), num, drop
