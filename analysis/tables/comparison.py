"""The tables of a study: comparison of the arms, scores of the classes."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.reading.compared import StudyParameter
from analysis.reading.planned import planned_arms
from analysis.reading.styles import arms_of
from analysis.statistics.intervals import standard_deviation, t_interval
from analysis.statistics.scores import SCORE_LABELS, score_confusion
from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    all_confusion_tables,
    largest_of,
)
from analysis.tables.published import is_vaihingen, published_oa, published_scores
from analysis.tables.remarks import CLOSED, arm_remarks
from analysis.wording import mean_and_sd, percent
from contract.names import arm_name
from contract.terminal import writable

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

__all__ = [
    "ConfusionTable",
    "arm_scores",
    "comparison",
    "comparison_text",
    "confusion_tables",
    "per_class",
]

_MAIN_SCORES = ("mean_f1", "oa", "miou")

PER_CLASS_SCORES = ("precision", "recall", "f1", "iou")

SHARES = ("reached_frac_mean", "val_reached_frac_mean", "with_val_frac_mean")
"""Columns of what was annotated: of the training tiles, of the validation tiles, of both."""

FOR_READERS = ("short_label", "remarks")
"""Columns of a comparison that no CSV file has."""

_TEXT_WIDTH, _MIN_REMARKS = 100, 16
"""Columns of a terminal, and of its last column where there are remarks."""


def comparison(record: StudyRecord, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per arm on record or asked for, also where confirmation failed or nothing began.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.

    Returns:
        Columns model (the variant), label_frac, num_seeds (with test scores), num_failed and
        num_not_converged (confirmation trials); for each score of SCORE_LABELS `<score>_mean` and
        `<score>_sd` over seeds, and, where the study has an eroded reference,
        `<score>_eroded_mean` and `<score>_eroded_sd`; oa_published (of the paper, at full
        annotation) where the data are ISPRS Vaihingen; the record's settings (w1, lr and what else
        was searched; NaN or "" where trials differ), reached_frac_mean (annotated / labelled pixels
        of the training tiles), val_reached_frac_mean (of the validation tiles), with_val_frac_mean
        (of both together), short_label (of the variant), remarks (as from
        `remarks.arm_remarks`). OA and kappa count all classes, whatever the means leave out. NaN
        where nothing was measured; sd is NaN for one seed. Rows
        by label_frac, then variant in the order of the record.

    Raises:
        StudyDataError: If the configuration on record asks for arms that cannot be.
    """
    import pandas as pd

    eroded = _eroded_scores(record)
    arms = arms_of([*record.arms, *planned_arms(record.info)], record.styles)
    rows = [_comparison_row(record, scores, eroded, variant, frac) for frac, variant in arms]
    if rows:
        return pd.DataFrame(rows)
    names = [f"{score}_{what}" for score in SCORE_LABELS for what in ("mean", "sd")]
    lead = ["model", "label_frac", "num_seeds", "num_failed", "num_not_converged"]
    return pd.DataFrame(columns=[*lead, *names, "w1", "lr", *SHARES, *FOR_READERS], dtype="float64")


def arm_scores(frame: pd.DataFrame) -> dict[str, float]:
    """The main mean scores by measure and arm, such as `mean_f1/NAME-f0.10`; none is NaN.

    Args:
        frame: As from `comparison`.
    """
    return {
        f"{score}/{arm_name(row['model'], row['label_frac'])}": row[f"{score}_mean"]
        for score in _MAIN_SCORES
        for row in frame.to_dict("records")
        if not math.isnan(row[f"{score}_mean"])
    }


def without_findings(frame: pd.DataFrame) -> pd.DataFrame:
    """A comparison as it may be read between looks: means and counts, and a remark that says so.

    Args:
        frame: As from `comparison`.

    Returns:
        The same without standard deviations.
    """
    read = frame.copy()
    read[[name for name in frame.columns if name.endswith("_sd")]] = math.nan
    measured = read["num_seeds"] > 0
    read.loc[measured, "remarks"] = [
        f"{text}, {CLOSED}" if text else CLOSED for text in read.loc[measured, "remarks"]
    ]
    return read


def _comparison_row(
    record: StudyRecord,
    scores: pd.DataFrame,
    eroded: Mapping[str, Mapping[str, float]],
    variant: str,
    frac: float,
) -> dict[str, Any]:
    trials = record.trials
    arm = trials[(trials["variant"] == variant) & (trials["label_frac"] == frac)]
    confirmed = arm[arm["phase"] == "confirm"]
    measured = scores[(scores["variant"] == variant) & (scores["label_frac"] == frac)]
    row: dict[str, Any] = {
        "model": variant,
        "label_frac": frac,
        "num_seeds": len(measured),
        "num_failed": int((confirmed["status"] == "failed").sum()),
        "num_not_converged": int((confirmed["converged"] == False).sum()),  # noqa: E712
    }
    for score in SCORE_LABELS:
        row |= _mean_and_sd(score, measured[score])
    if eroded:
        of_arm = [eroded[key] for key in measured["trial_key"] if key in eroded]
        for score in SCORE_LABELS:
            row |= _mean_and_sd(f"{score}_eroded", [one[score] for one in of_arm])
    if is_vaihingen(record.info):
        method = record.styles[variant].variant.method
        row["oa_published"] = published_oa(method) if frac == 1.0 else math.nan
    row |= {one.name: _shared_value(one, confirmed[one.name]) for one in record.settings}
    for name in SHARES:
        row[name] = t_interval(confirmed[name.removesuffix("_mean")]).mean
    row["short_label"] = record.styles[variant].variant.short_label
    row["remarks"] = arm_remarks(arm, len(measured))
    return row


