"""What is claimed of simulated studies whose truth is known: false findings, and power.

`python -m benchmarks.findings [--studies 1000]` prints tables in Markdown, from the worlds of the
tests. Run it from the root of the repository.
"""

from __future__ import annotations

import argparse

import numpy as np

from tests.analysis.statistics.claims.study_claims import claims
from tests.analysis.statistics.worlds import GRIDS, World

_EXCHANGEABLE = (
    "Gaussian",
    "heavy",
    "skewed",
    "heteroscedastic",
    "correlated",
    "collapses",
    "collapses at few labels",
)


def main() -> None:
    """Prints one row per world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    num = parser.parse_args().studies
    print("| equal models, noise | fractions | seeds | anything with a p | finding |")
    print("| --- | --- | --- | --- | --- |")
    for noise in _EXCHANGEABLE:
        for num_fracs in (3, 7):
            for num_seeds in (6, 9):
                world = World(noise=noise, fractions=GRIDS[num_fracs], num_seeds=num_seeds)
                found = claims(world, num, np.random.default_rng(num_seeds))
                said = max(found.area, found.fraction)
                row = f"| {noise} | {num_fracs} | {num_seeds} | {found.any_p:.1%} | {said:.1%} |"
                print(row, flush=True)
    print("\n| what is true | noise sd | failing | over the curve | at some fraction | higher |")
    print("| --- | --- | --- | --- | --- | --- |")
    for what, noise, gain, noise_sd, failing in (
        ("+0.01 at every fraction", "Gaussian", 0.01, 0.02 / 2**0.5, 0.0),
        ("+0.01 at every fraction", "heteroscedastic", 0.01, 0.02 / 2**0.5, 0.0),
        ("+0.01, 10 % of U-REC's fail", "Gaussian", 0.01, 0.02 / 2**0.5, 0.1),
        ("+0.01, 10 % of U-REC's fail", "Gaussian", 0.01, 0.003, 0.1),
        ("equal means, U-REC collapses", "collapses in one", 0.0, 0.015, 0.0),
        ("equal means, U-REC collapses", "collapses in one", 0.0, 0.003, 0.0),
        ("equal means, U-REC skewed", "skewed in one", 0.0, 0.015, 0.0),
    ):
        world = World(noise=noise, gain=gain, noise_sd=noise_sd, num_seeds=9)
        found = claims(world, num, np.random.default_rng(9), failing=failing)
        print(
            f"| {what} ({noise}) | {noise_sd:.3f} | {failing:.0%} | {found.area:.1%} | "
            f"{found.fraction:.1%} | {found.higher:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
