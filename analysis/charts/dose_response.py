"""Dose-response curves: the test score over a numeric parameter whose levels are variants."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from analysis.charts.chart import INK, PAPER, RULE, Chart, panel_columns
from analysis.reading.compared import StudyParameter
from analysis.reading.styles import LineStyle, Styles, VariantStyle
from analysis.statistics.intervals import MIN_SEEDS, Interval, t_interval
from analysis.statistics.label_efficiency.shares import shares_of
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import percent, setting
from contract.protocol.choice import scale_positions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from analysis.reading.sources.record import StudyRecord

_MIN_SPAN = 0.05
"""Least height of the score axis: a smaller one would make noise look like an effect."""
_TICK_SHARE = 0.11
"""Share of the axis that a tick label takes: of closer levels the larger one has none."""
_MARGIN = 0.09
_LINES: Final[tuple[LineStyle, ...]] = ((0, ()), (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (3, 1.5)))
"""Dashes of the curves of a panel, whose points have the colours of the variants."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """One variant: one level of the parameter."""

    variant: str
    level: float
    place: float
    """Place of the level on the axis: the number itself, or its decades on a logarithmic scale."""
    interval: Interval
    """Interval of the mean test score over seeds."""
    scores: tuple[float, ...]
    """Of the single seeds."""


@dataclass(frozen=True, kw_only=True)
class DosePanel:
    """All that one panel shows: one annotation fraction."""

    label_frac: float
    """As asked for."""
    reached_frac: float
    """What was reached, mean over seeds."""
    parameter: StudyParameter
    measure: str
    styles: Styles
    curves: tuple[tuple[Dose, ...], ...]
    """One for each method and level of what else is compared; doses by level, ascending."""
    baselines: tuple[tuple[str, Interval], ...]
    """Variant and mean test score of the baselines that do not have the parameter."""
    ticks: tuple[tuple[float, float], ...]
    """Place and level of every level of the study, ascending, the same in all panels."""

    @property
    def broken_at(self) -> float | None:
        """Place on a logarithmic axis between 0, which has none of its own, and the next level."""
        (zero, level), *others = self.ticks
        is_broken = self.parameter.log and level == 0 and others
        return (zero + others[0][0]) / 2 if is_broken else None


def dose_response_charts(
    record: StudyRecord, scores: pd.DataFrame, measure: str
) -> tuple[Chart, ...]:
    """One chart for each number that the study compares, with one panel per annotation fraction.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.
        measure: The test score that is drawn, one of its columns.

    Returns:
        `dose_response_<name>`, without a parameter of which fewer than two levels have scores.
    """
    charts = []
    for one in record.info.parameters:
        if one.role == "compared" and one.is_number:
            panels = dose_panels(scores, one, measure, record.styles)
            if panels:
                charts.append(_chart(panels))
    return tuple(charts)


def dose_panels(
    scores: pd.DataFrame, parameter: StudyParameter, measure: str, styles: Styles
) -> tuple[DosePanel, ...]:
    """The curves of all methods over one parameter.

    Args:
        scores: Columns variant, label_frac and `measure`, and what `shares_of` reads; NaN are left
            out.
        parameter: A number whose levels are variants.
        measure: A test score.
        styles: Of all variants, in order.

    Returns:
        By annotation fraction; empty where fewer than two levels have scores.
    """
    name = parameter.name
    defined = scores.dropna(subset=[measure])
    present = set(defined["variant"])
    dosed = {v: s for v, s in styles.items() if name in s.variant.levels and v in present}
    levels = sorted({float(style.variant.levels[name]) for style in dosed.values()})
    if len(levels) < 2:
        return ()
    places = dict(zip(levels, scale_positions(levels, log=parameter.log), strict=True))
    groups: dict[object, list[str]] = {}
    for variant, style in dosed.items():
        others = {k: v for k, v in style.variant.levels.items() if k != name}
        groups.setdefault((style.variant.method, *sorted(others.items())), []).append(variant)
    plain = [v for v, s in styles.items() if s.is_baseline and v in present and v not in dosed]
    shares = shares_of(scores)
    panels = []
    for frac in sorted(defined["label_frac"].unique().tolist()):
        here = defined[defined["label_frac"] == frac]
        by_variant = {
            str(variant): rows[measure].tolist() for variant, rows in here.groupby("variant")
        }
        curves = []
        for group in groups.values():
            doses = [
                Dose(
                    variant=variant,
                    level=(level := float(styles[variant].variant.levels[name])),
                    place=places[level],
                    interval=t_interval(by_variant[variant]),
                    scores=tuple(by_variant[variant]),
                )
                for variant in group
                if variant in by_variant
            ]
            if doses:
                curves.append(tuple(sorted(doses, key=lambda dose: dose.level)))
        if not curves:
            continue
        panels.append(
            DosePanel(
                label_frac=frac,
                reached_frac=shares.reached(frac),
                parameter=parameter,
                measure=measure,
                styles=styles,
                curves=tuple(curves),
                baselines=tuple((v, t_interval(by_variant[v])) for v in plain if v in by_variant),
                ticks=tuple((places[level], level) for level in levels),
            )
        )
    return tuple(panels)


def _chart(panels: tuple[DosePanel, ...]) -> Chart:
    import pandas as pd

    first = panels[0]
    shown = {dose.variant for panel in panels for curve in panel.curves for dose in curve}
    bands = {variant for panel in panels for variant, _ in panel.baselines}
    return Chart(
        name=f"dose_response_{first.parameter.name}",
        label=f"Test {SCORE_LABELS[first.measure]} over {first.parameter.label}",
        data=pd.DataFrame([row for panel in panels for row in _rows(panel)]),
        panels=tuple(partial(draw_dose_response, panel) for panel in panels),
        styles={name: one for name, one in first.styles.items() if name in shown | bands},
        note=_note(panels, bool(bands)),
        num_columns=panel_columns(len(panels)),
        panel_in=(3.6, 2.9),
        margins_in=(0.8, 0.15, 0.6, 0.42),
    )


def _rows(panel: DosePanel) -> list[dict[str, object]]:
    """One row per variant; no level for a baseline that does not have the parameter."""
    name = panel.parameter.name
    found = [(dose.variant, dose.level, dose.interval) for curve in panel.curves for dose in curve]
    found += [(variant, float("nan"), interval) for variant, interval in panel.baselines]
    return [
        {"parameter": name, "model": variant, "label_frac": panel.label_frac}
        | {"reached_frac": panel.reached_frac, "level": level}
        | {"num_seeds": one.num, "mean": one.mean, "low": one.low, "high": one.high}
        for variant, level, one in found
    ]


def _note(panels: tuple[DosePanel, ...], has_bands: bool) -> str:
    intervals = [dose.interval for panel in panels for curve in panel.curves for dose in curve]
    intervals += [one for panel in panels for _, one in panel.baselines]
    note = "Large marks: means of a level; small points: seeds; "
    if any(one.is_known for one in intervals):
        note += "bars: t-based 95 % interval of the mean over seeds"
        note += "; dashed line and band: a baseline and its interval." if has_bands else "."
    else:
        note += f"no intervals: they need {MIN_SEEDS} seeds."
        note += " Dashed line: a baseline." if has_bands else ""
    if panels[0].broken_at is not None:
        note += " 0 has no place on a logarithmic scale: it stands left of the break."
    return note + " Every fraction has its own score axis."


def draw_dose_response(panel: DosePanel, axes: Axes) -> None:
    """Draws one panel."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

    low, high = panel.ticks[0][0], panel.ticks[-1][0]
    margin = _MARGIN * (high - low)
    axes.set_xlim(low - margin, high + margin)
    for variant, interval in panel.baselines:
        color = panel.styles[variant].color
        if interval.is_known:
            axes.axhspan(interval.low, interval.high, color=color, alpha=0.15, linewidth=0)
        axes.axhline(interval.mean, color=color, linewidth=1.6, linestyle=(0, (5, 3)))
    num = len(panel.curves)
    for index, curve in enumerate(panel.curves):
        shift = 0.028 * (high - low) * (index - (num - 1) / 2)
        _draw_curve(panel, curve, shift, _LINES[index % len(_LINES)], axes)
    if panel.broken_at is not None:
        axes.axvline(panel.broken_at, color=INK, linewidth=0.8, linestyle=(0, (1, 2)), alpha=0.6)
    ticks = _spaced([place for place, _ in panel.ticks])
    axes.xaxis.set_major_locator(FixedLocator([panel.ticks[i][0] for i in ticks]))
    axes.xaxis.set_major_formatter(FixedFormatter([setting(panel.ticks[i][1]) for i in ticks]))
    axes.xaxis.set_minor_locator(FixedLocator([place for place, _ in panel.ticks]))
    if len(ticks) == len(panel.ticks):
        axes.xaxis.set_minor_locator(NullLocator())
    scale = " (log scale)" if panel.parameter.log else ""
    axes.set_xlabel(f"{panel.parameter.label}{scale}")
    axes.set_ylim(_limits(panel))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel(f"Test {SCORE_LABELS[panel.measure]}")
    axes.set_title(f"{percent(panel.reached_frac)} of the labels", loc="left")
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_curve(
    panel: DosePanel, curve: tuple[Dose, ...], shift: float, line: LineStyle, axes: Axes
) -> None:
    """Points and bars in the colours of the variants, joined by a line; dotted over the break."""
    x = np.array([dose.place for dose in curve]) + shift
    mean = np.array([dose.interval.mean for dose in curve])
    first = 0
    if panel.broken_at is not None and curve[0].level == 0 and len(curve) > 1:
        axes.plot(x[:2], mean[:2], color=INK, linewidth=1.0, linestyle=(0, (1, 2)), zorder=2.5)
        first = 1
    axes.plot(
        x[first:], mean[first:], color=INK, linewidth=1.0, linestyle=line, alpha=0.7, zorder=2.5
    )
    for place, dose in zip(x.tolist(), curve, strict=True):
        _draw_dose(dose, panel.styles[dose.variant], place, axes)


