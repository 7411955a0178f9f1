"""How the cost of a trial grows with what causes it, measured and drawn.

`python benchmarks/growth.py [--only training_steps] [--width 8] [--images docs/images]`

Training time over steps, tiles and patch area, patch positions and budgets over tiles, evaluation
time over tile area. The sizes of a cost are measured in turns. Printed are the growths from size
to size, each also as what it is per doubling; `growth_NAME.png` shows every cost beside the line
of what it should be.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

from growth_chart import Expected, Measured, growth_per_doubling, plot_growth
from growth_costs import COSTS
from timing import (
    add_common_options,
    figures_table,
    markdown,
    measure_in_turns,
    surroundings,
    surroundings_line,
    write_json,
)

_IMAGES = Path(__file__).parents[1] / "docs" / "images"


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(COSTS), choices=list(COSTS))
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--threads", type=int, help="default: torch's own number")
    parser.add_argument("--images", type=Path, default=_IMAGES, help="folder of the charts")
    add_common_options(parser, rounds=3)
    options = parser.parse_args()
    before = surroundings()
    print(surroundings_line(before), flush=True)
    all_figures: dict[str, list[float]] = {}
    growths: dict[str, Any] = {}
    for name in options.only:
        cost = COSTS[name]
        runs = cost.prepare(options.width, options.threads)
        found = measure_in_turns(
            {f"{size:,.0f}": run for size, run in runs.items()}, rounds=options.rounds
        )
        measured = dict(zip(runs, found.values(), strict=True))
        print(f"\n{cost.title} (width {options.width}, {options.rounds} rounds)\n", flush=True)
        print(figures_table(found, f"s at {cost.size}"))
        growths[name] = _print_growth(measured, cost.expected)
        plot_growth(
            options.images / f"growth_{name}.png",
            measured,
            title=cost.title,
            size=cost.size,
            cost="seconds",
            expected=cost.expected,
        )
        all_figures |= {f"{name}, {size}": values for size, values in found.items()}
    write_json(options.json, before, all_figures, unit="s", growths=growths)


def _print_growth(measured: Measured, expected: Expected) -> list[float]:
    """Growth of the medians from size to size, and what that is per doubling."""
    growths = growth_per_doubling(measured)
    limit = {"proportional": 2.0, "constant": 1.0}[expected]
    medians = [statistics.median(values) for values in measured.values()]
    rows = [
        [
            f"{smaller:,.0f} to {larger:,.0f}",
            f"{larger / smaller:.2f}",
            f"{after / before:.2f}",
            f"{growth:.2f}",
            f"{limit:g}",
        ]
        for (smaller, larger), (before, after), growth in zip(
            pairwise(measured), pairwise(medians), growths, strict=True
        )
    ]
    print("\n" + markdown(["from, to", "size x", "time x", "per doubling", "expected"], rows))
    return growths


if __name__ == "__main__":
    main()
