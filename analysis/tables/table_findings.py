"""What a table shows, in one descriptive sentence each, for its heading; nothing is tested here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from analysis.tables.confusion.confusion_differences import ConfusionDifference
from analysis.tables.confusion.confusion_tables import ConfusionTable
from analysis.wording import listed, percent, score, signed

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.styles import Styles

_SAME = 0.0005
"""Differences below it read 0.000."""


def comparison_finding(frame: pd.DataFrame, styles: Styles) -> str:
    """Mean F1 of each variant at its smallest and its largest fraction, told as it was reached.

    Args:
        frame: As from `comparison.comparison`.
        styles: Of the variants, in order.
    """
    measured = frame.dropna(subset=["mean_f1_mean"])
    ends = {}
    for variant in styles:
        arms = measured[measured["model"] == variant].sort_values("label_frac")
        if not arms.empty:
            ends[variant] = arms.iloc[[0, -1]][["label_frac", "mean_f1_mean"]].to_numpy().tolist()
    if not ends:
        return "No arm has test scores yet"
    ranges = {(low, high) for (low, _), (high, _) in ends.values()}
    if len(ranges) > 1:
        parts = []
        for variant, ((low, first), (high, last)) in ends.items():
            end = "" if low == high else f" to {score(last)} at {_reached(frame, high)}"
            parts.append(f"{styles[variant].label} {score(first)} at {_reached(frame, low)}{end}")
        return f"Mean F1 by share of the labels: {', '.join(parts)}"
    ((low, high),) = ranges
    if low == high:
        parts = [f"{score(first)} for {styles[v].label}" for v, ((_, first), _) in ends.items()]
        return f"With {_reached(frame, low)} of the labels, mean F1 is {listed(parts)}"
    parts = [
        f"from {score(first)} to {score(last)} for {styles[variant].label}"
        for variant, ((_, first), (_, last)) in ends.items()
    ]
    span = f"From {_reached(frame, low)} to {_reached(frame, high)}"
    return f"{span} of the labels, mean F1 goes {listed(parts)}"


def _reached(frame: pd.DataFrame, label_frac: float) -> str:
    """What a fraction reached, mean over its arms; what was asked for where it is not recorded."""
    reached = frame.loc[frame["label_frac"] == label_frac, "reached_frac_mean"].mean()
    return percent(label_frac if math.isnan(reached) else float(reached))


def reconstruction_finding(frame: pd.DataFrame, styles: Styles) -> str:
    """The L1 of what each variant reconstructs, as a share of that of one constant colour.

    Args:
        frame: As from `learned.reconstruction_by_arm`.
        styles: Of the variants.
    """
    parts = []
    for variant, rows in frame.groupby("model", sort=False):
        shares = rows["rec_l1"] / rows["rec_l1_constant"]
        ends = dict.fromkeys(percent(end) for end in (shares.min(), shares.max()))
        parts.append(f"{' to '.join(ends)} for {styles[str(variant)].label}")
    return (
        f"L1 of the reconstruction, one colour being {percent(1.0)}: {listed(parts)}"
        if parts
        else ""
    )


def otherwise_finding(frame: pd.DataFrame, has_excluded: bool) -> str:
    """By how much other ways of counting change the scores; "" where there are none.

    Args:
        frame: As from `comparison.comparison`.
        has_excluded: Whether the means leave classes out.
    """
    parts = []
    if has_excluded:
        change = _range(frame["mean_f1_all_mean"] - frame["mean_f1_mean"])
        parts += [f"with every class in it, mean F1 changes by {change}"] if change else []
    if "oa_eroded_mean" in frame.columns:
        change = _range(frame["oa_eroded_mean"] - frame["oa_mean"])
        parts += [f"against the eroded reference, OA changes by {change}"] if change else []
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def per_class_finding(frame: pd.DataFrame, styles: Styles) -> str:
    """The classes of the highest and the lowest F1 of each variant.

    Args:
        frame: As from `comparison.per_class`.
        styles: Of the variants.
    """
    parts = []
    for variant, rows in frame.dropna(subset=["f1"]).groupby("model", sort=False):
        ranked = rows.sort_values("f1", kind="stable")
        low, high = ranked.iloc[0], ranked.iloc[-1]
        text = f"{styles[str(variant)].label} {_class(high)}"
        parts.append(text if len(ranked) == 1 else f"{text} to {_class(low)}")
    return f"F1 from the best to the worst class: {'; '.join(parts)}" if parts else ""


def confusion_finding(tables: Iterable[ConfusionTable], styles: Styles) -> str:
    """Say for each table which class is most often taken for which other one.

    Args:
        tables: One per variant, such as `confusion_tables.largest_of`.
        styles: Of the variants.

    Returns:
        One sentence; "" where nothing was confused.
    """
    parts = []
    for table in tables:
        shares = np.nan_to_num(table.normalised)
        np.fill_diagonal(shares, 0.0)
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        share = float(shares[row, column])
        if share >= _SAME:
            taken, wrongly = (table.classes[i].replace("_", " ") for i in (row, column))
            of = styles[table.variant].label
            parts.append(f"{taken} for {wrongly} by {of} ({score(share)})")
    return f"Taken most often: {', '.join(parts)}" if parts else ""


def difference_finding(table: ConfusionDifference, styles: Styles) -> str:
    """The classes whose F1 differs most, described and not tested.

    Args:
        table: One of `confusion_differences.confusion_differences`.
        styles: Of the variants.
    """
    variant = styles[table.variant].label
    known = [
        (value, name.replace("_", " "))
        for name, value in zip(table.classes, table.f1.tolist(), strict=True)
        if not math.isnan(value)
    ]
    if not known:
        return "No class has an F1 on both sides"
    high, low = max(known, key=lambda one: one[0]), min(known, key=lambda one: one[0])
    most, least = (f"{name} ({signed(value)} F1)" for value, name in (high, low))
    if max(abs(high[0]), abs(low[0])) < _SAME:
        return f"{variant} and {styles[table.reference].label} have the same F1 on every class"
    if len(known) == 1:
        return f"{variant} {'gains' if high[0] > 0 else 'loses'} on {most}"
    if low[0] >= _SAME:
        return f"{variant} gains on every class, most on {most}, least on {least}"
    if high[0] <= -_SAME:
        return f"{variant} loses on every class, most on {least}, least on {most}"
    if high[0] < _SAME:
        return f"{variant} gains on no class, loses most on {least}"
    if low[0] > -_SAME:
        return f"{variant} gains most on {most}, loses on no class"
    return f"{variant} gains most on {most}, loses most on {least}"


def _class(row: pd.Series[float]) -> str:
    return f"{str(row['class']).replace('_', ' ')} ({score(float(row['f1']))})"


def _range(changes: Iterable[float]) -> str:
    """Smallest to largest change, signed, or the one there is; "" without any."""
    known = sorted(change for change in changes if not math.isnan(change))
    if not known:
        return ""
    low, high = signed(known[0]), signed(known[-1])
    return low if low == high else f"{low} to {high}"
