"""How often intervals of the annotations needed cover the truth: ours, and a percentile bootstrap.

`python benchmarks/interval_coverage.py [--studies 500]`

Simulated studies of seven fractions whose curves are known (a power law; U-REC needs 60 % of
U-Net's annotations), seeds that move both models alike, and noise of each trial's own. The
bootstrap draws seeds, keeps the two models of a seed together, and takes percentiles of the
fraction at which the mean curves meet.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.interpolate import PchipInterpolator

from analysis.statistics.efficiency import ScoreGrid, annotations_needed

_FRACTIONS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
_SHARE, _INDEX = 0.6, 4
"""Annotations that U-REC needs over U-Net's, and the fraction (20 %) at which it is asked."""
_NUM_RESAMPLES = 400


def main() -> None:
    """Prints one line per number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    num_studies = parser.parse_args().studies
    truth = _SHARE * _FRACTIONS[_INDEX]
    for num_seeds in (3, 5, 10, 20):
        generator = np.random.default_rng(num_seeds)
        hits = np.zeros(2)
        for _ in range(num_studies):
            grid = _draw(num_seeds, generator)
            one = annotations_needed(grid, "urec", "unet")[_INDEX]
            low, high = _percentiles(grid, generator)
            hits += (one.low <= truth <= one.high, low <= truth <= high)
        ours, percentile = 100.0 * hits / num_studies
        print(
            f"{num_seeds:3} seeds: t interval inverted {ours:.1f} %, percentiles {percentile:.1f} %"
        )


def _draw(num_seeds: int, generator: np.random.Generator) -> ScoreGrid:
    shape = (num_seeds, len(_FRACTIONS))
    common = generator.normal(0.0, 0.02, (num_seeds, 1))
    scores = {
        variant: 0.8
        - 0.1 * (_FRACTIONS / share) ** -0.3
        + common
        + generator.normal(0.0, 0.015, shape)
        for variant, share in (("unet", 1.0), ("urec", _SHARE))
    }
    return ScoreGrid(
        label_frac=_FRACTIONS, seeds=tuple(range(num_seeds)), scores=scores, num_incomplete=0
    )


def _percentiles(grid: ScoreGrid, generator: np.random.Generator) -> tuple[float, float]:
    num_seeds = len(grid.seeds)
    drawn = generator.integers(0, num_seeds, (_NUM_RESAMPLES, num_seeds))
    octaves = np.log2(_FRACTIONS)
    fine = np.linspace(octaves[0], octaves[-1], 600)
    curves = PchipInterpolator(octaves, grid.scores["urec"][drawn].mean(axis=1), axis=1)(fine)
    reached = curves >= grid.scores["unet"][drawn, _INDEX].mean(axis=1)[:, None]
    first = np.where(reached.any(axis=1), fine[reached.argmax(axis=1)], np.inf)
    low, high = np.percentile(first, [2.5, 97.5], method="nearest")
    return float(2.0**low), float(2.0**high)


if __name__ == "__main__":
    main()
