"""The statistics as tables for readers: differences and annotations needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from analysis.findings.needed.needed_findings import bounds_text
from analysis.reading.styles import own_effect
from analysis.statistics.scores import SCORE_LABELS
from analysis.tables.answer.answer_tables import (
    curve_table,
    difference_table,
    interval_table,
    needed_table,
)
from analysis.tables.files.table_files import machine_rows
from analysis.tables.files.table_text import TextTable
from analysis.wording import MISSING, p_value, percent, share, signed
from contract.protocol.looks import level_text

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import PairedDifference
    from analysis.statistics.intervals import Interval


def answer_tables(scores: pd.DataFrame, answer: Answer) -> Iterator[TextTable]:
    """The tables that have a row; those of intervals and curves are for machines first.

    None while findings are closed.

    Args:
        scores: As from `scores.score_trials`.
        answer: As from `answer.answer_of`.
    """
    if answer.closed:
        return
    if not scores.empty:
        yield _plain("intervals", interval_table(scores, answer), "Scores and their intervals")
    if any(answer.differences.values()):
        yield _differences(answer)
    if answer.needed:
        yield _needed(answer)
    if answer.areas:
        yield _plain("curves", curve_table(answer), "Areas under the label-scarcity curves")


def _plain(stem: str, frame: pd.DataFrame, caption: str) -> TextTable:
    rows = machine_rows(frame)
    readable = [[cell or MISSING for cell in row] for row in rows]
    return TextTable(
        stem=stem, machine=rows, readable=readable, caption=caption, columns="l" * len(rows[0])
    )


def _differences(answer: Answer) -> TextTable:
    header = ["Labels", "Reached", "With validation", "Model", "Minus", "Pairs", "Difference"]
    header += ["95 % interval", "with other tiles", "p (adjusted)", "Higher in"]
    readable = [header]
    for one in answer.main_differences:
        readable.append(
            [
                *_labels(answer, one.label_frac),
                answer.styles[one.variant].label,
                _minus(answer, one),
                str(one.difference.num),
                signed(one.difference.mean),
                _bounds(one.difference),
                _bounds(one.over_tiles),
                _tested(one),
                f"{one.num_higher} of {one.num_untied}",
            ]
        )
    return TextTable(
        stem="differences",
        machine=machine_rows(difference_table(answer)),
        readable=readable,
        caption=f"Differences of test {SCORE_LABELS[answer.measure]}, paired by seed, tested at "
        f"the level {level_text(answer.level)}",
        columns="lrrll" + "r" * (len(header) - 5),
        bold=[(row, 6) for row, one in enumerate(answer.main_differences, 1) if one.is_shown],
    )


def _minus(answer: Answer, one: PairedDifference) -> str:
    """What is subtracted, and what the difference is called where that is a control."""
    effect = own_effect(answer.styles, (one.variant, one.reference))
    label = answer.styles[one.reference].label
    return f"{label} ({effect})" if effect else label


def _labels(answer: Answer, label_frac: float) -> list[str]:
    """What was asked for, what was reached, and what that is with validation."""
    one = answer.shares.of(label_frac)
    return [percent(label_frac), percent(one.reached), share(one.with_val)]


def _bounds(interval: Interval) -> str:
    return f"{signed(interval.low)} to {signed(interval.high)}" if interval.is_known else MISSING


def _tested(one: PairedDifference) -> str:
    return p_value(one.p_adjusted) if one.is_testable else f"needs {one.pairs_needed} pairs"


def _needed(answer: Answer) -> TextTable:
    several = len(answer.references) > 1
    header = ["Labels", "Reached", "With validation", "Model", *["Reference"] * several]
    header += ["Seeds", "Needs", "over seeds", "with other tiles"]
    readable = [header]
    for one in answer.needed:
        readable.append(
            [
                *_labels(answer, one.label_frac),
                answer.styles[one.variant].label,
                *[answer.styles[one.reference].label] * several,
                str(one.num),
                bounds_text(one.bounds),
                bounds_text(one.over_seeds),
                bounds_text(one.over_tiles),
            ]
        )
    label = SCORE_LABELS[answer.measure]
    return TextTable(
        stem="annotation_needed",
        machine=machine_rows(needed_table(answer)),
        readable=readable,
        caption=f"Labels needed for {answer.baseline_label}'s test {label}, between measured "
        "shares of the labels of all training tiles (95 % intervals)",
        columns="lrrl" + "l" * several + "rrrr",
        bold=[(row, 5 + several) for row, one in enumerate(answer.needed, 1) if answer.claims(one)],
    )
