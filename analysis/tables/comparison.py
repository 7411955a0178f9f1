"""The tables of a study: comparison of the arms, scores of the classes."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from analysis.reading.planned import planned_arms
from analysis.reading.schema import MODELS, StudyInfo
from analysis.reading.trials import arms_of
from analysis.statistics.scores import SCORE_LABELS, score_confusion
from analysis.statistics.stats import standard_deviation, t_interval
from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    all_confusion_tables,
    largest_of,
)
from analysis.tables.published import PUBLISHED, is_vaihingen, published_scores
from analysis.tables.remarks import arm_remarks
from analysis.wording import mean_and_sd, percent
from contract.terminal import writable

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

__all__ = ["ConfusionTable", "comparison", "comparison_text", "confusion_tables", "per_class"]

PER_CLASS_SCORES = ("precision", "recall", "f1", "iou")

_TEXT_WIDTH = 100
"""Columns of a terminal."""


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
        annotation) where the data are ISPRS Vaihingen; w1, lr, reached_frac_mean, remarks (as
        from `remarks.arm_remarks`). OA and kappa count all classes, whatever the means leave out.
        NaN where nothing was measured; sd is NaN for one seed. Rows by label_frac, then variant
        in the order of MODELS.

    Raises:
        StudyDataError: If the configuration on record asks for arms that cannot be.
    """
    import pandas as pd

    eroded = _eroded_scores(record)
    arms = sorted(
        {*arms_of(record.trials), *planned_arms(record.info)},
        key=lambda arm: (arm[0], list(MODELS).index(arm[1])),
    )
    rows = [_comparison_row(record, scores, eroded, variant, frac) for frac, variant in arms]
    columns = list(_comparison_row(record, scores, eroded, "unet", math.nan))
    return pd.DataFrame(rows, columns=columns)


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
        published = PUBLISHED[MODELS[variant].network]
        row["oa_published"] = published.oa if frac == 1.0 else math.nan
    row["w1"] = _shared_value(confirmed["w1"])
    row["lr"] = _shared_value(confirmed["lr"])
    row["reached_frac_mean"] = t_interval(confirmed["reached_frac"]).mean
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


def _shared_value(values: Iterable[float]) -> float:
    """The one value that all have; NaN if there is none or they differ."""
    distinct = {float(v) for v in values if not math.isnan(v)}
    return distinct.pop() if len(distinct) == 1 else math.nan


def confusion_tables(record: StudyRecord, scores: pd.DataFrame) -> tuple[ConfusionTable, ...]:
    """Per variant, its confusion at the largest fraction it was confirmed at.

    Returns:
        In the order of MODELS; variants without a confirmed trial are left out.
    """
    return largest_of(all_confusion_tables(record, scores))


def per_class(tables: Iterable[ConfusionTable], info: StudyInfo) -> pd.DataFrame:
    """Precision, recall, F1 and IoU of each class, measured and, where there are any, published.

    Args:
        tables: One per variant, such as `confusion_tables`; from counts.
        info: The study.

    Returns:
        Columns class, model (the variant), label_frac, num_seeds, precision, recall, f1, iou
        (pixels pooled over seeds and test tiles, full reference), and, if the data are ISPRS
        Vaihingen, precision_published, recall_published, f1_published (the paper's, at full
        annotation; it gives no IoU). NaN where undefined. Rows by class in the data set's order,
        then as tables.
    """
    import pandas as pd

    rows = []
    for position, table in enumerate(tables):
        values = {"precision": table.precision, "recall": table.recall, "f1": table.f1}
        # F1 = 2 TP / (2 TP + FP + FN), so IoU = TP / (TP + FP + FN) follows from it
        values["iou"] = table.f1 / (2.0 - table.f1)
        published = published_scores(info, table.variant, table.classes) or {}
        values |= {f"{name}_published": column for name, column in published.items()}
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

    Its characters are such that standard output can write.

    Args:
        frame: As from `comparison`.
    """
    header = ["label_frac", "model", "seeds", "OA", "mean F1", "mean IoU", "remarks"]
    rows = [
        [
            percent(row["label_frac"]),
            MODELS[row["model"]].short_label,
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
    widths[-1] = min(widths[-1], _TEXT_WIDTH - sum(width + 2 for width in widths[:-1]))
    lines = []
    for *cells, remarks in [header, [rule * width for width in widths], *rows]:
        for part in textwrap.wrap(remarks, widths[-1]) or [""]:
            line = zip([*cells, part], widths, strict=True)
            lines.append("  ".join(cell.ljust(width) for cell, width in line).rstrip())
            cells = [""] * len(cells)
    return "\n".join(lines)
