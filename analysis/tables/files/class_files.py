"""Differences of each class's F1 as a table: for readers, for other programs, and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.reading.styles import against_baseline
from analysis.statistics.class_differences import ClassDifference
from analysis.tables.files.table_files import machine_rows
from analysis.tables.files.table_text import TextTable
from analysis.wording import MISSING, listed, signed

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord
    from analysis.reading.styles import Styles
    from analysis.statistics.label_efficiency.shares import Shares

CURVE = "whole curve"
"""Stands in place of a fraction where the area under the curves is compared."""

_OF_PAPER = {"clutter": ("clutter",), "cars": ("car", "cars")}
"""Classes that the paper speaks of, by its word, and how data sets name them."""


def class_rows(differences: Sequence[ClassDifference]) -> list[ClassDifference]:
    """By class in the data set's order, then by pair, then the whole curve and the fractions."""
    order = list(dict.fromkeys(one.class_name for one in differences))
    return sorted(differences, key=lambda one: order.index(one.class_name))


def class_differences_table(
    differences: Sequence[ClassDifference], styles: Styles, shares: Shares
) -> TextTable:
    """All of them.

    Args:
        differences: As from `class_differences.class_differences`, at least one.
        styles: Of the variants.
        shares: What their fractions reached.
    """
    rows = class_rows(differences)
    readable = [["Class", "Model", "Minus", "Labels", "Pairs", "F1 difference", "95 % interval"]]
    starts = []
    for one in rows:
        if one.class_name != readable[-1][0]:
            starts.append(len(readable))
        readable.append(
            [
                one.class_name,
                styles[one.variant].label,
                styles[one.reference].label,
                place_text(one, shares),
                str(one.difference.num),
                signed(one.difference.mean),
                bounds_text(one),
            ]
        )
    return TextTable(
        stem="class_differences",
        machine=machine_rows(_frame(rows)),
        readable=readable,
        caption="Differences of the F1 of each class, paired by seed; the intervals of a pair of "
        "models hold together",
        columns="lll" + "r" * 4,
        rule_before=starts[1:],
        bold=[(row, 5) for row, one in enumerate(rows, start=1) if one.is_clear],
    )


def _frame(rows: Sequence[ClassDifference]) -> pd.DataFrame:
    """As class, model, minus, label_frac (NaN: whole curve), num_pairs, difference, low, high."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "class": one.class_name,
                "model": one.variant,
                "minus": one.reference,
                "label_frac": one.label_frac,
                "num_pairs": one.difference.num,
                "difference": one.difference.mean,
                "low": one.difference.low,
                "high": one.difference.high,
            }
            for one in rows
        ]
    )


def place_text(one: ClassDifference, shares: Shares) -> str:
    """What the fraction reached, or that it is the whole curve."""
    return CURVE if math.isnan(one.label_frac) else shares.of(one.label_frac).text


def bounds_text(one: ClassDifference) -> str:
    """The simultaneous interval; MISSING without."""
    found = one.difference
    return f"{signed(found.low)} to {signed(found.high)}" if found.is_known else MISSING


def class_differences_finding(
    differences: Sequence[ClassDifference], styles: Styles, shares: Shares
) -> str:
    """Which intervals leave out 0, and how many there are."""
    known = [one for one in differences if one.difference.is_known]
    clear = [one for one in known if one.is_clear]
    if not known:
        return "Too few seeds for intervals"
    if not clear:
        whole = "The one interval holds" if len(known) == 1 else f"All {len(known)} intervals hold"
        return f"{whole} 0: no class is told apart"
    largest = sorted(clear, key=lambda one: -abs(one.difference.mean))[:3]
    parts = [
        f"{one.class_name.replace('_', ' ')} {signed(one.difference.mean)} for "
        f"{styles[one.variant].label} beside {styles[one.reference].label} "
        + (
            "over the whole curve"
            if math.isnan(one.label_frac)
            else f"at {shares.said(one.label_frac)}"
        )
        for one in largest
    ]
    most = " most, " if len(clear) > len(largest) else " "
    whole = f"{len(clear)} of {len(known)} intervals {'leaves' if len(clear) == 1 else 'leave'}"
    if len(known) == 1:
        whole = "The one interval leaves"
    return f"{whole} out 0:{most}{listed(parts)}"


def paper_claim(record: StudyRecord, differences: Sequence[ClassDifference], shares: Shares) -> str:
    """What this study says of the paper's claim about clutter and cars; "" without these classes.

    The paper has no repeats and measures full annotation only; so the largest fraction is shown.

    Args:
        record: The study.
        differences: As from `class_differences.class_differences`.
        shares: What the fractions reached.
    """
    parts = []
    for pair in dict.fromkeys((one.variant, one.reference) for one in differences):
        method = record.methods.get(record.styles[pair[0]].variant.method)
        if (
            method is None
            or method.unannotated != "reconstruction"
            or not against_baseline(record.styles, pair)
        ):
            continue
        of_pair = [
            one
            for one in differences
            if (one.variant, one.reference) == pair and not math.isnan(one.label_frac)
        ]
        largest = max(one.label_frac for one in of_pair)
        said = [
            f"{_interval_text(one)} on {word}"
            for word, names in _OF_PAPER.items()
            for one in of_pair
            if one.label_frac == largest and one.class_name.lower() in names
        ]
        if said:
            variant, reference = (record.styles[name].label for name in pair)
            parts.append(
                f"Here {variant} minus {reference} is {listed(said)} with {shares.said(largest)} "
                "of the labels."
            )
    if not parts:
        return ""
    found = "find reconstruction better on clutter and worse on cars, in one run."
    return " ".join([f"Papadomanolaki et al. (2019) {found}", *parts])


def _interval_text(one: ClassDifference) -> str:
    mean = f"{signed(one.difference.mean)} F1"
    if not one.difference.is_known:
        return f"{mean} (too few seeds for an interval)"
    clear = "" if one.is_clear else ": not told from 0"
    return f"{mean} ({bounds_text(one)}{clear})"