def _mean_and_sd(score: str, values: Iterable[float]) -> dict[str, float]:
    sample = list(values)
    return {
        f"{score}_mean": t_interval(sample).mean,
        f"{score}_sd": standard_deviation(sample),
    }


def _eroded_scores(record: StudyRecord) -> dict[str, dict[str, float]]:
    """All scores against the eroded reference by trial_key; trials without one are left out."""
    pooled = {key: confusion.pooled_eroded() for key, confusion in record.confusions.items()}
    return {
        key: score_confusion(
            counts, record.confusions[key].classes, record.confusions[key].exclude_from_mean
        )
        for key, counts in pooled.items()
        if counts is not None
    }


def _shared_value(parameter: StudyParameter, values: pd.Series[Any]) -> float | str:
    """The one value that all have; NaN or "" if there is none or they differ."""
    distinct = set(values.dropna()) - {""}
    if len(distinct) != 1:
        return math.nan if parameter.is_number else ""
    return float(distinct.pop()) if parameter.is_number else str(distinct.pop())


def setting_names(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns of a comparison that are settings: from w1 to before the shares."""
    names = list(frame.columns)
    return tuple(names[names.index("w1") : names.index(SHARES[0])])


def confusion_tables(record: StudyRecord, scores: pd.DataFrame) -> tuple[ConfusionTable, ...]:
    """Per variant, its confusion at the largest fraction it was confirmed at.

    Returns:
        In the order of the record; variants without a confirmed trial are left out.
    """
    return largest_of(all_confusion_tables(record, scores), record.styles)


def per_class(tables: Iterable[ConfusionTable], record: StudyRecord) -> pd.DataFrame:
    """Precision, recall, F1 and IoU of each class, measured and, where there are any, published.

    Args:
        tables: One per variant, such as `confusion_tables`; from counts.
        record: The study.

    Returns:
        Columns class, model (the variant), label_frac, num_seeds, precision, recall, f1, iou
        (pixels pooled over seeds and test tiles, full reference), and, if the data are ISPRS
        Vaihingen, precision_published, recall_published, f1_published (the paper's, at full
        annotation; it gives no IoU). NaN where undefined. Rows by class in the data set's order,
        then as tables.
    """
    import pandas as pd

    rows = []
    shown = tuple(tables)
    of_paper = {
        table.variant: published_scores(
            record.info, record.styles[table.variant].variant.method, table.classes
        )
        for table in shown
    }
    names = dict.fromkeys(name for one in of_paper.values() for name in one)
    for position, table in enumerate(shown):
        values = {"precision": table.precision, "recall": table.recall, "f1": table.f1}
        # F1 = 2 TP / (2 TP + FP + FN), so IoU = TP / (TP + FP + FN) follows from it
        values["iou"] = table.f1 / (2.0 - table.f1)
        missing = np.full(len(table.classes), np.nan)
        values |= {
            f"{name}_published": of_paper[table.variant].get(name, missing) for name in names
        }
        for index, name in enumerate(table.classes):
            row: dict[str, Any] = {
                "class": name,
                "model": table.variant,
                "label_frac": table.label_frac,
                "num_seeds": len(table.seeds),
            }
            row |= {score: float(column[index]) for score, column in values.items()}
            rows.append(((index, position), row))
    ordered = [row for _, row in sorted(rows, key=lambda one: one[0])]
    columns = [*("class", "model", "label_frac", "num_seeds"), *PER_CLASS_SCORES]
    return pd.DataFrame(ordered, columns=list(ordered[0]) if ordered else columns)


def comparison_text(frame: pd.DataFrame) -> str:
    """The comparison for a terminal: aligned, at most 100 columns, scores as mean ± sd.

    Its characters are such that standard output can write. Long names and remarks take several
    lines.

    Args:
        frame: As from `comparison`.
    """
    header = ["label_frac", "model", "seeds", "OA", "mean F1", "mean IoU", "remarks"]
    rows = [
        [
            percent(row["label_frac"]),
            row["short_label"],
            str(row["num_seeds"]),
            *(mean_and_sd(row[f"{s}_mean"], row[f"{s}_sd"]) for s in ("oa", "mean_f1", "miou")),
            row["remarks"],
        ]
        for row in frame.to_dict("records")
    ]
    if not rows:
        return "No trial has been recorded yet."
    encoding = getattr(sys.stdout, "encoding", None)  # None where it is closed
    rows = [[writable(cell, encoding) for cell in row] for row in rows]
    rule = writable("─", encoding)
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    for column, least in ((1, min(widths[-1], _MIN_REMARKS)), (-1, 0)):
        others = sum(widths) - widths[-1] - (widths[1] if column == 1 else 0)
        room = _TEXT_WIDTH - others - 2 * (len(widths) - 1) - least
        widths[column] = min(widths[column], room)
    lines = []
    for row in [header, [rule * width for width in widths], *rows]:
        wrapped = [textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            line = zip(parts, widths, strict=True)
            lines.append("  ".join(cell.ljust(width) for cell, width in line).rstrip())
    return "\n".join([*lines, *textwrap.wrap(_shares_text(frame), _TEXT_WIDTH)])


def _shares_text(frame: pd.DataFrame) -> str:
    """What the fractions asked reached, and what they are with validation; "" if not on record."""
    reached = frame.groupby("label_frac")[list(SHARES)].mean().dropna(subset=[SHARES[0]])
    parts = []
    for frac, alone, _, together in reached.itertuples():
        with_val = "" if math.isnan(together) else f" ({percent(together)} with validation)"
        parts.append(f"{percent(alone)}{with_val} at {percent(frac)}")
    return f"reached: {'; '.join(parts)}" if parts else ""
