"""A power law through the label-scarcity curve, and what it may say beyond the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.statistics.intervals import Interval, Values, t_interval
from analysis.wording import percent

MIN_FRACTIONS = 5
"""Three parameters, one fraction held out, and one to spare."""

HELD_OUT_TOLERANCE = 0.02
"""Largest error, in units of the score, of the prediction of the held-out fraction."""

_EXPONENTS = np.geomspace(0.02, 3.0, 2000)


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """score(f) = ceiling - scale * f^(-exponent)."""

    ceiling: float
    scale: float
    """At least 0: more annotation never lowers the score."""
    exponent: float

    def __call__(self, label_frac: float) -> float:
        """The score at a fraction; it may be above 1, beyond what was measured."""
        return float(self.ceiling - self.scale * label_frac**-self.exponent)


@dataclass(frozen=True, kw_only=True)
class Extrapolation:
    """What twice the annotations would give, or why that is not said."""

    variant: str
    label_frac: float
    """Twice the largest fraction measured."""
    score: Interval
    """Over seeds; NaN where refused."""
    held_out_error: float
    """Predicted minus measured score at the largest fraction, fitted without it; NaN without."""
    refused: str
    """Why not; '' where it is said."""


def fit_power_law(label_frac: Values, scores: Values) -> PowerLaw:
    """Least squares over a grid of exponents, the other two parameters exactly.

    Args:
        label_frac: (F,), ascending, F at least 3.
        scores: (F,), none of them NaN.
    """
    basis = label_frac[None, :] ** -_EXPONENTS[:, None]  # (E, F)
    centred = basis - basis.mean(axis=1, keepdims=True)
    slope = -(centred @ (scores - scores.mean())) / (centred**2).sum(axis=1)
    slope = np.maximum(slope, 0.0)
    ceiling = scores.mean() + slope * basis.mean(axis=1)
    errors = ((ceiling[:, None] - slope[:, None] * basis - scores) ** 2).sum(axis=1)
    best = int(np.argmin(errors))
    return PowerLaw(
        ceiling=float(ceiling[best]), scale=float(slope[best]), exponent=float(_EXPONENTS[best])
    )


def extrapolate(variant: str, label_frac: Values, scores: Values) -> Extrapolation:
    """The score at twice the largest fraction, from every seed's own curve.

    Refuses with fewer than MIN_FRACTIONS fractions, and where the curve of the means, fitted
    without the largest fraction, misses it by more than HELD_OUT_TOLERANCE: a law that does not
    reach the end of the data says nothing beyond it. Nor is a score above 1 told, nor anything
    where the held-out step is shorter than the step beyond.

    Args:
        variant: Its name.
        label_frac: (F,), ascending.
        scores: (S, F), S at least 1, none of them NaN.
    """
    twice = 2.0 * float(label_frac[-1]) if len(label_frac) else math.nan
    refused, error = _held_out(label_frac, scores.mean(axis=0))
    predicted = [math.nan if refused else fit_power_law(label_frac, row)(twice) for row in scores]
    if any(one > 1.0 for one in predicted):
        refused, predicted = "a power law would pass a score of 1", [math.nan] * len(predicted)
    return Extrapolation(
        variant=variant,
        label_frac=twice,
        score=t_interval(predicted),
        held_out_error=error,
        refused=refused,
    )


def _held_out(label_frac: Values, means: Values) -> tuple[str, float]:
    """Why not to extrapolate ('' if nothing speaks against it), and the held-out error."""
    if len(label_frac) < MIN_FRACTIONS:
        few = f"a power law needs {MIN_FRACTIONS} fractions, there are {len(label_frac)}"
        return few, math.nan
    if label_frac[-1] < 2.0 * label_frac[-2]:
        return "the largest fraction is less than twice the one before, too short a check", math.nan
    law = fit_power_law(label_frac[:-1], means[:-1])
    error = law(float(label_frac[-1])) - float(means[-1])
    if abs(error) <= HELD_OUT_TOLERANCE:
        return "", error
    missed = f"fitted without it, a power law misses the score at {percent(label_frac[-1])}"
    return f"{missed} by {abs(error):.3f}", error
