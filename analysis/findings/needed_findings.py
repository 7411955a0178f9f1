"""What may be said of the annotations that a variant saves, no stronger than its data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.reading.styles import against_baseline
from analysis.statistics.intervals import CONFIDENCE, MIN_SEEDS
from analysis.wording import MISSING, counted, percent

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference
    from analysis.statistics.needed import AnnotationNeeded, Bounds


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
                f"How much annotation {variant} saves cannot be told: the two models share no seed "
                "at two different fractions."
            )
        return
    saving = [one for one in reversed(needed) if answer.claims(one)]
    if saving:
        parts = [f"for {_score_at(one, reference)} {amount(one)}" for one in saving]
        level = f"{percent(CONFIDENCE)} intervals over {_over(saving[0])}"
        yield (
            f"{variant} needs fewer annotations than {reference}: {'; '.join(parts)} ({level}, "
            f"between measured fractions).{_coarse(saving[0])}"
        )
    if needed[-1] not in saving:
        yield _nothing_saved(needed[-1], family, variant, reference)


def amount(needed: AnnotationNeeded) -> str:
    """Such as 'between 10 % and 50 % of the annotations', all of them shares of the same whole."""
    low, high = needed.bounds.low, needed.bounds.high
    least, most = percent(needed.measured[0]), percent(needed.measured[-1])
    if low == 0.0:
        if math.isinf(high):
            return f"anything from below {least} to above {most} of the annotations"
        if high == needed.measured[0]:
            return f"{least} of the annotations, the fewest measured, or less"
        return f"{percent(high)} of the annotations or less"
    if math.isinf(high):
        return f"more than {percent(low)} of the annotations"
    return f"between {percent(low)} and {percent(high)} of the annotations"


def bounds_text(bounds: Bounds) -> str:
    """Such as '10 % to 50 %' or '≤ 1 %'; MISSING where unknown."""
    if not bounds.is_known:
        return MISSING
    low, high = percent(bounds.low), percent(bounds.high)
    if math.isinf(bounds.high):
        return f">\N{NO-BREAK SPACE}{low}" if bounds.low else "anything"
    at_most = "\N{LESS-THAN OR EQUAL TO}\N{NO-BREAK SPACE}"
    return f"{low} to {high}" if bounds.low else at_most + high


def _score_at(needed: AnnotationNeeded, reference: str) -> str:
    return f"the score that {reference} has with {percent(needed.reached)}"


def _over(needed: AnnotationNeeded) -> str:
    return "seeds and test tiles" if needed.over_tiles.is_known else "seeds, on these test tiles"


def _coarse(needed: AnnotationNeeded) -> str:
    """Which fraction to add, where more seeds could not tell more."""
    if math.isnan(needed.next_frac):
        return ""
    low, high = needed.bounds.low, needed.bounds.high
    nothing = f"between {percent(low)} and {percent(high)}" if low else f"below {percent(high)}"
    return (
        f" The study measured nothing {nothing}: only a fraction there, such as "
        f"{percent(needed.next_frac)}, can tell more for {percent(needed.reached)}."
    )


def _nothing_saved(
    last: AnnotationNeeded, family: Sequence[PairedDifference], variant: str, reference: str
) -> str:
    """Of the most annotations: that more are needed, or that nothing can be told and why."""
    if last.direction < 0:
        return (
            f"{variant} does not reach {_score_at(last, reference)} of the annotations: with as "
            "many it scores lower."
        )
    score = _score_at(last, reference)
    asked = f"Whether {variant} needs fewer annotations than {reference} for {score}"
    if not last.bounds.is_known:
        return (
            f"{asked} cannot be told from {counted(last.num, 'pair')} of seeds: an interval needs "
            f"{MIN_SEEDS}."
        )
    here = [one for one in family if one.label_frac == last.label_frac]
    if any(one.is_testable for one in here):
        why = f"no test shows {variant} to score higher there"
    else:
        why = f"{counted(last.num, 'pair')} of seeds are too few for the test that a claim needs"
    return f"{asked} cannot be told from these data: {why}. It may need {amount(last)}."
