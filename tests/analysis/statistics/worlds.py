"""Simulated studies whose truth is known: curves, noise, and the annotations truly needed.

A world is drawn many studies at a time. Two models are confirmed in it, U-Net and U-REC, at the
same fractions with the same seeds, as in a study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]

GRIDS: Mapping[int, tuple[float, ...]] = {
    3: (0.01, 0.1, 1.0),
    5: (0.01, 0.03, 0.1, 0.3, 1.0),
    7: (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
}
"""Fractions measured, by their number."""

CURVES: Mapping[str, Callable[[Values], Values]] = {
    "power law": lambda f: 0.8 - 0.1 * f**-0.3,
    "plateau": lambda f: 0.75 - 0.35 * np.exp(-f / 0.1),
    "S-shape": lambda f: 0.4 + 0.35 / (1.0 + np.exp(-6.0 * np.log10(f / 0.15))),
    "flat": lambda f: np.full(np.shape(f), 0.7),
    "crossing": lambda f: 0.8 - 0.1 * f**-0.3,
}
"""U-Net's expected score over the fraction, but for collapses."""

NOISES = (
    "Gaussian",
    "heavy",
    "skewed",
    "heteroscedastic",
    "correlated",
    "collapses",
    "collapses at few labels",
    "skewed in one",
    "collapses in one",
)
"""What is each trial's own; the last two are U-REC's alone, whose mean they leave as it is."""

SHARES = (1.0, 0.9, 0.8, 0.5, 0.25)
"""Annotations that U-REC truly needs over those that U-Net has."""

COLLAPSE = 0.2
"""What a collapsed trial loses."""

_AHEAD = 0.03
"""By how much U-REC leads at 1 %, and trails at 100 %, where curves cross."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What studies are drawn from."""

    curve: str = "power law"
    noise: str = "Gaussian"
    fractions: tuple[float, ...] = GRIDS[7]
    num_seeds: int = 5
    share: float = 1.0
    """Annotations that U-REC needs over those that U-Net has, for the same score: U-REC's curve is
    U-Net's, moved. Nothing moves a flat curve."""
    gain: float = 0.0
    """What U-REC scores higher at every fraction besides."""
    noise_sd: float = 0.015
    """What is each trial's own; U-REC minus U-Net has the root of two times as much."""
    seed_sd: float = 0.02
    """What a seed does to both models at all fractions."""

    @property
    def fracs(self) -> Values:
        """The fractions measured, (F,)."""
        return np.array(self.fractions)

    def expected(self, model: str, label_frac: Values) -> Values:
        """The mean score of "unet" or "urec" at any fraction above 0, collapses included."""
        label_frac = np.asarray(label_frac, dtype=np.float64)
        curve = CURVES[self.curve]
        if model == "unet":
            height = curve(label_frac)
        else:
            height = curve(label_frac / self.share) + self.gain
            if self.curve == "crossing":
                height = height - _AHEAD * (1.0 + np.log10(label_frac))
        return height - COLLAPSE * self._collapsing(label_frac)

    def _collapsing(self, label_frac: Values) -> Values:
        """The chance that a trial of either model collapses."""
        if self.noise == "collapses":
            return np.full(np.shape(label_frac), 0.05)
        if self.noise == "collapses at few labels":
            return np.minimum(0.5, 0.02 * label_frac**-0.5)
        return np.zeros(np.shape(label_frac))

    @property
    def gained(self) -> Values:
        """True U-REC minus U-Net at each fraction, (F,)."""
        return self.expected("urec", self.fracs) - self.expected("unet", self.fracs)

    def needed(self) -> Values:
        """The fraction from which on U-REC's mean score is U-Net's at each fraction, (F,).

        Where U-REC has that score at U-Net's own fraction: where it begins to have it without a
        break up to there. Else the first fraction beyond; infinity where there is none. 0 where
        the least annotation is enough.
        """
        return np.array([self._needed_for(frac) for frac in self.fractions])

    def _needed_for(self, label_frac: float) -> float:
        target = float(self.expected("unet", np.array(label_frac)))

        def missing(octave: float) -> float:
            return target - float(self.expected("urec", np.array(2.0**octave))) - 1e-13

        at = math.log2(label_frac)
        if missing(at) <= 0.0:
            octaves = np.append(np.arange(at, -30.0, -0.01), -30.0)
            breaks = (pair for pair in pairwise(octaves) if missing(pair[1]) > 0.0)
        else:
            octaves = np.arange(at, 10.0, 0.01)
            breaks = (pair[::-1] for pair in pairwise(octaves) if missing(pair[1]) <= 0.0)
        found = next(breaks, None)
        if found is None:
            return 0.0 if missing(at) <= 0.0 else math.inf
        enough, too_few = found
        for _ in range(60):
            middle = 0.5 * (enough + too_few)
            enough, too_few = (enough, middle) if missing(middle) > 0.0 else (middle, too_few)
        return float(2.0**enough)

    def draw(self, num_studies: int, generator: np.random.Generator) -> dict[str, Values]:
        """Scores of U-Net and of U-REC, each (N, S, F)."""
        common = generator.normal(0.0, self.seed_sd, (num_studies, self.num_seeds, 1))
        return {
            model: self.expected(model, self.fracs)
            + common
            + self._noise(model, num_studies, generator)
            for model in ("unet", "urec")
        }

    def _noise(self, model: str, num_studies: int, generator: np.random.Generator) -> Values:
        """What is each trial's own, of mean 0, (N, S, F)."""
        shape = (num_studies, self.num_seeds, len(self.fractions))
        normal = generator.normal(size=shape)
        is_urec = model == "urec"
        match self.noise:
            case "heavy":
                noise = generator.standard_t(3.0, shape) / math.sqrt(3.0)
            case "skewed":
                noise = 1.0 - generator.exponential(size=shape)
            case "skewed in one" if is_urec:
                noise = 1.0 - generator.exponential(size=shape)
            case "heteroscedastic":
                noise = normal * self.fracs**-0.2
            case "correlated":
                held = generator.normal(size=(*shape[:2], 1))
                noise = math.sqrt(0.8) * held + math.sqrt(0.2) * normal
            case _:
                noise = normal
        noise = self.noise_sd * noise
        chance = self._collapsing(self.fracs)
        if self.noise == "collapses in one" and is_urec:
            chance = np.full(len(self.fractions), 0.1)
        return noise - COLLAPSE * ((generator.random(shape) < chance) - chance)


def frame_of(scores: Mapping[str, Values], fractions: tuple[float, ...]) -> pd.DataFrame:
    """One study's scores (S, F) by model as `scores.score_trials` gives them; NaN are left out."""
    rows = [
        (f"confirm-{model}-f{frac}-s{seed}", model, frac, seed, float(values[seed, index]))
        for model, values in scores.items()
        for seed in range(len(values))
        for index, frac in enumerate(fractions)
        if not math.isnan(values[seed, index])
    ]
    columns = ["trial_key", "variant", "label_frac", "seed", "mean_f1"]
    return pd.DataFrame(rows, columns=columns)
