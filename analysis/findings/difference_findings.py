"""What may be said of the difference between two variants, no stronger than its data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.reading.styles import against_baseline, own_effect
from analysis.statistics.claims.failures import COLLAPSE_DROP, COLLAPSE_MADS
from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, listed, p_text, percent, score, signed

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.claims.failures import ArmLosses
    from analysis.statistics.differences import AreaDifference, Difference, PairedDifference
    from analysis.statistics.label_efficiency.shares import Shares

_LEVEL = percent(CONFIDENCE)
_WORDS = {1: "higher", -1: "lower"}


def difference_finding(
    answer: Answer,
    pair: tuple[str, str],
    area: AreaDifference,
    family: Sequence[PairedDifference],
) -> str:
    """One text: the whole curve first, then single fractions, then what failed and collapsed.

    Args:
        answer: The statistics.
        pair: The variant and what it is compared with.
        area: Their difference over the whole curve.
        family: Their differences at single fractions, of the score that findings rest on.
    """
    variant, reference = (answer.styles[name].label for name in pair)
    paired = [d for d in family if d.difference.num]
    if not paired and any(d.num_shared for d in family):
        return (
            f"Test {SCORE_LABELS[family[0].measure]} of {variant} or {reference} is not defined in "
            "any pair of seeds: nothing can be said about their difference."
        )
    if not paired:
        return (
            f"{reference} and {variant} share no seed at any share of the labels: their "
            "differences cannot be paired, and nothing can be said about "
            + (
                f"{answer.question}."
                if against_baseline(answer.styles, pair)
                else "which is better."
            )
        )
    parts: list[str] = []
    if any(d.is_testable for d in paired):
        names = (variant, reference, SCORE_LABELS[answer.measure])
        if len(paired) > 1:
            parts.append(_curve(answer, area, *names))
        parts += _fractions(answer, pair, paired, *names)
    else:
        what = f"test {SCORE_LABELS[answer.measure]}, {variant} minus {reference}"
        parts.append(_untestable(answer, area, paired, what))
    effect = own_effect(answer.styles, pair)
    if effect:
        parts[0] = f"{effect[0].upper()}{effect[1:]}, {variant} beside its control: {parts[0]}"
    return " ".join([*parts, *_lost(answer, pair)])


def _curve(answer: Answer, area: AreaDifference, variant: str, reference: str, label: str) -> str:
    """What is said of the area under the curves."""
    if not area.is_testable:
        return (
            "No difference over the whole curve can be tested: it needs "
            f"{area.pairs_needed} seeds with scores of both models at every fraction, there are "
            f"{area.difference.num}."
        )
    span = f"over {percent(area.smallest)} to {percent(area.largest)} of the labels"
    if area.is_shown:
        word = _WORDS[area.direction]
        return (
            f"{variant} scores {word} than {reference} in test {label} {span}: "
            f"{signed(area.area.mean)} on average ({_interval(area)}, "
            f"{p_text(area.p_adjusted)}), {word} in {_draws(area)}."
        )
    if area.is_disputed:
        return f"{_against(area, variant, reference, label)} {span}: no difference is claimed."
    return (
        f"No difference in test {label} can be shown {span}, {variant} minus {reference}: "
        f"{signed(area.area.mean)} on average ({_interval(area)})."
    )


def _fractions(
    answer: Answer,
    pair: tuple[str, str],
    paired: Sequence[PairedDifference],
    variant: str,
    reference: str,
    label: str,
) -> Iterator[str]:
    """What is said of single fractions."""
    shown = [
        f"{variant} scores {_WORDS[sign]} than {reference} in test {label} at {listed(effects)}"
        for sign in (1, -1)
        if (effects := [_effect(answer, d) for d in paired if d.direction == sign])
    ]
    disputed = [d for d in paired if d.is_disputed]
    open_fracs = [
        answer.shares.said(d.label_frac)
        for d in paired
        if d.is_testable and not d.is_shown and not d.is_disputed
    ]
    if shown:
        yield "; ".join(shown) + "."
    for one in disputed:
        yield (
            f"{_against(one, variant, reference, label)} at {answer.shares.said(one.label_frac)}: "
            "no difference is claimed there."
        )
    if open_fracs and (shown or disputed):
        yield f"At {listed(open_fracs)} no difference can be shown."
    elif open_fracs:
        yield (
            f"No difference can be shown {_everywhere(open_fracs, paired)} in test {label}, "
            f"{variant} minus {reference} ({_extent(paired)})."
        )
    elsewhere = [answer.shares.said(d.label_frac) for d in paired if d.is_shown and _is_local(d)]
    if elsewhere:
        yield (
            f"At {listed(elsewhere)} that holds for these test tiles: the interval for others of "
            "their kind covers 0."
        )
    few = [answer.shares.said(d.label_frac) for d in paired if not d.is_testable]
    if few:
        needs = paired[0].pairs_needed
        yield f"At {listed(few)} there are fewer than {needs} paired seeds, too few for a test."


def _against(one: Difference, variant: str, reference: str, label: str) -> str:
    """What a test shows, and what speaks against saying so."""
    mean = one.difference.mean
    said = [f"{signed(mean)} on average", f"higher in {_draws(one, 1)}"]
    if one.worst_mean != mean or one.p_worst > one.level:
        untold = "" if one.p_worst <= one.level else ", which no test shows"
        said.append(
            f"{signed(one.worst_mean)} with failed trials as the worst of their arms{untold}"
        )
    if one.is_outweighed:
        better = variant if mean > 0.0 else reference
        said.append(
            f"but failures and collapses as {better} had could cost it up to "
            f"{score(one.unseen_loss)} on average"
        )
    return (
        f"The data do not agree on {variant} minus {reference} in test {label} ({', '.join(said)})"
    )


def _lost(answer: Answer, pair: tuple[str, str]) -> Iterator[str]:
    """Which trials of either variant failed or collapsed."""
    any_failed = False
    for name in pair:
        arms = sorted(
            (one for one in answer.losses.values() if one.variant == name),
            key=lambda one: one.label_frac,
        )
        failed, collapsed = (
            _places([(one, getattr(one, what)) for one in arms], answer.shares)
            for what in ("num_failed", "num_collapsed")
        )
        parts = [f"{failed[0]} failed ({failed[1]})"] if failed else []
        parts += [f"{collapsed[0]} collapsed ({collapsed[1]})"] if collapsed else []
        if parts:
            total = sum(one.num_trials for one in arms)
            trials = counted(total, "confirmation trial")
            yield f"Of {trials} of {answer.styles[name].label}, {listed(parts)}."
        any_failed |= bool(failed)
    if any_failed:
        yield (
            "A difference is shown only where it also is with failed trials as the worst of their "
            "arms."
        )
    if any(one.num_collapsed for one in answer.losses.values() if one.variant in pair):
        yield (
            f"Collapsed: more than {COLLAPSE_DROP:g} and {COLLAPSE_MADS:g} median absolute "
            "deviations below the median of the arm."
        )


def _places(counts: Sequence[tuple[ArmLosses, int]], shares: Shares) -> tuple[int, str] | None:
    """How many in all, and where; None without any."""
    found = [f"{num} at {shares.said(arm.label_frac)}" for arm, num in counts if num]
    return (sum(num for _, num in counts), listed(found)) if found else None


def _is_local(paired: PairedDifference) -> bool:
    return paired.over_tiles.is_known and paired.over_tiles.low <= 0.0 <= paired.over_tiles.high


def _untestable(
    answer: Answer, area: AreaDifference, paired: Sequence[PairedDifference], what: str
) -> str:
    needed = area if answer.has_areas else paired[0]
    most = max(d.difference.num for d in paired)
    seen = listed(
        [f"{signed(d.difference.mean)} at {answer.shares.said(d.label_frac)}" for d in paired]
    )
    return (
        f"No difference can be shown by {counted(most, 'paired seed')}, whatever the scores: "
        f"tests of this study need {needed.pairs_needed}. Seen in {what}: {seen}."
    )


def _everywhere(open_fracs: Sequence[str], paired: Sequence[PairedDifference]) -> str:
    if len(open_fracs) < len(paired):
        return f"at {listed(open_fracs)}"
    return "at any share of the labels" if len(paired) > 1 else "at the one fraction measured"


def _draws(one: Difference, direction: int = 0) -> str:
    """Such as '8 of 9 draws': in how many the variant scores higher, or lower if it does so."""
    is_lower = (direction or one.direction) < 0
    num = one.num_untied - one.num_higher if is_lower else one.num_higher
    return f"{num} of {counted(one.difference.num, 'draw')}"


def _effect(answer: Answer, paired: PairedDifference) -> str:
    return (
        f"{answer.shares.said(paired.label_frac)} ({signed(paired.difference.mean)}, "
        f"{_interval(paired)}, in {_draws(paired)}, {p_text(paired.p_adjusted)})"
    )


def _interval(one: Difference) -> str:
    return f"{_LEVEL} interval {signed(one.difference.low)} to {signed(one.difference.high)}"


def _extent(paired: Sequence[PairedDifference]) -> str:
    """The mean differences seen, smallest to largest, or the one with its interval."""
    if len(paired) == 1:
        d = paired[0].difference
        return f"mean difference {signed(d.mean)}, interval {signed(d.low)} to {signed(d.high)}"
    means = sorted(d.difference.mean for d in paired if not math.isnan(d.difference.mean))
    return f"mean differences from {signed(means[0])} to {signed(means[-1])}"
