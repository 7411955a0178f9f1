"""Growth of a cost with its cause: ratios in print, and one chart in one style."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

Expected = Literal["proportional", "constant"]
"""How a cost should grow at most."""
Measured = Mapping[float, Sequence[float]]
"""Seconds of every round, by size; sizes ascending."""

_INK, _MUTED, _RULE, _MARK = "#1F2328", "#59636E", "#D8DCE0", "#0072B2"
_SIZE_IN, _DPI = (7.0, 4.2), 150
STYLE = {
    "font.size": 12,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
"""Of charts in the documents."""


def growth_per_doubling(measured: Measured) -> list[float]:
    """From each size to the next: by how much the median grows when the size doubles.

    2 is proportional growth, 1 none, 4 that with the square.
    """
    medians = {size: statistics.median(values) for size, values in measured.items()}
    return [
        (medians[larger] / medians[smaller]) ** (1 / math.log2(larger / smaller))
        for smaller, larger in pairwise(medians)
    ]


def plot_growth(
    path: Path,
    measured: Measured,
    *,
    title: str,
    size: str,
    cost: str = "seconds",
    expected: Expected = "proportional",
) -> None:
    """Draw medians and ranges beside the line of the growth there should be at most.

    Args:
        path: The PNG; its folder is made if it does not exist.
        measured: What was measured, two sizes or more.
        title: Of the chart.
        size: What grows, for the horizontal axis.
        cost: What was measured, for the vertical axis.
        expected: `proportional` on logarithmic axes, `constant` on a vertical axis from 0.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.subplots()
        _draw(axes, measured, expected)
        _scale(axes, measured, expected)
        axes.set_xlabel(size)
        axes.set_ylabel(cost)
        axes.set_title(title, loc="left", fontsize=14, pad=12)
        axes.legend(loc="best", frameon=False, fontsize=11)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _draw(axes: Axes, measured: Measured, expected: Expected) -> None:
    sizes = list(measured)
    medians = [statistics.median(values) for values in measured.values()]
    below = [middle - min(of) for middle, of in zip(medians, measured.values(), strict=True)]
    above = [max(of) - middle for middle, of in zip(medians, measured.values(), strict=True)]
    line = [medians[0] * (one / sizes[0] if expected == "proportional" else 1.0) for one in sizes]
    axes.plot(
        sizes, line, "--", color=_MUTED, linewidth=1.5, label=f"{expected}, from the first size"
    )
    axes.errorbar(
        sizes,
        medians,
        yerr=(below, above),
        fmt="o-",
        color=_MARK,
        linewidth=2,
        markersize=7,
        capsize=4,
        label=f"median and range of {len(measured[sizes[0]])} rounds",
    )
    for index, growth in enumerate(growth_per_doubling(measured)):
        axes.text(
            math.sqrt(sizes[index] * sizes[index + 1]),
            0.03,  # of the height: in a strip below the lines
            f"\N{MULTIPLICATION SIGN}{growth:.2f}" + ("\nper doubling" if index == 0 else "\n"),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=11,
            color=_MUTED,
        )


def _scale(axes: Axes, measured: Measured, expected: Expected) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(measured)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    sizes = list(measured)
    axes.set_xlim(sizes[0] / 1.15, sizes[-1] * 1.15)
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    if expected == "constant":
        axes.set_ylim(0, 1.35 * max(max(values) for values in measured.values()))
        return
    axes.set_yscale("log")
    lowest, highest = axes.get_ylim()
    axes.set_ylim(lowest / (highest / lowest) ** 0.25, highest)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
