"""How often what a report claims is true: intervals of the annotations needed, findings, power.

`python -m benchmarks.claims [--studies 1000] [--tile-studies 200]`

Studies are simulated in worlds whose truth is known (tests/analysis/statistics/worlds.py): five
curves, grids of 3, 5 and 7 fractions, 5 and 10 seeds, nine kinds of noise, and five shares of the
annotations that U-REC truly needs. A cell is one world and one fraction whose score is to be
reached. Prints tables in Markdown, as they stand in docs/protocol.md; some ten minutes on a free
core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from analysis.statistics.intervals import draw_tiles
from analysis.statistics.label_efficiency.efficiency import ScoreGrid
from analysis.statistics.label_efficiency.needed import annotations_needed
from contract.protocol.looks import plan_looks
from contract.protocol.power import LEVEL
from tests.analysis.statistics.many_studies import Said, false_findings, read_often, said_of
from tests.analysis.statistics.worlds import CURVES, GRIDS, NOISES, SHARES, World, covered

_RARE = 0.01
"""Coverage given that a saving was printed is not judged where fewer studies print one."""


def main() -> None:
    """Prints one table after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--tile-studies", type=int, default=200)
    options = parser.parse_args()
    _needed_tables(options.studies)
    _finding_table(options.studies)
    _variants_table(options.studies)
    _looks_table(options.studies)
    _power_table(options.studies)
    _tile_table(options.tile_studies)


def _worlds() -> Iterator[World]:
    for curve, noise, num_fracs, num_seeds in product(CURVES, NOISES, GRIDS, (5, 10)):
        for share in SHARES if curve != "flat" else (1.0,):
            yield World(
                curve=curve,
                noise=noise,
                share=share,
                num_seeds=num_seeds,
                fractions=GRIDS[num_fracs],
            )


def _needed_tables(num_studies: int) -> None:
    """Coverage of the annotations needed, in all studies and in those that print a saving."""
    lowest: defaultdict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    printed: defaultdict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    every, claims, narrower, num_cells, num_printing = [], [], [], 0, 0
    worst: list[tuple[float, World, float]] = []
    for number, world in enumerate(_worlds()):
        found = said_of(world, num_studies, np.random.default_rng(number))
        hits = covered(found.low, found.high, world.needed())
        key = world.curve, world.noise
        every.append(hits.mean())
        num_cells += len(world.fractions)
        lowest[key] = min(lowest[key], float(hits.mean(axis=0).min()))
        for place, frac in enumerate(world.fractions):
            saves = found.saves[:, place]
            if saves.mean() < _RARE:
                continue
            num_printing += 1
            given = float(hits[saves, place].mean())
            printed[key] = min(printed[key], given)
            worst.append((given, world, frac))
            claims.append(saves.sum() * given)
            narrower.append((saves & (found.high[:, place] < frac)).sum() / saves.sum())
    print(f"Lowest coverage of the annotations needed, {num_cells} cells of {num_studies} studies")
    print(f"(mean {np.mean(every):.3f}):\n")
    _print_by_curve(lowest)
    print(f"\nLowest coverage given that a saving was printed, {num_printing} cells that print one")
    print(f"in {_RARE:.0%} of their studies or more; in {np.mean(narrower):.0%} of what is printed")
    print("the upper bound lies below the reference's own fraction:\n")
    _print_by_curve(printed)
    print("\nLowest of these:\n")
    for given, world, frac in sorted(worst, key=lambda one: one[0])[:6]:
        print(f"- {given:.3f} at {frac:.0%}: {world}")


def _print_by_curve(values: dict[tuple[str, str], float]) -> None:
    _print_row(["noise", *CURVES])
    _print_row(["---", *["---:"] * len(CURVES)])
    for noise in NOISES:
        _print_row([noise, *[f"{values[curve, noise]:.3f}" for curve in CURVES]])


def _print_row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |")


def _finding_table(num_studies: int) -> None:
    """How often anything is found where U-REC is U-Net on average."""
    print("\nStudies in which equal models were found to differ, at any fraction or in the area")
    print(f"({4 * num_studies} studies a cell):\n")
    columns = [(num_fracs, num_seeds) for num_seeds in (8, 10) for num_fracs in GRIDS]
    _print_row(["noise", *[f"{fracs} fractions, {seeds} seeds" for fracs, seeds in columns]])
    _print_row(["---", *["---:"] * len(columns)])
    for noise in NOISES:
        cells = []
        for num_fracs, num_seeds in columns:
            world = World(noise=noise, num_seeds=num_seeds, fractions=GRIDS[num_fracs])
            found = said_of(world, 4 * num_studies, np.random.default_rng(num_fracs))
            cells.append(f"{_differs(found).mean():.3f}")
        _print_row([noise, *cells])


def _differs(found: Said) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (found.direction != 0).any(axis=1) | (found.p_area <= LEVEL)


