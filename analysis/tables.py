"""The tables of a study: comparison of the arms, confusion per variant."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.confusion import Confusion
from analysis.measures import f1_per_class, precision_per_class, recall_per_class, row_normalised
from analysis.remarks import arm_remarks
from analysis.schema import MODELS
from analysis.scores import ERODED_SCORES
from analysis.stats import standard_deviation, t_interval
from analysis.trials import arms_of
from analysis.wording import mean_and_sd, percent

if TYPE_CHECKING:
    import pandas as pd

    from analysis.load import StudyRecord

SPREAD_SCORES = ("oa", "mean_f1", "miou", "kappa")
"""Scores that the comparison gives with their standard deviation over seeds."""

ALL_CLASS_SCORES = ("mean_f1_all", "miou_all")

_TEXT_WIDTH = 100
"""Columns of a terminal."""


def comparison(record: StudyRecord, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per arm, also for arms whose confirmation failed or never began.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.

    Returns:
        Columns model (the variant), label_frac, num_seeds (with test scores), num_failed and
        num_not_converged (confirmation trials), `<score>_mean` and `<score>_sd` over seeds,
        `mean_f1_all_mean`, `miou_all_mean`, `<score>_eroded_mean` where the study has an eroded
        reference, w1, lr, reached_frac_mean, remarks (as from `remarks.arm_remarks`). NaN where
        nothing was measured; sd is NaN for one seed. Rows by label_frac, then variant in the
        order of MODELS.
    """
    import pandas as pd

    has_eroded = any(scores[f"{score}_eroded"].notna().any() for score in ERODED_SCORES)
    rows = [
        _comparison_row(record.trials, scores, variant, frac, has_eroded)
        for frac, variant in arms_of(record.trials)
    ]
    columns = list(_comparison_row(record.trials, scores, "", math.nan, has_eroded))
    return pd.DataFrame(rows, columns=columns)


def _comparison_row(
    trials: pd.DataFrame, scores: pd.DataFrame, variant: str, frac: float, has_eroded: bool
) -> dict[str, Any]:
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
    for score in SPREAD_SCORES:
        row[f"{score}_mean"] = t_interval(measured[score]).mean
        row[f"{score}_sd"] = standard_deviation(measured[score])
    for score in ALL_CLASS_SCORES:
        row[f"{score}_mean"] = t_interval(measured[score]).mean
    for score in ERODED_SCORES if has_eroded else ():
        row[f"{score}_eroded_mean"] = t_interval(measured[f"{score}_eroded"]).mean
    row["w1"] = _shared_value(confirmed["w1"])
    row["lr"] = _shared_value(confirmed["lr"])
    row["reached_frac_mean"] = t_interval(confirmed["reached_frac"]).mean
    row["remarks"] = arm_remarks(arm, len(measured))
    return row


def _shared_value(values: Iterable[float]) -> float:
    """The one value that all have; NaN if there is none or they differ."""
    distinct = {float(v) for v in values if not math.isnan(v)}
    return distinct.pop() if len(distinct) == 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class ConfusionTable:
    """One variant at one annotation fraction, laid out as tables 1 and 2 of the paper."""

    variant: str
    label_frac: float
    seeds: tuple[int, ...]
    num_tiles: int
    classes: tuple[str, ...]
    counts: Confusion
    """Summed over seeds and test tiles, (K, K), int64; rows reference, columns prediction."""
    normalised: NDArray[np.float64]
    """Row-normalised, (K, K), in [0, 1]; NaN rows for classes without reference pixels."""
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def summary_rows(self) -> tuple[tuple[str, NDArray[np.float64]], ...]:
        """The three rows below the matrix, named as in the paper."""
        return (
            ("Precision/Correctness", self.precision),
            ("Recall/Completeness", self.recall),
            ("F1", self.f1),
        )


def confusion_tables(record: StudyRecord, scores: pd.DataFrame) -> tuple[ConfusionTable, ...]:
    """Per variant, its confusion at the largest fraction it was confirmed at.

    Returns:
        In the order of MODELS; variants without a confirmed trial are left out.
    """
    tables = []
    for variant in MODELS:
        measured = scores[scores["variant"] == variant]
        if measured.empty:
            continue
        frac = float(measured["label_frac"].max())
        largest = measured[measured["label_frac"] == frac]
        confusions = [record.confusions[key] for key in largest["trial_key"]]
        counts: Confusion = np.stack([c.pooled() for c in confusions]).sum(axis=0)
        tables.append(
            ConfusionTable(
                variant=variant,
                label_frac=frac,
                seeds=tuple(int(seed) for seed in largest["seed"]),
                num_tiles=len(confusions[0].tiles),
                classes=confusions[0].classes,
                counts=counts,
                normalised=row_normalised(counts),
                precision=precision_per_class(counts),
                recall=recall_per_class(counts),
                f1=f1_per_class(counts),
            )
        )
    return tuple(tables)


def comparison_text(frame: pd.DataFrame) -> str:
    """The comparison for a terminal: aligned, at most 100 columns, scores as mean ± sd.

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
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    widths[-1] = min(widths[-1], _TEXT_WIDTH - sum(width + 2 for width in widths[:-1]))
    lines = []
    for *cells, remarks in [header, ["─" * width for width in widths], *rows]:
        for part in textwrap.wrap(remarks, widths[-1]) or [""]:
            line = zip([*cells, part], widths, strict=True)
            lines.append("  ".join(cell.ljust(width) for cell, width in line).rstrip())
            cells = [""] * len(cells)
    return "\n".join(lines)
