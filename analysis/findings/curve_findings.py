"""What may be said of whole curves: the areas under them, and what lies beyond the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from analysis.reading.styles import own_effect
from analysis.statistics.intervals import CONFIDENCE, MIN_TILES, standard_deviation
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, listed, named, p_text, percent, score, signed
from contract.protocol.looks import level_text
from contract.protocol.power import AREA_SHARE, LEVEL, POWER, difference_found

if TYPE_CHECKING:
    from analysis.reading.styles import Styles
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import AreaDifference, Difference
    from analysis.statistics.intervals import Interval


def curve_heading(answer: Answer) -> str:
    """A heading for the label-scarcity curves, the difference of their areas; "" without one."""
    compared = [one for one in answer.area_differences if one.area.is_known]
    if not compared:
        return ""
    first, *others = compared[:2]
    label = SCORE_LABELS[answer.measure]
    said = [f"Averaged {_span(first)}, {_area_text(first, label, answer.styles)}"]
    for one in others:
        span = "" if _span(one) == _span(first) else f"{_span(one)}, "
        said.append(f"{span}{_area_text(one, label, answer.styles)}")
    return "; ".join(said)


def _span(one: AreaDifference) -> str:
    return f"from {percent(one.smallest)} to {percent(one.largest)} of the labels"


def _area_text(one: AreaDifference, label: str, styles: Styles) -> str:
    variant, reference = (styles[name].label for name in (one.variant, one.reference))
    effect = own_effect(styles, (one.variant, one.reference))
    effect = f"{effect}, " if effect else ""
    test = f", {p_text(one.p_adjusted)}" if one.is_testable else ""
    if test and one.level != LEVEL:
        test += f" to be held against {level_text(one.level)}"
    return (
        f"{effect}{variant} minus {reference} is {signed(one.area.mean)} {label} "
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
            f"Twice the labels would give a test {SCORE_LABELS[answer.measure]} of "
            f"{named(said)} ({percent(CONFIDENCE)} intervals over seeds), if a doubling brings "
            "no more than the ones before it did."
        )
        return told + "".join(f" For the rest nothing is said: {why}." for why in refused)
    return "".join(
        f"Nothing is said of more labels than were measured: {why}." for why in list(refused)[:1]
    )


def could_show(answer: Answer) -> str:
    """What the tests of this study could have shown, given the spread seen; '' without a test."""
    areas = [one for one in answer.area_differences if one.is_testable]
    tested = [one for one in answer.main_differences if one.is_testable]
    alone = answer.level * (1.0 - AREA_SHARE) if answer.has_areas else answer.level
    where = "at a single fraction alone" if answer.has_areas else "at the one fraction"
    places = (
        (areas, answer.level * AREA_SHARE, "over the whole curve"),
        (tested, alone, where),
    )
    found = [(_found(tests, level), place) for tests, level, place in places if tests]
    shown = [f"of {score(least)} {place}" for least, place in found if 0.0 < least < math.inf]
    said = [
        f"With the spread seen, {percent(POWER)} of such studies would show a difference "
        f"{' and one '.join(shown)}."
    ] * bool(shown)
    said += [
        f"No difference would be shown so often {place}, whatever its size."
        for least, place in found
        if math.isinf(least)
    ]
    if not found:
        return ""
    num = max(one.difference.num for one in (*areas, *tested))
    return " ".join(
        [
            *said,
            f"{counted(num, 'seed')} of an arm may by chance show no failure or collapse that "
            f"befalls up to {percent(round(1.0 - 0.05 ** (1.0 / num), 2))} of trials.",
        ]
    )


def _found(tests: Sequence[Difference], level: float) -> float:
    """The difference that would be found at the median spread of the tests, in units of the score.

    Infinity where so few seeds find none; 0 where no difference of a pair differs from another,
    so that nothing is known of its spread.
    """
    num = min(one.difference.num for one in tests)
    spread = median(standard_deviation(one.by_seed.values()) for one in tests)
    found = difference_found(num, len(tests), level)
    return found * spread if math.isfinite(found) else found


def rare_classes(answer: Answer) -> str:
    """Which scores have no interval over tiles, and why; '' where all that can have one do."""
    withheld = answer.resamples.withheld if answer.resamples else {}
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for measure, rare in withheld.items():
        if rare:
            by_classes.setdefault(rare, []).append(SCORE_LABELS[measure])
    return "; ".join(
        f"{listed(labels)}: {listed([name.replace('_', ' ') for name in rare])} "
        f"{'lies' if len(rare) == 1 else 'lie'} on so few test tiles, by worth {MIN_TILES - 1} or "
        "fewer, that these say nothing of others"
        for rare, labels in by_classes.items()
    )
