"""What may be said of a study, no stronger than its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from analysis.findings.difference_findings import difference_finding
from analysis.findings.needed_findings import annotation_finding
from analysis.statistics.answer import RECONSTRUCTION
from analysis.wording import listed
from contract.methods import METHODS

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer


def findings(answer: Answer) -> tuple[str, ...]:
    """What a reader takes home: annotations saved first, then the differences in score.

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
    said: list[str] = []
    for area in answer.area_differences:
        pair = (area.variant, area.reference)
        family = [d for d in answer.main_differences if (d.variant, d.reference) == pair]
        said += annotation_finding(answer, pair, family)
        said.append(difference_finding(answer, pair, area, family))
    return (*said, *_without_baseline(answer))


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
