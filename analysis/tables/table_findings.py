"""What a table shows, in one descriptive sentence each, for its heading; nothing is tested here."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from analysis.tables.confusion.confusion_differences import ConfusionDifference
from analysis.tables.confusion.confusion_tables import ConfusionTable
from analysis.wording import class_text, listed, named, percent, score, signed

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.styles import Styles

_SAME = 0.0005
"""Differences below it read 0.000."""
_NAMED_APART = 3
"""Most models that a heading names one by one, and most things that it says of them."""


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
    if len(ends) > _NAMED_APART:
        return _of_many(frame, ends, ranges)
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


def _of_many(
    frame: pd.DataFrame,
    ends: Mapping[str, Sequence[Sequence[float]]],
    ranges: Collection[tuple[float, float]],
) -> str:
    """Between what the means of many models lie, at both ends where all have the same ones."""
    firsts, lasts = ([one[place][1] for one in ends.values()] for place in (0, 1))
    if len(ranges) > 1:
        between = _between([*firsts, *lasts])
        return f"Mean F1 of {len(ends)} models lies {between}, whatever their share of the labels"
    ((low, high),) = ranges
    if low == high:
        at = _reached(frame, low)
        return f"With {at} of the labels, mean F1 of {len(ends)} models lies {_between(firsts)}"
    return (
        f"From {_reached(frame, low)} to {_reached(frame, high)} of the labels, mean F1 of "
        f"{len(ends)} models goes from {_between(firsts)} to {_between(lasts)}"
    )


def _between(values: Sequence[float]) -> str:
    ends = dict.fromkeys(score(end) for end in (min(values), max(values)))
    return f"between {' and '.join(ends)}" if len(ends) == 2 else f"at {next(iter(ends))}"


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
    all_shares = frame["rec_l1"] / frame["rec_l1_constant"]
    if (num_models := frame["model"].nunique()) > _NAMED_APART:
        return (
            f"L1 of the reconstruction, one colour being {percent(1.0)}: "
            f"{_ends(all_shares.tolist(), percent)} for {num_models} models"
        )
    for variant, rows in frame.groupby("model", sort=False):
        shares = all_shares[rows.index]
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

    A class without reference pixels has no recall, and is neither: nothing of it could be found.

    Args:
        frame: As from `comparison.per_class`.
        styles: Of the variants.
    """
    ends: dict[tuple[str, str], list[tuple[str, float, float]]] = {}
    measured = frame.dropna(subset=["f1", "recall"])
    for variant, rows in measured.groupby("model", sort=False):
        ranked = rows.sort_values("f1", kind="stable")
        (worst, low), (best, high) = ranked.iloc[[0, -1]][["class", "f1"]].to_numpy().tolist()
        ends.setdefault((best, worst), []).append((styles[str(variant)].label, high, low))
    num_models = measured["model"].nunique()
    parts = []
    for (best, worst), of in _largest(ends):
        labels, highs, lows = (list(values) for values in zip(*of, strict=True))
        maps = "maps" if len(of) == 1 else "map"
        text = f"{_models(labels, num_models)} {maps} {class_text(best)} best (F1 {_ends(highs)})"
        parts.append(
            text if best == worst else f"{text} and {class_text(worst)} worst ({_ends(lows)})"
        )
    return _sentence(parts, len(ends))


def confusion_finding(tables: Iterable[ConfusionTable], styles: Styles) -> str:
    """Say for each table which class is most often taken for which other one.

    Args:
        tables: One per variant, such as `confusion_tables.largest_of`.
        styles: Of the variants.

    Returns:
        One sentence; "" where nothing was confused.
    """
    mistakes: dict[tuple[str, str], list[tuple[str, float]]] = {}
    num_models = 0
    for table in tables:
        num_models += 1
        shares = np.nan_to_num(table.normalised)
        np.fill_diagonal(shares, 0.0)
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        share = float(shares[row, column])
        if share >= _SAME:
            names = (table.classes[row], table.classes[column])
            mistakes.setdefault(names, []).append((styles[table.variant].label, share))
    parts = []
    for (reference, called), of in _largest(mistakes):
        text = f"of {class_text(reference)} pixels are called {class_text(called)} by"
        if len(of) > _NAMED_APART:
            labels, found = (list(values) for values in zip(*of, strict=True))
            parts.append(f"{_ends(found, percent)} {text} {_models(labels, num_models)}")
        else:
            (label, share), *others = of
            more = [f"{percent(one)} by {of_other}" for of_other, one in others]
            parts.append(", ".join([f"{percent(share)} {text} {label}", *more]))
    return _sentence(parts, len(mistakes))


_Found = TypeVar("_Found")


def _largest(
    groups: Mapping[tuple[str, str], list[_Found]],
) -> list[tuple[tuple[str, str], list[_Found]]]:
    """The groups that hold most models, no more than a heading has room for."""
    return sorted(groups.items(), key=lambda one: -len(one[1]))[:_NAMED_APART]


def _models(labels: Sequence[str], num_models: int) -> str:
    """The models by name, or how many they are where these are too many names."""
    if len(labels) == 1 or num_models <= _NAMED_APART:
        return named(labels)
    return f"{'all' if len(labels) == num_models else f'{len(labels)} of'} {num_models} models"


def _ends(values: Sequence[float], written: Callable[[float], str] = score) -> str:
    """The smallest to the largest, or one number where both read the same."""
    return " to ".join(dict.fromkeys(written(end) for end in (min(values), max(values))))


def _sentence(parts: Sequence[str], num_parts: int) -> str:
    """The parts as one sentence; says so where some are left out."""
    text = "; ".join([*parts, *["other models differ"] * (num_parts > len(parts))])
    return text[:1].upper() + text[1:]


def difference_finding(table: ConfusionDifference, styles: Styles) -> str:
    """The classes whose F1 differs most, described and not tested.

    Args:
        table: One of `confusion_differences.confusion_differences`.
        styles: Of the variants.
    """
    variant = styles[table.variant].label
    known = [
        (value, class_text(name))
        for name, value, row in zip(table.classes, table.f1.tolist(), table.normalised, strict=True)
        if not (math.isnan(value) or np.isnan(row).all())  # a class without reference pixels
    ]
    if not known:
        return "No class has an F1 on both sides"
    high, low = max(known, key=lambda one: one[0]), min(known, key=lambda one: one[0])
    most, least = (f"{name} ({signed(value)})" for value, name in (high, low))
    if max(abs(high[0]), abs(low[0])) < _SAME:
        return f"{variant} and {styles[table.reference].label} have the same F1 on every class"
    if len(known) == 1:
        return f"{variant}: F1 {'up' if high[0] > 0 else 'down'} on {most}"
    if low[0] >= _SAME:
        return f"{variant}: F1 up on every class, most on {most}, least on {least}"
    if high[0] <= -_SAME:
        return f"{variant}: F1 down on every class, most on {least}, least on {most}"
    if high[0] < _SAME:
        return f"{variant}: F1 up on no class, down most on {least}"
    if low[0] > -_SAME:
        return f"{variant}: F1 up most on {most}, down on no class"
    return f"{variant}: F1 up most on {most}, down most on {least}"


def _range(changes: Iterable[float]) -> str:
    """Smallest to largest change, signed, or the one there is; "" without any."""
    known = sorted(change for change in changes if not math.isnan(change))
    if not known:
        return ""
    low, high = signed(known[0]), signed(known[-1])
    return low if low == high else f"{low} to {high}"
