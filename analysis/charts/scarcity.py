"""The label-scarcity curves: what they show, and the drawing of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.charts.chart import PAPER, RULE, Chart
from analysis.reading.styles import Styles
from analysis.statistics.intervals import CONFIDENCE, MIN_SEEDS, t_interval
from analysis.statistics.label_efficiency.shares import Share, Shares, seed_fractions, shares_of
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import listed, percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SCORES = ("mean_f1", "oa")
"""One panel each, from left to right."""

_TICK_GAP, _TICK_SHARE = 0.13, 0.09
"""Fractions closer than this in log10, or as a share of the axis, share one tick label, the larger
one's."""
_DODGE, _DODGE_ALONE = (0.010, 0.035), (0.06, 0.35)
"""Shift of the seeds' points, as a share of the axis, so that the models do not overlap, and the
most that many of them are shifted, so that they stay in the panel; the second pair where there is
but one fraction, hence room."""
_MIN_SPAN = 0.1
"""Least height of the score axis: a smaller one would make noise look like an effect."""


@dataclass(frozen=True, kw_only=True)
class ScarcityCurve:
    """One variant's curve; arrays over its F annotation fractions, ascending."""

    variant: str
    label_frac: NDArray[np.float64]
    """As asked for."""
    reached: NDArray[np.float64]
    """What was reached, mean over seeds: where the curve is drawn."""
    num_seeds: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """Bounds of the 95 % interval over seeds; NaN with fewer than MIN_SEEDS seeds."""
    high: NDArray[np.float64]
    seed_frac: NDArray[np.float64]
    """Fraction that every single seed reached, (num_points,)."""
    seed_score: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ScarcityInfo:
    """All that one panel shows."""

    measure: str
    styles: Styles
    """Styles of the variants that have a curve, in order."""
    curves: tuple[ScarcityCurve, ...]
    ticks: tuple[float, ...]
    """Places on the axis that are labelled, ascending: fractions reached."""
    tick_texts: tuple[str, ...]
    """Their labels."""
    axis: str
    """What the curves are drawn over."""
    shares: Shares
    note: str
    """What the bands are, or why some are missing."""


def label_scarcity_info(scores: pd.DataFrame, measure: str, styles: Styles) -> ScarcityInfo:
    """Curves of all variants over annotation fraction.

    Args:
        scores: As from `scores.score_trials`.
        measure: One of its score columns; trials where it is NaN are left out.
        styles: Of the variants, in order.

    Returns:
        Curves in that order, without variants that have no score.
    """
    shares = shares_of(scores)
    defined = scores.dropna(subset=[measure])
    curves, lonely = [], set()
    for variant in styles:
        rows = defined[defined["variant"] == variant]
        if rows.empty:
            continue
        fracs = np.sort(rows["label_frac"].unique()).astype(np.float64)
        intervals = [t_interval(rows.loc[rows["label_frac"] == f, measure]) for f in fracs]
        lonely |= {float(f) for f, i in zip(fracs, intervals, strict=True) if i.num < MIN_SEEDS}
        curves.append(
            ScarcityCurve(
                variant=variant,
                label_frac=fracs,
                reached=np.array([shares.reached(frac) for frac in fracs.tolist()]),
                num_seeds=np.array([(rows["label_frac"] == frac).sum() for frac in fracs]),
                mean=np.array([i.mean for i in intervals]),
                low=np.array([i.low for i in intervals]),
                high=np.array([i.high for i in intervals]),
                seed_frac=seed_fractions(rows),
                seed_score=rows[measure].to_numpy(np.float64),
            )
        )
    all_fracs = sorted({float(f) for curve in curves for f in curve.label_frac})
    ticks = spaced_ticks(sorted({shares.reached(frac) for frac in all_fracs}))
    return ScarcityInfo(
        measure=measure,
        styles={curve.variant: styles[curve.variant] for curve in curves},
        curves=tuple(curves),
        ticks=ticks,
        tick_texts=tuple(map(percent, ticks)),
        axis="Share of the labels (log scale)",
        shares=shares,
        note=_note([shares.reached(frac) for frac in sorted(lonely)], all_fracs)
        + _asked_note([shares.of(f) for f in all_fracs]),
    )


def label_scarcity_chart(scores: pd.DataFrame, styles: Styles) -> Chart:
    """The curves of every score of SCORES, one panel each.

    Args:
        scores: As from `scores.score_trials`, with at least one row.
        styles: Of the variants, in order.
    """
    import pandas as pd

    infos = [label_scarcity_info(scores, measure, styles) for measure in SCORES]
    rows = [row for info in infos for row in label_scarcity_rows(info)]
    return Chart(
        name="label_scarcity",
        label="Test scores over the share of the labels",
        data=pd.DataFrame(rows),
        panels=tuple(partial(draw_label_scarcity, info) for info in infos),
        styles=infos[0].styles,
        note=infos[0].note,
    )


