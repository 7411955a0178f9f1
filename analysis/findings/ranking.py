"""Several variants in one paragraph: their order, and which differences tests show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, listed, p_text, percent, score, signed

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
        f"{listed(means)}.",
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
    shown = [_shown(answer, one) for one in differences if one.is_shown]
    num_open = len(differences) - len(shown)
    if not shown:
        return ["No test shows a difference between any two of them: this order may be chance."]
    said = [f"Tests show that {'; that '.join(shown)}."]
    if num_open:
        pairs = counted(num_open, "other pair")
        said.append(f"Of {pairs} no difference is shown: their order may be chance.")
    return said


def _shown(answer: Answer, one: Difference) -> str:
    better, other = (answer.styles[name].label for name in (one.variant, one.reference))
    if one.direction < 0:
        better, other = other, better
    gain = signed(abs(one.difference.mean))
    return f"{better} scores higher than {other} ({gain}, {p_text(one.p_adjusted)})"


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
                f"Fewer annotations than {label} for the same score are needed by "
                f"{listed(list(claimed))}."
            )
    return said
