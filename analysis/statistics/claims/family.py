"""The one family of tests of a study: areas first, then single fractions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.statistics.claims.failures import ArmLosses, unseen_loss
from analysis.statistics.differences import AreaDifference, Difference, PairedDifference
from analysis.statistics.significance import Values, fallback, step_down_p
from contract.protocol.power import AREA_SHARE

_SEED = 13
"""Seed of the random signs where there are more seeds than can be tried out."""

_Key = tuple[str, str, float]


@dataclass(frozen=True, kw_only=True)
class Family:
    """All differences of one score that a study tests."""

    areas: tuple[AreaDifference, ...]
    """One per pair of variants."""
    fractions: tuple[PairedDifference, ...]
    """One per pair of variants and fraction that both have."""


def tested(
    complete: Family,
    worst: Family,
    losses: Mapping[tuple[str, float], ArmLosses],
    *,
    level: float,
    has_areas: bool,
) -> Family:
    """The same differences with their adjusted p values, and what speaks against a claim.

    Everything is tested twice: over the pairs in which both trials have scores, and with failed
    trials as the worst of their arms. A difference is shown where both show it, so the two cost
    no more of the level than one.

    Args:
        complete: Over the pairs in which both trials have scores.
        worst: With the scores of `failures.failed_as_worst`; `complete` itself where none failed.
        losses: As from `failures.arm_losses`.
        level: Chance at most, over all tests, of calling a difference where there is none.
        has_areas: Whether the study planned two fractions or more.
    """
    p_complete = _adjusted(complete, level, has_areas)
    p_worst = p_complete if worst is complete else _adjusted(worst, level, has_areas)
    worst_means = {_key(one): one.difference.mean for one in (*worst.areas, *worst.fractions)}

    def found(one: Difference) -> dict[str, Any]:
        return {
            "p_complete": p_complete.get(_key(one), math.nan),
            "p_worst": p_worst.get(_key(one), math.nan),
            "worst_mean": worst_means.get(_key(one), math.nan),
            "unseen_loss": _unseen(one, losses),
            "level": level,
        }

    return Family(
        areas=tuple(replace(one, **found(one)) for one in complete.areas),
        fractions=tuple(replace(one, **found(one)) for one in complete.fractions),
    )


def _unseen(one: Difference, losses: Mapping[tuple[str, float], ArmLosses]) -> float:
    better, other = one.variant, one.reference
    if one.difference.mean < 0.0:
        better, other = other, better
    frac = one.label_frac if isinstance(one, PairedDifference) else None
    return unseen_loss(losses, better, other, frac)


def _key(one: Difference) -> _Key:
    """Names a test; the fraction of an area is 0."""
    frac = one.label_frac if isinstance(one, PairedDifference) else 0.0
    return one.variant, one.reference, frac


def _adjusted(family: Family, level: float, has_areas: bool) -> dict[_Key, float]:
    """Adjusted p values of all tests."""
    areas = _step_down(family.areas, level * AREA_SHARE)
    fractions = _step_down(family.fractions, level)
    by_fallback = fallback(areas, fractions, has_areas)
    names = (map(_key, family.areas), map(_key, family.fractions))
    return {
        name: float(p)
        for named, found in zip(names, by_fallback, strict=True)
        for name, p in zip(named, found, strict=True)
    }


def _step_down(differences: Sequence[Difference], level: float) -> Values:
    return step_down_p(
        _by_seed([one.by_seed for one in differences]), level, np.random.default_rng(_SEED)
    )


def _by_seed(columns: Sequence[Mapping[int, float]]) -> Values:
    """(S, H): a row per seed that any has, NaN where one has none."""
    seeds = sorted(_union(columns))
    rows = [[column.get(seed, math.nan) for column in columns] for seed in seeds]
    return np.array(rows, dtype=np.float64).reshape(len(seeds), len(columns))


def _union(columns: Iterable[Mapping[int, float]]) -> set[int]:
    return {seed for column in columns for seed in column}
