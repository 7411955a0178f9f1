"""What may be said of the labels that a variant saves, no stronger than its data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.needed.annotation_minutes import savings_in_minutes
from analysis.findings.needed.validation_cost import savings_with_validation
from analysis.reading.styles import against_baseline
from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import MISSING, counted, percent

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference
    from analysis.statistics.label_efficiency.needed import AnnotationNeeded, Bounds


def annotation_finding(
    answer: Answer, pair: tuple[str, str], family: Sequence[PairedDifference]
) -> Iterator[str]:
    """How much annotation is saved; none where there is but one fraction.

    Said is what each saving lies between, and of the most annotations, where nothing is saved for
    sure, whether more are needed or nothing can be told.
    """
    variant, reference = (answer.styles[name].label for name in pair)
    needed = [one for one in answer.needed if (one.variant, one.reference) == pair]
    if not needed:
        if against_baseline(answer.styles, pair) and len(family) > 1:
            yield (
                f"How many labels {variant} saves cannot be told: the two models share no seed "
                "at two different fractions."
            )
        return
    saving = [one for one in reversed(needed) if answer.claims(one)]
    if saving:
        score = f"test {SCORE_LABELS[answer.measure]}"
        parts = [f"{_amount(one)} where {reference} had {percent(one.reached)}" for one in saving]
        savings = [
            (one.asked_of(one.bounds.low), one.asked_of(one.bounds.high), one.label_frac)
            for one in saving
        ]
        costs = savings_with_validation(answer.shares, savings)
        yield (
            f"{variant} needs fewer labels than {reference} for the same {score}: "
            f"{'; '.join(parts)} (of the labels of all training tiles; {percent(CONFIDENCE)} "
            f"intervals over {_over(saving[0])}, bounded by measured fractions)."
            f"{_coarse(saving[0])} {costs}{savings_in_minutes(answer.shares, savings, pair)}"
        )
    if needed[-1] not in saving:
        yield _nothing_saved(needed[-1], family, variant, reference)


def _amount(saving: AnnotationNeeded) -> str:
    """Such as 'between 10 % and 50 %'; less than the reference had, as a test shows."""
    low, high = saving.bounds.low, saving.bounds.high
    if high == saving.reached:
        more = f"more than {percent(low)} but " if low else ""
        return f"{more}less than {percent(high)}"
    if low:
        return f"between {percent(low)} and {percent(high)}"
    fewest = ", the fewest measured," if high == saving.measured[0] else ""
    return f"at most {percent(high)}{fewest}"


def bounds_text(bounds: Bounds) -> str:
    """Such as '10 % to 50 %' or '≤ 1 %'; MISSING where unknown."""
    if not bounds.is_known:
        return MISSING
    low, high = percent(bounds.low), percent(bounds.high)
    if math.isinf(bounds.high):
        return f">\N{NO-BREAK SPACE}{low}" if bounds.low else "anything"
    at_most = "\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}"
    return f"{low} to {high}" if bounds.low else at_most + high


def _over(needed: AnnotationNeeded) -> str:
    return "seeds and test tiles" if needed.over_tiles.is_known else "seeds, on these test tiles"


def _coarse(saving: AnnotationNeeded) -> str:
    """Which fraction to add, where more seeds could not tell more."""
    if math.isnan(saving.next_frac):
        return ""
    low, high = percent(saving.bounds.low), percent(saving.bounds.high)
    nothing = f"between {low} and {high}" if saving.bounds.low else f"below {high}"
    return (
        f" Nothing was measured {nothing}: for the score at {percent(saving.reached)} only a "
        f"fraction there, such as {percent(saving.next_frac)}, could tell more."
    )


def _nothing_saved(
    last: AnnotationNeeded, family: Sequence[PairedDifference], variant: str, reference: str
) -> str:
    """Says of the most annotations that more are needed, or that nothing can be told and why."""
    score = f"the score that {reference} has with {percent(last.reached)} of the labels"
    if last.direction < 0:
        return f"{variant} does not reach {score}: with as many it scores lower."
    asked = f"Whether {variant} needs fewer labels than {reference} for {score}"
    if not last.bounds.is_known:
        pairs = counted(last.num, "pair")
        return (
            f"{asked} cannot be told: {pairs} of seeds {'is' if last.num == 1 else 'are'} too few."
        )
    if any(one.is_testable for one in family if one.label_frac == last.label_frac):
        why = f"no test shows {variant} to score higher there"
    else:
        why = f"{counted(last.num, 'pair')} of seeds are too few for the test that a claim needs"
    return f"{asked} cannot be told from these data: {why}. {_not_excluded(last)}"


def _not_excluded(last: AnnotationNeeded) -> str:
    low, high = last.bounds.low, last.bounds.high
    if math.isinf(high):
        if low == last.measured[-1]:
            return f"Not excluded is anything above {percent(low)}."
        what = f"anything above {percent(low)}" if low else "any share"
        return f"Not excluded is {what}, also more than {percent(last.measured[-1])}."
    what = f"from {percent(low)} to {percent(high)}" if low else f"up to {percent(high)}"
    return f"Not excluded is anything {what}."
