"""What may be said of a study, no stronger than its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.needed_findings import annotation_finding
from analysis.reading.styles import against_baseline
from analysis.statistics.answer import RECONSTRUCTION
from analysis.statistics.intervals import CONFIDENCE
from analysis.statistics.scores import SCORE_LABELS
from analysis.wording import counted, listed, p_text, percent, signed
from contract.methods import METHODS

if TYPE_CHECKING:
    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference

_LEVEL = percent(CONFIDENCE)


def findings(answer: Answer) -> tuple[str, ...]:
    """What a reader takes home: annotations saved first, then the differences in score.

    Returns:
        Plain texts, at least one; says so where nothing can be said.
    """
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
    for pair in [(one.variant, one.reference) for one in answer.area_differences]:
        family = [d for d in answer.main_differences if (d.variant, d.reference) == pair]
        said += annotation_finding(answer, pair, family)
        said.append(_difference_finding(answer, pair, family))
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


def _difference_finding(
    answer: Answer, pair: tuple[str, str], family: Sequence[PairedDifference]
) -> str:
    variant, reference = (answer.styles[name].label for name in pair)
    paired = [d for d in family if d.difference.num]
    if not paired and any(d.num_shared for d in family):
        return (
            f"Test {SCORE_LABELS[family[0].measure]} of {variant} or {reference} is not defined in "
            "any pair of seeds: nothing can be said about their difference."
        )
    if not paired:
        return (
            f"{reference} and {variant} share no seed at any annotation fraction: their "
            "differences cannot be paired, and nothing can be said about "
            + (
                f"{answer.question}."
                if against_baseline(answer.styles, pair)
                else "which is better."
            )
        )
    label = SCORE_LABELS[paired[0].measure]
    if not any(d.is_testable for d in paired):
        return _untestable(paired, f"test {label}, {variant} minus {reference}")
    higher = [_effect(d) for d in paired if d.is_shown and d.difference.mean > 0.0]
    lower = [_effect(d) for d in paired if d.is_shown and d.difference.mean < 0.0]
    open_fracs = [percent(d.label_frac) for d in paired if d.is_testable and not d.is_shown]
    if not higher and not lower:
        text = (
            f"No difference can be shown {_everywhere(open_fracs, paired)} in test {label}, "
            f"{variant} minus {reference} ({_extent(paired)})."
        )
    else:
        parts = [
            f"{variant} scores {what} than {reference} in test {label} at {listed(effects)}"
            for what, effects in (("higher", higher), ("lower", lower))
            if effects
        ]
        text = "; ".join(parts) + "."
        if open_fracs:
            text += f" At {listed(open_fracs)} no difference can be shown."
        elsewhere = [percent(d.label_frac) for d in paired if d.is_shown and _is_local(d)]
        if elsewhere:
            text += (
                f" At {listed(elsewhere)} that holds for these test tiles: the interval for others "
                "of their kind covers 0."
            )
    few = [percent(d.label_frac) for d in paired if not d.is_testable]
    if few:
        needs = paired[0].pairs_needed
        text += f" At {listed(few)} there are fewer than {needs} paired seeds, too few for a test."
    return text


def _is_local(paired: PairedDifference) -> bool:
    return paired.over_tiles.is_known and paired.over_tiles.low <= 0.0 <= paired.over_tiles.high


def _untestable(paired: Sequence[PairedDifference], what: str) -> str:
    most = max(d.difference.num for d in paired)
    seen = listed([f"{signed(d.difference.mean)} at {percent(d.label_frac)}" for d in paired])
    return (
        f"No difference can be shown by {counted(most, 'paired seed')}, whatever the scores: "
        f"tests of this study need {paired[0].pairs_needed}. Seen in {what}: {seen}."
    )


def _everywhere(open_fracs: Sequence[str], paired: Sequence[PairedDifference]) -> str:
    if len(open_fracs) < len(paired):
        return f"at {listed(open_fracs)}"
    return "at any annotation fraction" if len(paired) > 1 else "at the one fraction measured"


def _effect(paired: PairedDifference) -> str:
    d = paired.difference
    interval = f"{_LEVEL} interval {signed(d.low)} to {signed(d.high)}"
    return f"{percent(paired.label_frac)} ({signed(d.mean)}, {interval}, p {p_text(paired.p_holm)})"


def _extent(paired: Sequence[PairedDifference]) -> str:
    """The mean differences seen, smallest to largest, or the one with its interval."""
    if len(paired) == 1:
        d = paired[0].difference
        return f"mean difference {signed(d.mean)}, interval {signed(d.low)} to {signed(d.high)}"
    means = sorted(d.difference.mean for d in paired)
    return f"mean differences from {signed(means[0])} to {signed(means[-1])}"
