"""What may be said of a study, computed from its data: warnings first, then the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.schema import MODELS, OPEN_STATUSES
from analysis.scores import SCORE_LABELS
from analysis.stats import CONFIDENCE, MIN_SEEDS, PairedDifference, variant_pairs
from analysis.trials import arms_of
from analysis.wording import counted, listed, percent, signed

if TYPE_CHECKING:
    import pandas as pd

    from analysis.load import StudyRecord

_LEVEL = percent(CONFIDENCE)


def warnings(record: StudyRecord, scores: pd.DataFrame) -> tuple[str, ...]:
    """What a reader must know before any finding; empty if nothing went wrong."""
    trials = record.trials
    confirm = trials[trials["phase"] == "confirm"]
    search = trials[trials["phase"] == "search"]
    finished = confirm[confirm["status"] == "finished"]
    found = []
    num_open = int(trials["status"].isin(OPEN_STATUSES).sum())
    if record.info.status == "stopped":
        found.append(
            "The study was stopped before its end, and the same command continues it: what "
            "follows is a reading in between."
        )
    elif record.info.status == "running":
        found.append("The study has not ended: what follows is a reading in between.")
    elif record.info.status == "failed":
        found.append("The study ended with failures: what follows may be incomplete.")
    if num_open:
        found.append(
            f"{_of(num_open, len(trials))} not ended (running, or interrupted): the study is not "
            "finished."
        )
    num_climbing = int((finished["converged"] == False).sum())  # noqa: E712
    if num_climbing:
        found.append(
            f"{_of(num_climbing, len(finished), 'confirmation trial')} not converged: validation "
            "still climbed when training stopped, so the scores measure training time too."
        )
    num_unknown = int(finished["converged"].isna().sum())
    if num_unknown:
        found.append(
            f"For {_of(num_unknown, len(finished), 'confirmation trial', verb=False)} it was not "
            "recorded whether training converged."
        )
    for rows, what in ((confirm, "confirmation trial"), (search, "search trial")):
        num_failed = int((rows["status"] == "failed").sum())
        if num_failed:
            found.append(f"{_of(num_failed, len(rows), what)} failed.")
    return (*found, *_short_arms(record, scores), *_budget_warnings(record))


def _of(num: int, total: int, what: str = "trial", *, verb: bool = True) -> str:
    ending = (" has" if num == 1 else " have") if verb else ""
    return f"{num} of {counted(total, what)}{ending}"


def _short_arms(record: StudyRecord, scores: pd.DataFrame) -> tuple[str, ...]:
    """Arms of an ended study with fewer confirmed seeds than were asked for."""
    asked = record.info.num_seeds_asked
    if asked is None or not record.info.has_ended:
        return ()
    short = []
    for frac, variant in arms_of(record.trials):
        num = int(((scores["variant"] == variant) & (scores["label_frac"] == frac)).sum())
        if num < asked:
            short.append(f"{MODELS[variant].label} at {percent(frac)} ({num} of {asked})")
    return (f"Fewer seeds than asked for: {listed(short)}.",) if short else ()


def _budget_warnings(record: StudyRecord) -> Iterator[str]:
    """Confirmed budgets that lack classes, or hold more than was asked for."""
    search_seed = (record.info.document.get("config") or {}).get("seed")
    confirmed = [one for one in record.info.budgets if one.seed != search_seed]
    for frac in sorted({one.label_frac for one in confirmed}):
        same = [one for one in confirmed if one.label_frac == frac]
        lacking = Counter(name for one in same for name in one.empty_classes)
        if lacking:
            names = listed([f"{name} ({num} of {len(same)})" for name, num in lacking.items()])
            yield (
                f"At {percent(frac)}, draws of the annotations hold not one pixel of {names}: no "
                "model can learn these classes from them."
            )
        if any(one.exceeds for one in same):
            reached = max(one.reached_frac for one in same)
            yield (
                f"At {percent(frac)}, a single unit of annotation exceeds what was asked for: up "
                f"to {percent(reached)} of the labels were used."
            )


def findings(scores: pd.DataFrame, differences: Sequence[PairedDifference]) -> tuple[str, ...]:
    """What a reader takes home, one text per pair of variants, no stronger than the data.

    Args:
        scores: As from `scores.score_trials`.
        differences: As from `stats.all_differences`, of one measure.

    Returns:
        Plain texts, at least one; says so where nothing can be said.
    """
    variants = [variant for variant in MODELS if (scores["variant"] == variant).any()]
    if not variants:
        return (
            "No trial has been confirmed on the test tiles yet, so there is nothing to report.",
        )
    if len(variants) == 1:
        label = MODELS[variants[0]].label
        return (
            f"Only {label} was confirmed on the test tiles: without the other model, nothing "
            "can be said about what reconstruction does.",
        )
    said = [
        _pair_finding(pair, [d for d in differences if (d.variant, d.reference) == pair])
        for pair in variant_pairs(scores)
    ]
    if "unet" not in variants:
        said.append(
            "U-Net was not confirmed on the test tiles: nothing can be said about what "
            "reconstruction does, only about what is reconstructed."
        )
    return tuple(said)


def _pair_finding(pair: tuple[str, str], differences: Sequence[PairedDifference]) -> str:
    variant, reference = (MODELS[name].label for name in pair)
    if not any(d.difference.num for d in differences):
        return (
            f"{reference} and {variant} share no seed at any annotation fraction: their "
            "differences cannot be paired, and nothing can be said about "
            + ("what reconstruction does." if pair[1] == "unet" else "which is better.")
        )
    label = SCORE_LABELS[differences[0].measure]
    with_interval = [d for d in differences if d.difference.num >= MIN_SEEDS]
    if not with_interval:
        paired = [d for d in differences if d.difference.num]
        seen = listed([f"{signed(d.difference.mean)} at {percent(d.label_frac)}" for d in paired])
        return (
            f"No difference can be shown: there are fewer than {MIN_SEEDS} paired seeds at every "
            f"annotation fraction, too few for an interval. Test {label}, {variant} minus "
            f"{reference}, came out {seen}."
        )
    few = [percent(d.label_frac) for d in differences if d.difference.num < MIN_SEEDS]
    return _with_intervals(with_interval, few, label, variant, reference)


def _with_intervals(
    known: Sequence[PairedDifference], few: Sequence[str], label: str, variant: str, reference: str
) -> str:
    higher = [_effect(d) for d in known if d.difference.low > 0.0]
    lower = [_effect(d) for d in known if d.difference.high < 0.0]
    open_fracs = [percent(d.label_frac) for d in known if not d.difference.excludes_zero]
    if not higher and not lower:
        at = _everywhere(len(known)) if not few else f"at {listed(open_fracs)}"
        text = (
            f"No difference can be shown: {at}, the {_LEVEL} interval of test {label}, {variant} "
            f"minus {reference}, covers 0 ({_extent(known)})."
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
    if few:
        text += f" At {listed(few)} there are fewer than {MIN_SEEDS} paired seeds."
    return text


def _everywhere(num_fracs: int) -> str:
    return "at every annotation fraction" if num_fracs > 1 else "at the one fraction measured"


def _effect(paired: PairedDifference) -> str:
    d = paired.difference
    interval = f"{_LEVEL} interval {signed(d.low)} to {signed(d.high)}"
    return f"{percent(paired.label_frac)} ({signed(d.mean)}, {interval})"


def _extent(known: Sequence[PairedDifference]) -> str:
    """The mean differences seen, smallest to largest, or the one with its interval."""
    if len(known) == 1:
        d = known[0].difference
        return f"mean difference {signed(d.mean)}, interval {signed(d.low)} to {signed(d.high)}"
    means = sorted(d.difference.mean for d in known)
    return f"mean differences from {signed(means[0])} to {signed(means[-1])}"
