"""What may be said of whole curves: the areas under them, and what lies beyond the data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, listed, p_text, percent, signed

if TYPE_CHECKING:
    from analysis.reading.styles import Styles
    from analysis.statistics.answer import Answer, AreaDifference
    from analysis.statistics.intervals import Interval


def curve_heading(answer: Answer) -> str:
    """A heading for the label-scarcity curves: the difference of the areas under them."""
    compared = [one for one in answer.area_differences if one.area.is_known]
    if not compared:
        return "Score over annotation"
    return "; ".join(
        _area_text(one, SCORE_LABELS[answer.measure], answer.styles) for one in compared[:2]
    )


def _area_text(one: AreaDifference, label: str, styles: Styles) -> str:
    variant, reference = (styles[name].label for name in (one.variant, one.reference))
    span = f"from {percent(one.smallest)} to {percent(one.largest)} of the labels"
    test = "" if math.isnan(one.p) else f", p {p_text(one.p)}"
    return (
        f"Averaged {span}, {variant} minus {reference} is {signed(one.area.mean)} {label} "
        f"({_interval(one.area)} over {counted(one.area.num, 'seed')}{test})"
    )


def _interval(interval: Interval) -> str:
    return f"{signed(interval.low)} to {signed(interval.high)}"


def doubling_note(answer: Answer) -> str:
    """What twice the annotations would give, or why that is not said; '' without any curve."""
    said = [
        f"{one.low:.3f} to {one.high:.3f} for {answer.styles[one.variant].label}"
        for one in answer.doublings
        if not one.refused
    ]
    refused = dict.fromkeys(one.refused for one in answer.doublings if one.refused)
    if said:
        told = (
            f"Twice the annotations would give a test {SCORE_LABELS[answer.measure]} of "
            f"{listed(said)} ({percent(CONFIDENCE)} intervals over seeds), if a doubling brings "
            "no more than the ones before it did."
        )
        return told + "".join(f" For the rest nothing is said: {why}." for why in refused)
    return "".join(
        f"Nothing is said of more annotations than were measured: {why}."
        for why in list(refused)[:1]
    )