def _draw_dose(dose: Dose, style: VariantStyle, x: float, axes: Axes) -> None:
    if dose.interval.is_known:
        axes.vlines(x, dose.interval.low, dose.interval.high, color=style.color, linewidth=2.0)
    axes.scatter(
        np.full(len(dose.scores), x),
        dose.scores,
        s=9.0,
        color=style.color,
        alpha=0.45,
        linewidths=0,
        zorder=3,
    )
    axes.scatter(
        [x],
        [dose.interval.mean],
        s=style.marker_area * 1.3,
        marker=style.marker,
        color=style.color,
        edgecolors=PAPER,
        linewidths=0.8,
        zorder=4,
    )


def _spaced(places: list[float]) -> list[int]:
    """Indices of ticks whose labels leave each other room; the first and the last are among them.

    Args:
        places: Ascending, two or more.
    """
    gap = _TICK_SHARE * (places[-1] - places[0])
    kept = [0]
    for index, place in enumerate(places[1:-1], start=1):
        if place - places[kept[-1]] >= gap and places[-1] - place >= gap:
            kept.append(index)
    return [*kept, len(places) - 1]


def _limits(panel: DosePanel) -> tuple[float, float]:
    """Limits of the score axis: everything drawn, _MIN_SPAN at least, inside [0, 1]."""
    doses = [dose for curve in panel.curves for dose in curve]
    drawn = [score for dose in doses for score in dose.scores]
    intervals = [*(dose.interval for dose in doses), *(one for _, one in panel.baselines)]
    drawn += [end for one in intervals for end in (one.mean, one.low, one.high)]
    known: NDArray[np.float64] = np.array(drawn)[~np.isnan(drawn)]
    low, high = float(known.min()), float(known.max())
    missing = max(_MIN_SPAN - (high - low), 0.0)
    margin = missing / 2 + 0.08 * max(high - low, _MIN_SPAN)
    return max(low - margin, -0.02), min(high + margin, 1.02)
