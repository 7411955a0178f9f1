"""The annotations that a variant needs for a baseline's scores, over the baseline's own."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from analysis.charts.chart import INK, PAPER, RULE, Chart
from analysis.charts.scarcity import spaced_ticks
from analysis.reading.styles import VariantStyle
from analysis.statistics.scores import SCORE_LABELS
from analysis.tables.answer.answer_tables import needed_table
from analysis.wording import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from analysis.statistics.answer import Answer
    from analysis.statistics.label_efficiency.needed import AnnotationNeeded, Bounds

_DODGE = 1.09
_MARGIN = 1.8


def needed_chart(answer: Answer) -> Chart | None:
    """One panel per baseline: bars from what surely falls short to what surely is enough.

    Returns:
        None where nothing can be drawn: fewer than two shared fractions, too few seeds, or no model
        to compare.
    """
    if not any(one.bounds.is_known for one in answer.needed):
        return None
    shown = {one.variant for one in answer.needed}
    name = answer.baseline_label
    return Chart(
        name="annotation_needed",
        label=f"Labels needed for {name}'s score over those that {name} had",
        data=needed_table(answer),
        panels=tuple(partial(_draw, answer, reference) for reference in answer.references),
        styles={name: style for name, style in answer.styles.items() if name in shown},
        note=(
            f"Dashed: as many labels as {name}. A bar runs from the most labels that "
            "surely fall short to the fewest that surely reach the score, both measured (95 % "
            "interval; pale: over test tiles too). Below the dashes labels are saved. Arrow: "
            "the bound lies beyond what was measured. Marker: a test shows a saving, down from "
            "there."
        ),
        panel_in=(5.6, 4.4),
        margins_in=(0.95, 0.2, 0.6, 0.42),
    )


def _draw(answer: Answer, reference: str, axes: Axes) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    needed = [one for one in answer.needed if one.reference == reference]
    name = answer.styles[reference].label

    smallest = min(one.measured[0] for one in needed)
    largest = max(one.measured[-1] for one in needed)
    low, high = smallest / _MARGIN, largest * _MARGIN
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    variants = list(dict.fromkeys(one.variant for one in needed))
    for one in needed:
        place = 2 * variants.index(one.variant) - (len(variants) - 1)
        shift = _DODGE ** (place * min(1.0, 3 / len(variants)))
        style = answer.styles[one.variant]
        _draw_one(one, style, one.reached * shift, (low, high), axes)
    fracs = spaced_ticks(sorted({one.reached for one in needed}))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(fracs))
        axis.set_major_formatter(FixedFormatter([percent(frac) for frac in fracs]))
        axis.set_minor_locator(NullLocator())
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"Labels that {name} had (log scale)")
    axes.set_ylabel("Labels needed for its score")
    axes.set_title(f"By test {SCORE_LABELS[answer.measure]}", loc="left")


def _draw_one(
    one: AnnotationNeeded,
    style: VariantStyle,
    at: float,
    limits: tuple[float, float],
    axes: Axes,
) -> None:
    """A bar between the bounds: ends with a line, or an arrow where open; savings with a marker."""
    if not one.bounds.is_known:
        return
    low, high = _drawn(one.bounds, limits)
    axes.vlines(at, low, high, color=style.color, linewidth=5.0, alpha=0.25)
    if one.over_seeds.is_known:
        least, most = (min(max(end, low), high) for end in _drawn(one.over_seeds, limits))
        axes.vlines(at, least, most, color=style.color, linewidth=5.0, alpha=0.4)
    ends = ((low, one.bounds.low == 0.0, "v"), (high, math.isinf(one.bounds.high), "^"))
    for end, is_open, arrow in ends:
        marker, size = (arrow, 60.0) if is_open else ("_", 110.0)
        axes.scatter(
            [at], [end], s=size, marker=marker, color=style.color, linewidths=2.0, clip_on=False
        )
    if one.saves:
        axes.scatter(
            [at],
            [high],
            s=1.6 * style.marker_area,
            marker=style.marker,
            color=style.color,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=4,
        )


def _drawn(bounds: Bounds, limits: tuple[float, float]) -> list[float]:
    """The bounds within the frame."""
    return [min(max(bound, limits[0]), limits[1]) for bound in (bounds.low, bounds.high)]
