"""Differences of each class's F1 between two variants, with simultaneous intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.statistics.intervals import CONFIDENCE, Interval, t_interval
from analysis.statistics.label_efficiency.efficiency import area_under_curve
from analysis.statistics.label_efficiency.shares import seed_fractions
from contract.measures import Values, f1_per_class, has_reference

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.confusion import TrialConfusion

_F1 = Mapping[tuple[float, int], Values]
"""F1 of each class, (K,), by (label_frac, seed)."""


@dataclass(frozen=True, kw_only=True)
class ClassDifference:
    """One variant's F1 of one class minus another's, paired by seed."""

    variant: str
    reference: str
    """What is subtracted."""
    class_name: str
    label_frac: float
    """As asked for; NaN: over the whole curve, as the area under it over log2 of the fraction that
    the budgets of each seed reached."""
    difference: Interval
    """Over seeds, on these test tiles. All intervals of a pair of variants, over its classes and
    fractions, hold together with 95 %."""

    @property
    def is_clear(self) -> bool:
        """Whether the simultaneous interval leaves out 0."""
        return self.difference.is_known and not self.difference.low <= 0.0 <= self.difference.high


def class_differences(
    confusions: Mapping[str, TrialConfusion],
    scores: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
) -> tuple[ClassDifference, ...]:
    """F1 of every class that the reference holds: each pair, at each fraction and over the curve.

    Intervals are Student's t after Bonferroni over the classes and fractions of a pair (Dunn,
    1961), which holds however these hang together. They are no tests and have no p.

    Args:
        confusions: As in `record.StudyRecord`.
        scores: As from `scores.score_trials`.
        pairs: (variant, reference), as from `styles.pairs_in`.

    Returns:
        By pair, then by class in the data set's order, then the whole curve and the fractions
        ascending. Seeds of a whole curve have a score at every fraction that both variants share.
    """
    classes = next((one.classes for one in confusions.values()), ())
    by_variant: dict[str, dict[tuple[float, int], Values]] = {}
    reached: dict[tuple[float, int], float] = {}
    columns = (scores[name] for name in ("variant", "label_frac", "seed", "trial_key"))
    for variant, frac, seed, key, share in zip(*columns, seed_fractions(scores), strict=True):
        counts = confusions[key].pooled()
        per_class = np.where(has_reference(counts), f1_per_class(counts), np.nan)
        by_variant.setdefault(str(variant), {})[float(frac), int(seed)] = per_class
        reached[float(frac), int(seed)] = float(share)
    found: list[ClassDifference] = []
    for pair in pairs:
        minuends, subtrahends = (by_variant[name] for name in pair)
        shared = {key: minuends[key] - subtrahends[key] for key in minuends.keys() & subtrahends}
        found += _of_pair(*pair, classes, shared, reached)
    return tuple(found)


def _of_pair(
    variant: str,
    reference: str,
    classes: Sequence[str],
    shared: _F1,
    reached: Mapping[tuple[float, int], float],
) -> Iterable[ClassDifference]:
    """All classes and places of the differences that two variants share."""
    fracs = sorted({frac for frac, _ in shared})
    places = [*([math.nan] if len(fracs) > 1 else []), *fracs]
    kept = [index for index in range(len(classes)) if _has_any(shared.values(), index)]
    num_intervals = max(1, len(kept) * len(places))
    for index in kept:
        for place in places:
            values = [
                float(one)
                for one in _values(shared, reached, fracs, place, index)
                if not math.isnan(float(one))
            ]
            yield ClassDifference(
                variant=variant,
                reference=reference,
                class_name=classes[index],
                label_frac=place,
                difference=t_interval(values, 1.0 - (1.0 - CONFIDENCE) / num_intervals),
            )


def _has_any(differences: Iterable[Values], index: int) -> bool:
    return any(not math.isnan(float(one[index])) for one in differences)


def _values(
    shared: _F1,
    reached: Mapping[tuple[float, int], float],
    fracs: Sequence[float],
    place: float,
    index: int,
) -> Iterable[float]:
    """One value per seed, of one class at one fraction, or over the curve."""
    if not math.isnan(place):
        return [one[index] for (frac, _), one in sorted(shared.items()) if frac == place]
    seeds = sorted({seed for _, seed in shared})
    whole = [seed for seed in seeds if all((frac, seed) in shared for frac in fracs)]
    curves = np.array([[shared[frac, seed][index] for frac in fracs] for seed in whole])
    budgets = np.array([[reached[frac, seed] for frac in fracs] for seed in whole])
    shape = len(whole), len(fracs)
    areas: list[float] = area_under_curve(budgets.reshape(shape), curves.reshape(shape)).tolist()
    return areas
