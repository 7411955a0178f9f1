"""What a reader must know of a study before any finding, computed from its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from analysis.findings.learned import learning_warnings
from analysis.reading.looks import look_reached
from analysis.reading.planned import planned_arms
from analysis.reading.styles import arms_of
from analysis.wording import class_text, counted, listed, percent
from contract.names import OPEN_STATUSES
from contract.protocol.looks import repeated_text

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.budgets import BudgetInfo
    from analysis.reading.confusion import TrialConfusion
    from analysis.reading.sources.load import StudyRecord


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
    look = look_reached(record)
    if look.sentence and not look.is_closed:  # else it is the finding
        found.append(look.sentence)
    repeated = repeated_text(record.info.similar_studies, record.info.name)
    if repeated:
        found.append(f"{repeated}.")
    num_climbing = int((finished["converged"] == False).sum())  # noqa: E712
    if num_climbing:
        found.append(
            f"{_of(num_climbing, len(finished), 'confirmation trial')} not converged: validation "
            "was not flat in the last third of training, so the scores measure training time too."
        )
    num_unknown = int(finished["converged"].isna().sum())
    if num_unknown:
        found.append(
            f"For {_of(num_unknown, len(finished), 'confirmation trial', verb=False)} it was not "
            "recorded whether training converged."
        )
    found += learning_warnings(record)
    for rows, what in ((confirm, "confirmation trial"), (search, "search trial")):
        num_failed = int((rows["status"] == "failed").sum())
        if num_failed:
            found.append(f"{_of(num_failed, len(rows), what)} failed.")
    if len({_test_set(one) for one in record.confusions.values()}) > 1:
        found.append(
            "Trials were scored on different test tiles or references: their differences measure "
            "these too."
        )
    return (
        *found,
        *_short_arms(record, scores),
        *_budget_warnings(record),
        *_validation_warnings(record),
        *_data_notes(record),
    )


def _equal_budgets(record: StudyRecord, confirmed: Sequence[BudgetInfo]) -> Iterator[str]:
    """Fractions that are one arm, or should have been.

    What is one arm is settled by the seeds with which a study begins; with those that are added
    later the fractions left out are not drawn.
    """
    seeds = sorted({one.seed for one in confirmed})
    is_grown = any(not look.is_planned for look in record.info.looks)
    if is_grown:
        seeds = seeds[: max(look.seeds for look in record.info.looks if look.is_planned)]
    whose = " with the seeds that the study began with" if is_grown else ""
    for same in record.info.equal_budgets:
        reached = [
            one.reached_frac
            for one in confirmed
            if one.label_frac == same.kept and one.seed in seeds
        ]
        span = list(dict.fromkeys(percent(one) for one in (min(reached), max(reached))))
        yield (
            f"Asked for were {listed([percent(frac) for frac in same.asked])} of the labels, and "
            f"every draw of them{whose} is the same {' to '.join(span)}: they are one arm, named "
            f"{percent(same.kept)}."
        )
        tried = [percent(f) for f in same.left_out if (record.trials["label_frac"] == f).any()]
        if tried:
            yield (
                f"Trials at {listed(tried)} are compared with nothing: from those at "
                f"{percent(same.kept)} they differ by chance alone."
            )


def _validation_warnings(record: StudyRecord) -> Iterator[str]:
    """Validation budgets that lack classes: those of confirmation, then those of the search."""
    confirmed, tried = _by_phase(record, record.info.val_budgets)
    for draws, what, budgets in (
        ("budgets", "weights", confirmed),
        ("the search's budgets", "settings", tried),
    ):
        for frac, names in _lacking(budgets):
            yield (
                f"At {percent(frac)} of the validation tiles, {draws} hold not one pixel of "
                f"{names}: {what} were chosen without these classes."
            )


def _by_phase(
    record: StudyRecord, budgets: Sequence[BudgetInfo]
) -> tuple[list[BudgetInfo], list[BudgetInfo]]:
    """Budgets of the confirmation, and those of the search; none where nothing is searched."""
    seeds = record.info.search_seeds
    confirmed = [one for one in budgets if one.seed not in seeds]
    return confirmed, [one for one in budgets if one.seed in seeds] if record.searched else []


def _lacking(budgets: Sequence[BudgetInfo]) -> Iterator[tuple[float, str]]:
    """Fractions of whose budgets some lack classes, with the names of these and how often."""
    for frac in sorted({one.label_frac for one in budgets}):
        same = [one for one in budgets if one.label_frac == frac]
        lacking = Counter(name for one in same for name in one.empty_classes)
        if lacking:
            counts = [f"{class_text(name)} ({num} of {len(same)})" for name, num in lacking.items()]
            yield frac, listed(counts)


def _test_set(confusion: TrialConfusion) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names of the test tiles and reference pixels of every class on them."""
    return tuple(sorted((t.name, tuple(t.full.sum(axis=1).tolist())) for t in confusion.tiles))


def _of(num: int, total: int, what: str = "trial", *, verb: bool = True) -> str:
    ending = (" has" if num == 1 else " have") if verb else ""
    return f"{num} of {counted(total, what)}{ending}"


def _short_arms(record: StudyRecord, scores: pd.DataFrame) -> tuple[str, ...]:
    """Arms of an ended study with fewer confirmed seeds than were asked for."""
    asked = record.info.num_seeds_asked
    if asked is None or not record.info.has_ended:
        return ()
    short = []
    arms = arms_of([*record.arms, *planned_arms(record.info)], record.styles)
    for frac, variant in arms:
        num = int(((scores["variant"] == variant) & (scores["label_frac"] == frac)).sum())
        if num < asked:
            short.append(f"{record.styles[variant].label} at {percent(frac)} ({num} of {asked})")
    return (f"Fewer seeds than asked for: {listed(short)}.",) if short else ()


def _data_notes(record: StudyRecord) -> Iterator[str]:
    """What was odd about the files when they were read."""
    notes = (record.info.document.get("dataset") or {}).get("notes") or ()
    return (f"In the data: {note}." for note in notes)


def _budget_warnings(record: StudyRecord) -> Iterator[str]:
    """Budgets that are equal, lack classes, or hold more than was asked for."""
    confirmed, tried = _by_phase(record, record.info.budgets)
    yield from _equal_budgets(record, confirmed)
    for frac, names in _lacking(confirmed):
        yield (
            f"At {percent(frac)}, budgets hold not one pixel of {names}: no "
            "model can learn these classes from them."
        )
    for frac, names in _lacking(tried):
        yield (
            f"At {percent(frac)}, the search's budgets hold not one pixel of {names}: networks "
            "trained on them could not learn these classes, and settings were chosen by them."
        )
    for frac in sorted({one.label_frac for one in confirmed if one.exceeds}):
        reached = max(one.reached_frac for one in confirmed if one.label_frac == frac)
        yield (
            f"At {percent(frac)}, a single unit of the budget exceeds what was asked for: up "
            f"to {percent(reached)} of the labels were used."
        )
