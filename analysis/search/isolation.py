"""One hyperparameter at a time: the best of the trials that share a stretch of its domain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.charts.chart import PAPER, Chart, panel_columns
from analysis.reading.styles import Styles
from analysis.search.best_so_far import (
    MARGINS_IN,
    PANEL_IN,
    draw_over_seeds,
    seeds_note,
    set_score_axis,
)
from analysis.search.domains import Domain, Level, searched_domains
from analysis.search.search_table import ranked_trials
from analysis.search.suggestions import choice_rule, suggestions
from analysis.statistics.label_efficiency.shares import ASKED, Shares, shares_on_record
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from analysis.reading.sources.record import StudyRecord

MIN_BUCKETS, MAX_BUCKETS = 5, 8
"""Stretches of a range, by the number of trials."""
_TRIALS_PER_BUCKET = 4
_LETTERS = 28
"""Most letters of all tick labels side by side below a panel."""


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """One arm along one hyperparameter; arrays over its N finished trials, best first."""

    variant: str
    number: NDArray[np.int64]
    """Number of each suggestion in its arm, (N,)."""
    value: tuple[Level, ...]
    """Values of the hyperparameter, N of them."""
    score: NDArray[np.float64]
    """Validation score, the mean over seeds, (N,)."""
    low: NDArray[np.float64]
    """Bounds of the 95 % interval over seeds, (N,); NaN with fewer than 3. Likewise `high`."""
    high: NDArray[np.float64]
    is_chosen: NDArray[np.bool_]
    """Which of them the arm has chosen, (N,); one is."""
    bucket: NDArray[np.int64]
    """Into which level or stretch of the domain each value falls, from 0, (N,)."""
    best: NDArray[np.float64]
    """Best score of each bucket, (B,); NaN where no trial has finished in it."""


@dataclass(frozen=True, kw_only=True)
class IsolationInfo:
    """All that one panel shows."""

    domain: Domain
    """Wide enough for every value tried."""
    edges: NDArray[np.float64]
    """Edges of the B buckets of a range, (B + 1,); empty for levels, each a bucket itself."""
    label_frac: float
    reached_frac: float
    """What was reached, where `label_frac` was asked for."""
    select_by: str
    """The validation score, one of SELECT_SCORES."""
    styles: Styles
    """Styles of all variants, in order."""
    arms: tuple[Isolation, ...]
    """In that order, without those that lack the hyperparameter or finished trials."""


def isolation_infos(
    searched: pd.DataFrame,
    domain: Domain,
    select_by: str,
    styles: Styles,
    shares: Shares = ASKED,
) -> tuple[IsolationInfo, ...]:
    """One hyperparameter at every annotation fraction, in the same buckets throughout.

    Args:
        searched: As from `suggestions.suggestions`.
        domain: Of the hyperparameter.
        select_by: The score that `select_score` holds.
        styles: Of all variants, in order.
        shares: What fractions reached; without, what was asked for.

    Returns:
        By fraction, without fractions that have nothing to show.
    """
    finished = searched.dropna(subset=["select_score", domain.name])
    if finished.empty:
        return ()
    domain = domain.covering(finished[domain.name])
    edges = bucket_edges(domain, int(finished.groupby(["variant", "label_frac"]).size().max()))
    infos = []
    for frac in sorted(finished["label_frac"].unique().tolist()):
        ranked = [ranked_trials(finished, variant, frac) for variant in styles]
        arms = tuple(_isolation(arm, domain, edges) for arm in ranked if not arm.empty)
        infos.append(
            IsolationInfo(
                domain=domain,
                edges=edges,
                label_frac=frac,
                reached_frac=shares.reached(frac),
                select_by=select_by,
                styles=styles,
                arms=arms,
            )
        )
    return tuple(infos)


def bucket_edges(domain: Domain, num_trials: int) -> NDArray[np.float64]:
    """Edges of the equal stretches of a range on its own scale; none for levels.

    Args:
        domain: A range with known ends, or levels.
        num_trials: Finished trials of the largest arm: 4 per bucket, but 5 to 8 buckets.

    Returns:
        Ascending, (B + 1,); (0,) for levels.
    """
    if domain.levels:
        return np.empty(0)
    num_buckets = min(max(num_trials // _TRIALS_PER_BUCKET, MIN_BUCKETS), MAX_BUCKETS)
    spaced = np.geomspace if domain.parameter.log else np.linspace
    return spaced(domain.low, domain.high, num_buckets + 1)


def _isolation(arm: pd.DataFrame, domain: Domain, edges: NDArray[np.float64]) -> Isolation:
    value = tuple(arm[domain.name].tolist())
    score = arm["select_score"].to_numpy(np.float64)
    if domain.levels:
        num_buckets = len(domain.levels)
        bucket = np.array([domain.levels.index(one) for one in value])
    else:
        num_buckets = len(edges) - 1
        bucket = np.clip(np.searchsorted(edges, value, side="right") - 1, 0, num_buckets - 1)
    best = np.full(num_buckets, math.nan)
    np.fmax.at(best, bucket, score)
    return Isolation(
        variant=str(arm["variant"].iloc[0]),
        number=arm["number"].to_numpy(np.int64),
        value=value,
        score=score,
        low=arm["select_low"].to_numpy(np.float64),
        high=arm["select_high"].to_numpy(np.float64),
        is_chosen=arm["is_chosen"].to_numpy(np.bool_),
        bucket=bucket.astype(np.int64),
        best=best,
    )


def isolation_charts(record: StudyRecord) -> tuple[Chart, ...]:
    """One chart per hyperparameter searched, with one panel per annotation fraction.

    Returns:
        `isolation_<name>`, without one of which no trial has finished.
    """
    searched, shares = suggestions(record), shares_on_record(record)
    charts = []
    for domain in searched_domains(record):
        infos = isolation_infos(searched, domain, record.info.select_by, record.styles, shares)
        if infos:
            charts.append(_chart(infos, choice_rule(record.info).num_seeds))
    return tuple(charts)


def _chart(infos: tuple[IsolationInfo, ...], num_seeds: int) -> Chart:
    import pandas as pd

    domain = infos[0].domain
    shown = {arm.variant for info in infos for arm in info.arms}
    part = "level" if domain.levels else "stretch"
    parts = "level" if domain.levels else f"of {len(infos[0].edges) - 1} equal stretches"
    return Chart(
        name=f"isolation_{domain.name}",
        label=f"Validation {SCORE_LABELS[infos[0].select_by]} over {domain.parameter.label}",
        data=pd.DataFrame([row for info in infos for arm in info.arms for row in _rows(info, arm)]),
        panels=tuple(partial(draw_isolation, info) for info in infos),
        styles={name: style for name, style in infos[0].styles.items() if name in shown},
        note=(
            f"Points: finished trials; bars: the best of each {parts}; ring: the trial that was "
            f"chosen. What else a search varies is not held fixed, and a {part} with more trials "
            "has the better chance of a high bar. Pruned trials are left out: their last score is "
            "from an earlier step."
        )
        + seeds_note(num_seeds),
        num_columns=panel_columns(len(infos)),
        panel_in=PANEL_IN,
        margins_in=MARGINS_IN,
    )


def _rows(info: IsolationInfo, arm: Isolation) -> list[dict[str, object]]:
    """One row per finished trial, best first."""
    name, edges, levels = info.domain.name, info.edges, info.domain.levels
    rows: list[dict[str, object]] = []
    for i, bucket in enumerate(arm.bucket.tolist()):
        ends = (levels[bucket],) * 2 if levels else (edges[bucket], edges[bucket + 1])
        rows.append(
            {"parameter": name, "model": arm.variant, "label_frac": info.label_frac}
            | {"number": int(arm.number[i]), "value": arm.value[i], "score": arm.score[i]}
            | {"bucket_low": ends[0], "bucket_high": ends[1], "bucket_best": arm.best[bucket]}
            | {"is_chosen": bool(arm.is_chosen[i]), "low": arm.low[i], "high": arm.high[i]}
        )
    return rows


def draw_isolation(info: IsolationInfo, axes: Axes) -> None:
    """Draws one panel."""
    step = min(0.28, 0.8 / len(info.arms))
    for index, arm in enumerate(info.arms):
        _draw_arm(info, arm, step, step * (index - (len(info.arms) - 1) / 2), axes)
    _set_x_axis(info.domain, axes)
    scores = [
        score
        for arm in info.arms
        for part in (arm.score, arm.low, arm.high)
        for score in part[~np.isnan(part)].tolist()
    ]
    set_score_axis(axes, scores, info.select_by, info.reached_frac)


def _draw_arm(info: IsolationInfo, arm: Isolation, step: float, shift: float, axes: Axes) -> None:
    """Points, bars and ring; `step` and `shift` keep the variants apart, in levels."""
    style = info.styles[arm.variant]
    if info.domain.levels:
        x = arm.bucket.astype(np.float64) + shift
        centres = np.arange(len(arm.best)) + shift
        left, right = centres - 0.43 * step, centres + 0.43 * step
    else:
        x = np.array(arm.value, dtype=np.float64)
        left, right = info.edges[:-1], info.edges[1:]
    draw_over_seeds(x, arm.low, arm.high, style.color, axes)
    axes.scatter(
        x,
        arm.score,
        s=style.marker_area * 0.6,
        marker=style.marker,
        color=style.color,
        edgecolors=PAPER,
        linewidths=0.6,
        alpha=np.where(arm.score == arm.best[arm.bucket], 1.0, 0.45),  # type: ignore[arg-type]
        zorder=3,
    )
    known = ~np.isnan(arm.best)
    axes.hlines(
        arm.best[known], left[known], right[known], color=style.color, linewidth=2.2, zorder=2.5
    )
    axes.plot(
        x[arm.is_chosen],
        arm.score[arm.is_chosen],
        "o",
        markersize=12,
        color=style.color,
        fillstyle="none",
        zorder=4,
    )


def _set_x_axis(domain: Domain, axes: Axes) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if domain.levels:
        axes.set_xlim(-0.5, len(domain.levels) - 0.5)
        ticks: dict[float, Level] = {float(i): level for i, level in enumerate(domain.levels)}
    elif domain.parameter.log:
        axes.set_xscale("log")
        margin = (domain.high / domain.low) ** 0.04
        axes.set_xlim(domain.low / margin, domain.high * margin)
        ticks = {tick: tick for tick in domain.ticks()}
    else:
        margin = 0.04 * (domain.high - domain.low)
        axes.set_xlim(domain.low - margin, domain.high + margin)
        ticks = {tick: tick for tick in domain.ticks()}
    is_log = domain.parameter.log and not domain.levels
    axes.set_xlabel(f"{domain.parameter.label} (log scale)" if is_log else domain.parameter.label)
    labels = _tick_labels(list(ticks.values()))
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.xaxis.set_minor_locator(NullLocator())


def _tick_labels(levels: Sequence[Level]) -> list[str]:
    """Texts that fit side by side, four letters each at least, and are as different as the levels.

    Numbers are never cut: where they are long, `0.0003` becomes `3e-4`.
    """
    num = max(_LETTERS // len(levels), 4)
    texts = [setting(level) for level in levels]
    words = [isinstance(level, str) for level in levels]
    for cut in (_head, _both_ends):
        short = [
            text if len(text) <= num else cut(text, num) if word else _in_powers(text)
            for text, word in zip(texts, words, strict=True)
        ]
        if len(set(short)) == len(set(texts)):
            return short
    return texts


def _head(text: str, num: int) -> str:
    return f"{text[: num - 1]}…"


def _both_ends(text: str, num: int) -> str:
    return f"{text[: num // 2]}…{text[len(text) - (num - 1) // 2 :]}"


def _in_powers(text: str) -> str:
    """A number with a power of ten, where that is shorter."""
    mantissa, exponent = f"{float(text):.2e}".split("e")
    return min(text, f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}", key=len)