def _variants_table(num_studies: int) -> None:
    """How often anything is found where several variants are equal, all pairs in one family."""
    print("\nStudies in which any two of several equal variants were found to differ")
    print(f"(8 seeds, {4 * num_studies} studies a cell):\n")
    columns = [(num_variants, num_fracs) for num_variants in (3, 4) for num_fracs in (3, 7)]
    _print_row(
        ["noise", *[f"{variants} variants, {fracs} fractions" for variants, fracs in columns]]
    )
    _print_row(["---", *["---:"] * len(columns)])
    for noise in NOISES[:7]:
        cells = []
        for num_variants, num_fracs in columns:
            world = World(noise=noise, num_seeds=8, fractions=GRIDS[num_fracs])
            generator = np.random.default_rng(num_variants)
            share = false_findings(world, num_variants, 4 * num_studies, generator)
            cells.append(f"{share:.3f}")
        _print_row([noise, *cells])


def _looks_table(num_studies: int) -> None:
    """How often anything is found where equal models are read after every seed."""
    print("\nStudies read after every seed that ever found equal models to differ (7 fractions,")
    print(f"{num_studies} studies a cell); open: each reading as if it were the only one:\n")
    plans = ((8,), (8, 11, 14))
    names = [f"looks at {', '.join(map(str, plan))}" for plan in plans]
    _print_row(["noise", *names, "open, to 14"])
    _print_row(["---", *["---:"] * (len(plans) + 1)])
    for noise in NOISES[:7]:
        shares = []
        for levels in (
            *[{one.seeds: one.level for one in plan_looks(plan)} for plan in plans],
            dict.fromkeys(range(1, 15), LEVEL),
        ):
            world = World(noise=noise, num_seeds=max(levels))
            shares.append(read_often(world, levels, num_studies, np.random.default_rng(8)))
        _print_row([noise, *[f"{share:.3f}" for share in shares]])


def _power_table(num_studies: int) -> None:
    """How often a true difference is found, and a saving printed."""
    print(
        "\nStudies that find what is there (7 fractions, Gaussian noise of each trial of 0.015 but"
    )
    print("or the named standard deviation of paired differences):\n")
    _print_row(["truth", "seeds", "area", "any fraction", "a saving", "with a bound below"])
    _print_row(["---", *["---:"] * 5])
    gain = World(curve="flat", gain=0.01, noise_sd=0.02 / np.sqrt(2.0), num_seeds=9)
    worlds = [("+0.01 at every fraction, sd 0.02", gain)]
    worlds += [
        (f"U-REC needs {share:.0%}, {curve}", World(curve=curve, share=share, num_seeds=num_seeds))
        for curve, num_seeds, share in product(("power law", "S-shape"), (8, 10), (0.8, 0.5, 0.25))
    ]
    for number, (name, world) in enumerate(worlds):
        found = said_of(world, num_studies, np.random.default_rng(number))
        below = found.saves & (found.high < world.fracs)
        shares = (
            found.p_area <= LEVEL,
            (found.direction > 0).any(axis=1),
            found.saves.any(axis=1),
            below.any(axis=1),
        )
        _print_row([name, str(world.num_seeds), *[f"{share.mean():.2f}" for share in shares]])


def _tile_table(num_studies: int) -> None:
    """Coverage over other test tiles too, of intervals over seeds alone and over both."""
    print("\nLowest coverage where test tiles differ by 0.03 in what each arm scores on them")
    print(f"({num_studies} studies, 8 seeds):\n")
    _print_row(["curve", "test tiles", "over seeds", "over seeds and tiles"])
    _print_row(["---", "---:", "---:", "---:"])
    for curve, num_tiles in product(("power law", "plateau", "S-shape"), (6, 17)):
        generator = np.random.default_rng(num_tiles)
        world = World(curve=curve, share=0.5, num_seeds=8)
        hits = np.zeros((2, len(world.fractions)))
        for _ in range(num_studies):
            hits += _tile_hits(world, num_tiles, generator) / num_studies
        cells = [f"{lowest:.3f}" for lowest in hits.min(axis=1)]
        _print_row([curve, str(num_tiles), *cells])


def _tile_hits(
    world: World, num_tiles: int, generator: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Whether one study's bounds, over seeds and over both, hold the truth, (2, F)."""
    drawn = draw_tiles(num_tiles, generator)
    scores, keys, resamples = {}, {}, {}
    for model, means in world.draw(1, generator).items():
        by_tile = generator.normal(0.0, 0.03, (len(world.fractions), num_tiles))
        scores[model] = means[0] + by_tile.mean(axis=1)
        keys[model] = {
            (seed, place): f"{model}-{seed}-{place}"
            for seed in range(world.num_seeds)
            for place in range(len(world.fractions))
        }
        for (seed, place), key in keys[model].items():
            moved = drawn @ by_tile[place] / drawn.sum(axis=1)
            resamples[key] = means[0, seed, place] + moved
    grid = ScoreGrid(
        label_frac=world.fracs,
        seeds=tuple(range(world.num_seeds)),
        scores=scores,
        num_incomplete=0,
        trial_keys=keys,
    )
    found = annotations_needed(grid, "urec", "unet", resamples=resamples, num_tiles=num_tiles)
    needed = world.needed()
    kinds = [[one.over_seeds for one in found], [one.bounds for one in found]]
    return np.array(
        [
            covered(
                np.array([one.low for one in kind]), np.array([one.high for one in kind]), needed
            )
            for kind in kinds
        ],
        dtype=np.float64,
    )


if __name__ == "__main__":
    main()
