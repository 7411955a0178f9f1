"""How far a search had come after each of its trials: what it shows, and the drawing of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.charts.chart import PAPER, RULE, Chart, panel_columns
from analysis.reading.styles import Styles
from analysis.search.search_table import ranked_trials
from analysis.search.suggestions import choice_rule, suggestions
from analysis.statistics.intervals import MIN_SEEDS
from analysis.statistics.label_efficiency.shares import ASKED, Shares, shares_on_record
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import percent
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from analysis.reading.sources.record import StudyRecord

MIN_SPAN = 0.05
"""Least height of a validation axis: a smaller one would make noise look like progress."""
PANEL_IN = (3.6, 2.9)
"""Width and height of the panels of the search in inches: there is one per fraction."""
MARGINS_IN = (0.8, 0.15, 0.6, 0.42)
"""Margins of such a panel, wider at the left, where the score is named."""


@dataclass(frozen=True, kw_only=True)
class BestSoFar:
    """The search of one arm; arrays over its N finished trials, in the order of suggestion."""

    variant: str
    number: NDArray[np.int64]
    """Number of each trial in its arm, from 0, (N,), ascending."""
    score: NDArray[np.float64]
    """Validation score of each, the mean over its seeds, (N,)."""
    low: NDArray[np.float64]
    """Bounds of the 95 % interval over seeds, (N,); NaN with fewer than 3. Likewise `high`."""
    high: NDArray[np.float64]
    best: NDArray[np.float64]
    """The best of all up to each, (N,)."""
    pruned: NDArray[np.int64]
    """Numbers of the trials that were pruned, (P,), ascending."""
    last: int
    """The highest number of a trial that has ended, failed ones included."""


@dataclass(frozen=True, kw_only=True)
class BestSoFarInfo:
    """All that one panel shows."""

    label_frac: float
    reached_frac: float
    """What was reached, where `label_frac` was asked for."""
    select_by: str
    """The validation score, one of SELECT_SCORES."""
    styles: Styles
    """Styles of all variants, in order."""
    curves: tuple[BestSoFar, ...]
    """In that order, without arms of which no trial has finished."""


def best_so_far_info(
    searched: pd.DataFrame,
    label_frac: float,
    select_by: str,
    styles: Styles,
    shares: Shares = ASKED,
) -> BestSoFarInfo:
    """The curves of all variants at one annotation fraction.

    Args:
        searched: As from `suggestions.suggestions`.
        label_frac: The fraction.
        select_by: The score that `select_score` holds.
        styles: Of all variants, in order.
        shares: What fractions reached; without, what was asked for.
    """
    curves = []
    at_frac = searched[searched["label_frac"] == label_frac]
    for variant in styles:
        arm = at_frac[at_frac["variant"] == variant]
        finished = ranked_trials(arm, variant, label_frac).sort_values("number")
        if finished.empty:
            continue
        score = finished["select_score"].to_numpy(np.float64)
        ended = arm[~arm["status"].isin(OPEN_STATUSES)]
        curves.append(
            BestSoFar(
                variant=variant,
                number=finished["number"].to_numpy(np.int64),
                score=score,
                low=finished["select_low"].to_numpy(np.float64),
                high=finished["select_high"].to_numpy(np.float64),
                best=np.maximum.accumulate(score),
                pruned=np.sort(arm.loc[arm["status"] == "pruned", "number"].to_numpy(np.int64)),
                last=int(ended["number"].max()),
            )
        )
    return BestSoFarInfo(
        label_frac=label_frac,
        reached_frac=shares.reached(label_frac),
        select_by=select_by,
        styles=styles,
        curves=tuple(curves),
    )


def best_so_far_chart(record: StudyRecord) -> Chart | None:
    """One panel per annotation fraction.

    Returns:
        None where no arm has had two trials to compare.
    """
    import pandas as pd

    searched = suggestions(record)
    fracs = sorted(searched["label_frac"].unique().tolist())
    shares = shares_on_record(record)
    by_frac = [
        best_so_far_info(searched, frac, record.info.select_by, record.styles, shares)
        for frac in fracs
    ]
    infos = [info for info in by_frac if info.curves]
    if not any(curve.last > 0 for info in infos for curve in info.curves):
        return None
    rows = [row for info in infos for curve in info.curves for row in _rows(info, curve)]
    shown = {curve.variant for info in infos for curve in info.curves}
    has_pruned = any(len(curve.pruned) for info in infos for curve in info.curves)
    return Chart(
        name="best_so_far",
        label=f"Best validation {SCORE_LABELS[record.info.select_by]} over the trials of a search",
        data=pd.DataFrame(rows),
        panels=tuple(partial(draw_best_so_far, info) for info in infos),
        styles={name: style for name, style in record.styles.items() if name in shown},
        note=_note(has_pruned) + seeds_note(choice_rule(record.info).num_seeds),
        num_columns=panel_columns(len(infos)),
        panel_in=PANEL_IN,
        margins_in=MARGINS_IN,
    )


def _rows(info: BestSoFarInfo, curve: BestSoFar) -> list[dict[str, object]]:
    arm = {"model": curve.variant, "label_frac": info.label_frac}
    rows: list[dict[str, object]] = [
        arm
        | {"number": number, "status": "finished", "score": score, "best_so_far": best}
        | {"low": low, "high": high}
        for number, score, best, low, high in zip(
            *(one.tolist() for one in (curve.number, curve.score, curve.best)),
            *(one.tolist() for one in (curve.low, curve.high)),
            strict=True,
        )
    ]
    return rows + [arm | {"number": n, "status": "pruned"} for n in curve.pruned.tolist()]


def _note(has_pruned: bool) -> str:
    note = (
        "Line: the best validation score so far; points: single trials, by their number in the "
        "arm, the order in which they were suggested. A line that still climbs at its end speaks "
        "for more trials."
    )
    if has_pruned:
        note += (
            " Ticks at the foot: pruned trials; their last score is from an earlier step of the "
            "run and is compared with none."
        )
    return note


def seeds_note(num_seeds: int) -> str:
    """What a chart of a search says of its seeds; "" where every suggestion had one."""
    if num_seeds == 1:
        return ""
    said = f" Here a trial is a setting with {num_seeds} seeds: its point is their mean"
    if num_seeds < MIN_SEEDS:
        return f"{said}; intervals need {MIN_SEEDS}."
    return f"{said}, its upright line the 95 % interval over them (t)."


def draw_over_seeds(
    x: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    color: str,
    axes: Axes,
) -> None:
    """Draw intervals over seeds as thin bars; those that are NaN are left out."""
    known = ~np.isnan(low)
    axes.vlines(x[known], low[known], high[known], color=color, linewidth=1.1, alpha=0.6, zorder=2)


def draw_best_so_far(info: BestSoFarInfo, axes: Axes) -> None:
    """Draws one panel; draws nothing but axes if there is no curve."""
    from matplotlib.ticker import MaxNLocator

    step = min(0.05, 0.2 / max(len(info.curves), 1))
    for index, curve in enumerate(info.curves):
        style = info.styles[curve.variant]
        axes.plot(
            np.append(curve.number, curve.last),
            np.append(curve.best, curve.best[-1]),
            drawstyle="steps-post",
            color=style.color,
            linestyle=style.line,
            linewidth=2.0,
            zorder=3,
        )
        draw_over_seeds(curve.number.astype(np.float64), curve.low, curve.high, style.color, axes)
        axes.scatter(
            curve.number,
            curve.score,
            s=style.marker_area * 0.6,
            marker=style.marker,
            color=style.color,
            edgecolors=PAPER,
            linewidths=0.6,
            alpha=0.75,
            zorder=4,
        )
        axes.plot(
            curve.pruned,
            np.full(len(curve.pruned), 0.025 + step * index),
            "|",
            color=style.color,
            alpha=0.5,
            markersize=6,
            transform=axes.get_xaxis_transform(),
        )
    last = max((curve.last for curve in info.curves), default=1)
    axes.set_xlim(-0.5 - 0.02 * last, last + 0.5 + 0.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("Number of the trial")
    scores = [
        score
        for curve in info.curves
        for part in (curve.score, curve.low, curve.high)
        for score in part[~np.isnan(part)].tolist()
    ]
    set_score_axis(axes, scores, info.select_by, info.reached_frac)


def set_score_axis(axes: Axes, scores: list[float], select_by: str, reached_frac: float) -> None:
    """The axis of validation scores and the title of a panel of one annotation fraction."""
    from matplotlib.ticker import MaxNLocator

    axes.set_ylim(score_limits(scores))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel(f"Validation {SCORE_LABELS[select_by]}")
    axes.set_title(f"{percent(reached_frac)} of the labels", loc="left")
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)


def score_limits(scores: list[float]) -> tuple[float, float]:
    """Limits of an axis of scores in [0, 1]: MIN_SPAN high at least, some room on both sides."""
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    missing = max(MIN_SPAN - (high - low), 0.0)
    margin = missing / 2 + 0.1 * max(high - low, MIN_SPAN)
    return max(low - margin, -0.02), min(high + margin, 1.02)
