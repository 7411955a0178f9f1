"""Several variants in one paragraph: their order, and which differences tests show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, named, p_text, percent, score, signed

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import Difference
    from analysis.statistics.intervals import Interval


def ranking_finding(answer: Answer) -> str:
    """All variants by their mean score, and what of this order tests show.

    Returns:
        Several sentences, no more than the tests of all pairs together allow.
    """
    order = sorted(answer.heights, key=lambda name: answer.heights[name].mean, reverse=True)
    means = [f"{_mean(answer.heights[name])} for {answer.styles[name].label}" for name in order]
    label = f"test {SCORE_LABELS[answer.measure]}"
    reached = [answer.shares.reached(one.label_frac) for one in answer.main_differences]
    is_curve = len(set(reached)) > 1
    where = f"with {percent(reached[0])} of the labels"
    if is_curve:
        where = f"averaged over {percent(min(reached))} to {percent(max(reached))} of the labels"
    said = [
        f"All variants by {label} {where} ({percent(CONFIDENCE)} intervals over seeds): "
        f"{named(means)}.",
        *_tested(answer, answer.area_differences if is_curve else answer.main_differences),
        *_savings(answer),
    ]
    return " ".join(said)


def _mean(height: Interval) -> str:
    if not height.is_known:
        return score(height.mean)
    return f"{score(height.mean)} ({score(height.low)} to {score(height.high)})"


def _tested(answer: Answer, differences: Sequence[Difference]) -> list[str]:
    """What tests show of the order, and what they leave open."""
    if not any(one.is_testable for one in differences):
        return ["Too few seeds for any test: this order may be chance."]
    shown = [one for one in differences if one.is_shown]
    num_open = len(differences) - len(shown)
    if not shown:
        return ["No test shows a difference between any two of them: this order may be chance."]
    said = _shown(answer, shown)
    if num_open:
        pairs, order = counted(num_open, "other pair"), "its" if num_open == 1 else "their"
        said.append(f"Of {pairs} no difference is shown: {order} order may be chance.")
    return said


def _shown(answer: Answer, shown: Sequence[Difference]) -> list[str]:
    """One sentence for each variant that scores higher than others, the highest first."""
    higher: dict[str, list[str]] = {}
    for one in shown:
        pair = (one.variant, one.reference)
        better, other = pair if one.direction > 0 else pair[::-1]
        gain = f"{signed(abs(one.difference.mean))}, {p_text(one.p_adjusted)}"
        higher.setdefault(better, []).append(f"{answer.styles[other].label} ({gain})")
    ordered = sorted(higher, key=lambda name: answer.heights[name].mean, reverse=True)
    return [
        f"{'They' if place else 'Tests'} show that {answer.styles[name].label} scores higher than "
        f"{named(higher[name])}."
        for place, name in enumerate(ordered)
    ]


def _savings(answer: Answer) -> list[str]:
    """Who needs fewer annotations than a baseline, as far as a saving may be claimed."""
    said = []
    for reference in answer.references:
        claimed = dict.fromkeys(
            answer.styles[one.variant].label
            for one in answer.needed
            if one.reference == reference and answer.claims(one)
        )
        if claimed:
            label = answer.styles[reference].label
            said.append(
                f"Fewer labels than {label} for the same score are needed by "
                f"{named(list(claimed))}."
            )
    return said
