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
    from analysis.statistics.efficiency import AnnotationNeeded

_DODGE = 1.06
_MARGIN = 1.5


def needed_chart(answer: Answer) -> Chart | None:
    """One panel per baseline: on the dashed diagonal both need the same; below it a variant saves.

    Returns:
        None where nothing can be drawn: fewer than two shared fractions, or no model to compare.
    """
    if not answer.needed:
        return None
    shown = {one.variant for one in answer.needed}
    name = answer.baseline_label
    return Chart(
        name="annotation_needed",
        label=f"Annotations needed for {name}'s score over those that {name} had",
        data=needed_table(answer),
        panels=tuple(partial(_draw, answer, reference) for reference in answer.references),
        styles={name: style for name, style in answer.styles.items() if name in shown},
        note=(
            f"Dashed: as many annotations as {name}; below it, annotations are saved. Points: "
            f"where the mean curve reaches {name}'s mean score; bars: 95 % interval over seeds. "
            "Triangles at an end: the score is reached at the smallest fraction measured already, "
            "or not at the largest."
        ),
        panel_in=(5.6, 4.4),
        margins_in=(0.95, 0.2, 0.6, 0.42),
    )


def _draw(answer: Answer, reference: str, axes: Axes) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    needed = [one for one in answer.needed if one.reference == reference]
    name = answer.styles[reference].label

    smallest = min(one.smallest for one in needed)
    largest = max(one.largest for one in needed)
    low, high = smallest / _MARGIN, largest * _MARGIN
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.plot([low, high], [low, high], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.6)
    variants = list(dict.fromkeys(one.variant for one in needed))
    for one in needed:
        place = 2 * variants.index(one.variant) - (len(variants) - 1)
        shift = _DODGE ** (place * min(1.0, 3 / len(variants)))
        style = answer.styles[one.variant]
        _draw_one(one, style, one.label_frac * shift, (low, high), axes)
    fracs = spaced_ticks(sorted({one.label_frac for one in needed}))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(fracs))
        axis.set_major_formatter(FixedFormatter([percent(frac) for frac in fracs]))
        axis.set_minor_locator(NullLocator())
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"Annotations that {name} had (log scale)")
    axes.set_ylabel("Annotations needed for its score")
    axes.set_title(f"By test {SCORE_LABELS[answer.measure]}", loc="left")


def _draw_one(
    one: AnnotationNeeded,
    style: VariantStyle,
    at: float,
    limits: tuple[float, float],
    axes: Axes,
) -> None:
    """A bar between the bounds and a point, or a triangle where it is beyond what was measured."""
    low, high = (min(max(bound, limits[0]), limits[1]) for bound in (one.low, one.high))
    if one.is_known:
        axes.plot([at, at], [low, high], color=style.color, linewidth=5.0, alpha=0.3)
    if 0.0 < one.needed < math.inf:
        axes.scatter(
            [at],
            [one.needed],
            s=1.6 * style.marker_area,
            marker=style.marker,
            color=style.color,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=4,
        )
    else:
        end, marker = (limits[0], "v") if one.needed == 0.0 else (limits[1], "^")
        axes.scatter([at], [end], s=60.0, marker=marker, color=style.color, zorder=4, clip_on=False)
