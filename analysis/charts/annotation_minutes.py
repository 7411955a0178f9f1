"""Test scores over the minutes that annotating takes, for a study with prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.charts.chart import Chart
from analysis.charts.scarcity import (
    SCORES,
    ScarcityCurve,
    ScarcityInfo,
    draw_label_scarcity,
    label_scarcity_info,
    label_scarcity_rows,
    spaced_ticks,
)
from analysis.reading.styles import Styles
from contract.names import ANNOTATION_MINUTES
from contract.wording import listed, minutes_text

if TYPE_CHECKING:
    import pandas as pd


def minutes_chart(
    scores: pd.DataFrame, styles: Styles, cost: Mapping[str, float] | None
) -> Chart | None:
    """The curves of every score of SCORES over minutes of annotation, one panel each.

    Args:
        scores: As from `scores.score_trials`.
        styles: Of the variants, in order.
        cost: Minutes for each thing that has a price, as the study has it.

    Returns:
        None where no budget has minutes.
    """
    import pandas as pd

    known = scores[scores[ANNOTATION_MINUTES] > 0]
    if known.empty or not cost:
        return None
    shares = [label_scarcity_info(known, measure, styles) for measure in SCORES]
    infos = [over_minutes(info, known) for info in shares]
    rows = [
        row | {"minutes": minutes}
        for share, info in zip(shares, infos, strict=True)
        for row, minutes in zip(
            label_scarcity_rows(share),
            [float(one) for curve in info.curves for one in curve.reached],
            strict=True,
        )
    ]
    return Chart(
        name="annotation_minutes",
        label="Test scores over the minutes of annotating the training tiles",
        data=pd.DataFrame(rows),
        panels=tuple(partial(draw_label_scarcity, info) for info in infos),
        styles=infos[0].styles,
        note=_note(cost, len(scores[ANNOTATION_MINUTES].dropna()) - len(known)),
    )


def over_minutes(info: ScarcityInfo, scores: pd.DataFrame) -> ScarcityInfo:
    """The same curves, drawn at the mean minutes of each fraction's budgets.

    Args:
        info: As from `label_scarcity_info` of these scores.
        scores: With the minutes of every trial, above 0.
    """
    defined = scores.dropna(subset=[info.measure])

    def moved(curve: ScarcityCurve) -> ScarcityCurve:
        rows = defined[defined["variant"] == curve.variant]
        minutes = rows.groupby("label_frac")[ANNOTATION_MINUTES].mean()
        return replace(
            curve,
            reached=np.array([float(minutes[frac]) for frac in curve.label_frac.tolist()]),
            seed_frac=rows[ANNOTATION_MINUTES].to_numpy(np.float64),
        )

    curves = tuple(map(moved, info.curves))
    ticks = spaced_ticks(sorted({float(one) for curve in curves for one in curve.reached}))
    return replace(
        info,
        curves=curves,
        ticks=ticks,
        tick_texts=tuple(map(minutes_text, ticks)),
        axis="Minutes of annotation (log scale)",
    )


def _note(cost: Mapping[str, float], num_free: int) -> str:
    prices = listed([f"{minutes:g} {name.replace('_', ' ')}" for name, minutes in cost.items()])
    free = f" {num_free} trials whose budgets take no time are not drawn." if num_free else ""
    return (
        f"The curves from above, each point at what annotating takes by the study's prices in "
        f"minutes: {prices}. Validation tiles are not counted.{free}"
    )
