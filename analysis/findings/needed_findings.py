"""What may be said of the annotations that a variant saves, no stronger than its data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.validation_cost import saving_with_validation
from analysis.reading.styles import against_baseline
from analysis.statistics.intervals import CONFIDENCE, MIN_SEEDS
from analysis.wording import counted, listed, percent

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference
    from analysis.statistics.efficiency import AnnotationNeeded

_LEVEL = percent(CONFIDENCE)


def annotation_finding(
    answer: Answer, pair: tuple[str, str], family: Sequence[PairedDifference]
) -> Iterator[str]:
    """How much annotation is saved; one text, or none where there is but one fraction."""
    variant, reference = (answer.styles[name].label for name in pair)
    needed = [one for one in answer.needed if (one.variant, one.reference) == pair]
    if not needed:
        if against_baseline(answer.styles, pair) and len(family) > 1:
            yield (
                f"How much annotation {variant} saves cannot be said: no seed has the scores of "
                "both models at two fractions."
            )
        return
    saving = [one for one in needed if answer.claims(one)]
    if saving:
        parts = [f"{_score_at(one, reference)} with {_share(one)}" for one in reversed(saving)]
        costs = [
            saving_with_validation(answer.shares, (one.low, one.high), one.label_frac)
            for one in reversed(saving)
        ]
        yield " ".join([f"{variant} reaches {listed(parts)}.", *dict.fromkeys(costs)])
        return
    last = needed[-1]
    if not last.is_known:
        yield (
            f"How much annotation {variant} saves cannot be said from "
            f"{counted(last.num, 'seed')} with all scores: an interval needs {MIN_SEEDS}."
        )
    elif math.isinf(last.low):
        yield (
            f"{variant} does not reach {_score_at(last, reference)} with the annotations there are."
        )
    elif last.falls_back:
        yield (
            f"No saving of annotations can be claimed: {variant} reaches "
            f"{_score_at(last, reference)} with fewer, but scores lower again with more."
        )
    else:
        yield (
            f"No saving of annotations can be shown: for {_score_at(last, reference)}, {variant} "
            f"needs {_share(last)}{_why_not(last, family, variant)}."
        )


def _why_not(last: AnnotationNeeded, family: Sequence[PairedDifference], variant: str) -> str:
    """Why an interval below the reference's own fraction is no claim."""
    if not last.saves:
        return ""
    tested = any(d.is_testable for d in family if d.label_frac == last.label_frac)
    return (
        f", but no test shows {variant} to score higher there"
        if tested
        else f", but {counted(last.num, 'seed')} are too few for the test that a claim needs"
    )


def _score_at(needed: AnnotationNeeded, reference: str) -> str:
    if needed.label_frac == 1.0:
        return f"{reference}'s full-annotation score"
    return f"{reference}'s score at {percent(needed.label_frac)} of the labels"


def _share(needed: AnnotationNeeded) -> str:
    """Such as '45 % of them (95 % interval 30 % to 70 %)', relative to the reference's."""
    low, high = bound_text(needed, needed.low), bound_text(needed, needed.high)
    share = bound_text(needed, needed.needed)
    return f"{share} of these annotations ({_LEVEL} interval {low} to {high})"


def bound_text(needed: AnnotationNeeded, fraction: float) -> str:
    """A fraction needed, as a share of the reference's own; says where it is censored."""
    if fraction == 0.0:
        return f"at most {percent(needed.smallest / needed.label_frac)}"
    if math.isinf(fraction):
        return f"more than {percent(needed.largest / needed.label_frac)}"
    return percent(fraction / needed.label_frac)
