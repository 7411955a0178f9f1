"""What may be said of a study, no stronger than its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.difference_findings import difference_finding
from analysis.findings.needed.needed_findings import annotation_finding
from analysis.findings.ranking import ranking_finding
from analysis.reading.styles import against_baseline, own_effect
from analysis.statistics.answer import RECONSTRUCTION
from analysis.wording import listed
from contract.methods import METHODS

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import AreaDifference


_MOST_FIRST = 4
"""Most pairs that a reader asks for first; of more methods the first alone, and all effects."""
_TOLD_APART = 2
"""Most pairs, besides those that a reader asks for first, that have a text each; a control beside a
baseline never has one in front."""


def findings(answer: Answer) -> tuple[str, ...]:
    """What a reader takes home: annotations saved first, then the differences in score.

    The first pair is the one that a reader means, then comes what its variant's effect adds to its
    control. More than two others, and what is said of controls, are summed up in one paragraph; see
    `other_findings`.

    Returns:
        Plain texts, at least one; says so where nothing can be said.
    """
    if answer.closed:
        return (answer.closed,)
    variants = list(answer.areas)
    if not variants:
        return (
            "No trial has been confirmed on the test tiles yet, so there is nothing to report.",
        )
    if len(variants) == 1:
        label = answer.styles[variants[0]].label
        return (
            f"Only {label} was confirmed on the test tiles: without another model, nothing can be "
            f"said about {answer.question}.",
        )
    first, others = _split(answer)
    if not _is_summed_up(answer, others):
        return (*_of_pairs(answer, [*first, *others]), *_without_baseline(answer))
    return (*_of_pairs(answer, first), ranking_finding(answer), *_without_baseline(answer))


def other_findings(answer: Answer) -> tuple[str, ...]:
    """The texts of the pairs that `findings` sums up; none where it tells all of them."""
    if answer.closed or len(answer.areas) < 2:
        return ()
    _, others = _split(answer)
    return tuple(_of_pairs(answer, others)) if _is_summed_up(answer, others) else ()


def first_pairs(answer: Answer) -> tuple[tuple[str, str], ...]:
    """The pairs that `findings` tells one by one, (variant, reference); the others are summed up.

    All pairs where it tells all of them.
    """
    if not answer.area_differences:
        return ()
    first, others = _split(answer)
    told = first if _is_summed_up(answer, others) else [*first, *others]
    return tuple((one.variant, one.reference) for one in told)


def _is_summed_up(answer: Answer, others: Sequence[AreaDifference]) -> bool:
    has_control = any(answer.styles[one.variant].variant.is_control for one in others)
    return has_control or len(others) > _TOLD_APART


def _split(answer: Answer) -> tuple[list[AreaDifference], list[AreaDifference]]:
    """The pairs that a reader asks for first, and all others.

    First are methods as they are, without a changed level, against a baseline, and their effects.
    """
    lead = answer.area_differences[0]
    first = []
    for one in answer.area_differences:
        pair = (one.variant, one.reference)
        variant = answer.styles[one.variant].variant
        is_plain = not (variant.num_changed or variant.is_control)
        asked = against_baseline(answer.styles, pair) or own_effect(answer.styles, pair)
        if one is lead or (asked and (is_plain or one.variant == lead.variant)):
            first.append(one)
    if len(first) > _MOST_FIRST:  # the others are beside the baseline in the ranking
        first = [
            one
            for one in first
            if one is lead or own_effect(answer.styles, (one.variant, one.reference))
        ]
    return first, [one for one in answer.area_differences if one not in first]


def _of_pairs(answer: Answer, areas: Iterable[AreaDifference]) -> Iterator[str]:
    for area in areas:
        pair = (area.variant, area.reference)
        family = [d for d in answer.main_differences if (d.variant, d.reference) == pair]
        yield from annotation_finding(answer, pair, family)
        yield difference_finding(answer, pair, area, family)


def _without_baseline(answer: Answer) -> Iterator[str]:
    """What cannot be said where no baseline was confirmed."""
    confirmed = [answer.styles[name].variant for name in answer.areas]
    if any(one.is_baseline for one in confirmed):
        return
    missing = [style.label for style in answer.styles.values() if style.is_baseline]
    known = [method.label for method in METHODS.values() if method.is_baseline]
    without = (
        f"{listed(missing or known[:1])} was not confirmed on the test tiles: nothing can be said"
    )
    factors = {name for one in confirmed for name in one.levels}
    if factors == {"reconstruct_on"} and answer.question == RECONSTRUCTION:
        yield f"{without} about {answer.question}, only about what is reconstructed."
    elif missing or len({one.method for one in confirmed}) > 1:
        yield f"{without} about differences from it."