def label_scarcity_rows(info: ScarcityInfo) -> list[dict[str, object]]:
    """What one panel shows, a row per model and fraction."""
    return [
        {
            "measure": info.measure,
            "model": curve.variant,
            "label_frac": frac,
            "reached_frac": curve.reached[index],
            "with_val_frac": info.shares.of(frac).with_val,
            "num_seeds": int(curve.num_seeds[index]),
            "mean": curve.mean[index],
            "low": curve.low[index],
            "high": curve.high[index],
        }
        for curve in info.curves
        for index, frac in enumerate(curve.label_frac.tolist())
    ]


def spaced_ticks(fracs: Sequence[float]) -> tuple[float, ...]:
    """Those of ascending fractions whose labels leave each other room on a logarithmic axis."""
    kept: list[float] = []
    gap = max(_TICK_GAP, _TICK_SHARE * math.log10(fracs[-1] / fracs[0])) if fracs else _TICK_GAP
    for frac in reversed(fracs):
        if not kept or math.log10(kept[-1] / frac) >= gap:
            kept.append(frac)
    return tuple(reversed(kept))


def _asked_note(shares: Sequence[Share]) -> str:
    """Says what was asked for, where that is not what is drawn."""
    if not any(one.differs for one in shares):
        return ""
    asked = listed([percent(one.label_frac) for one in shares])
    return f" Drawn at what the budgets reached, each seed at its own; asked for: {asked}."


def _note(lonely: Sequence[float], fracs: Sequence[float]) -> str:
    mean, spread = ("Dash", "bar") if len(fracs) == 1 else ("Line", "band")
    if fracs and len(lonely) == len(fracs):
        return (
            f"{mean}: mean; points: seeds. No intervals: "
            f"they need {MIN_SEEDS} seeds, and no fraction has them for every model."
        )
    note = (
        f"{mean}: mean; points: seeds; {spread}: t-based {percent(CONFIDENCE)} interval of the "
        "mean over seeds."
    )
    if lonely:
        where = listed([percent(frac) for frac in lonely])
        note += f" At {where} a model has fewer than {MIN_SEEDS} seeds, hence no interval there."
    return note


def draw_label_scarcity(info: ScarcityInfo, axes: Axes, title: str = "") -> None:
    """Draws one panel, titled by its measure unless told otherwise; only axes without a curve."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    span_low, span_high = _x_limits(info)
    axes.set_xscale("log")
    axes.set_xlim(span_low, span_high)
    is_alone = len({f for curve in info.curves for f in curve.label_frac.tolist()}) == 1
    each, most = _DODGE_ALONE if is_alone else _DODGE
    dodge = (span_high / span_low) ** min(each, most / max(len(info.curves) - 1, 1))
    for index, curve in enumerate(info.curves):
        style = info.styles[curve.variant]
        shift = dodge ** (2 * index - (len(info.curves) - 1))
        _draw_interval(curve, axes, style.color, shift)
        if is_alone:
            axes.plot(curve.reached * shift, curve.mean, "_", color=style.color, markersize=26)
        else:
            axes.plot(
                curve.reached,
                curve.mean,
                color=style.color,
                linestyle=style.line,
                linewidth=2.0,
                zorder=3,
            )
        axes.scatter(
            curve.seed_frac * shift,
            curve.seed_score,
            s=style.marker_area,
            marker=style.marker,
            color=style.color,
            edgecolors=PAPER,
            linewidths=0.8,
            zorder=4,
        )
    axes.xaxis.set_major_locator(FixedLocator(info.ticks))
    axes.xaxis.set_major_formatter(FixedFormatter(list(info.tick_texts)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(_y_limits(*axes.get_ylim()))
    axes.set_xlabel(info.axis)
    axes.set_title(title or f"Test {SCORE_LABELS[info.measure]}", loc="left", parse_math=False)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_interval(curve: ScarcityCurve, axes: Axes, color: str, shift: float) -> None:
    """A band where neighbouring fractions have intervals, a bar where one stands alone."""
    known = ~np.isnan(curve.low)
    axes.fill_between(
        curve.reached, curve.low, curve.high, where=known, color=color, alpha=0.15, linewidth=0
    )
    padded = np.concatenate([[False], known, [False]])
    alone = known & ~padded[:-2] & ~padded[2:]
    if alone.any():
        mean = curve.mean[alone]
        axes.errorbar(
            curve.reached[alone] * shift,
            mean,
            yerr=np.stack([mean - curve.low[alone], curve.high[alone] - mean]),
            color=color,
            alpha=0.3,
            linewidth=5.0,
            fmt="none",
        )


def _y_limits(low: float, high: float) -> tuple[float, float]:
    """Limits of the score axis: at least _MIN_SPAN high, inside [0, 1]."""
    missing = max(_MIN_SPAN - (high - low), 0.0)
    low, high = max(low - missing / 2, 0.0), min(high + missing / 2, 1.0)
    return min(low, 1.0 - _MIN_SPAN), max(high, _MIN_SPAN)


def _x_limits(info: ScarcityInfo) -> tuple[float, float]:
    fracs = [float(f) for curve in info.curves for f in (*curve.reached, *curve.seed_frac)] or [
        0.1,
        1.0,
    ]
    margin = max((max(fracs) / min(fracs)) ** 0.06, 1.25)
    return min(fracs) / margin, max(fracs) * margin
