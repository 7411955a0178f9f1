"""The tables of a study: comparison of the arms, confusion per model, search results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.measures import f1_per_class, precision_per_class, recall_per_class, row_normalised
from analysis.schema import MODELS, Confusion
from analysis.scores import ERODED_SCORES
from analysis.stats import standard_deviation, t_interval
from analysis.wording import mean_and_sd, percent

if TYPE_CHECKING:
    import pandas as pd

    from analysis.load import StudyRecord

SPREAD_SCORES = ("oa", "mean_f1", "miou", "kappa")
"""Scores that the comparison gives with their standard deviation over seeds."""

ALL_CLASS_SCORES = ("mean_f1_all", "miou_all")


def comparison(record: StudyRecord, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per arm, also for arms without any confirmed trial.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.

    Returns:
        Columns model, label_frac, num_seeds (with test scores), num_failed and
        num_not_converged (confirmation trials), `<score>_mean` and `<score>_sd` over seeds,
        `mean_f1_all_mean`, `miou_all_mean`, `<score>_eroded_mean` where the study has an eroded
        reference, w1, lr, reached_frac_mean. NaN where nothing was measured; sd is NaN for one
        seed. Rows by label_frac, then model in the order of MODELS.
    """
    import pandas as pd

    has_eroded = any(scores[f"{score}_eroded"].notna().any() for score in ERODED_SCORES)
    rows = [
        _comparison_row(record.trials, scores, model, frac, has_eroded)
        for frac, model in _arms(record.trials)
    ]
    columns = list(_comparison_row(record.trials, scores, "", math.nan, has_eroded))
    return pd.DataFrame(rows, columns=columns)


def _arms(trials: pd.DataFrame) -> list[tuple[float, str]]:
    order = list(MODELS)
    pairs = set(zip(trials["label_frac"], trials["model"], strict=True))
    return sorted(pairs, key=lambda pair: (pair[0], order.index(pair[1])))


def _comparison_row(
    trials: pd.DataFrame, scores: pd.DataFrame, model: str, frac: float, has_eroded: bool
) -> dict[str, Any]:
    arm = trials[(trials["model"] == model) & (trials["label_frac"] == frac)]
    confirmed = arm[arm["phase"] == "confirm"]
    measured = scores[(scores["model"] == model) & (scores["label_frac"] == frac)]
    row: dict[str, Any] = {
        "model": model,
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
    return row


def _shared_value(values: Iterable[float]) -> float:
    """The one value that all have; NaN if there is none or they differ."""
    distinct = {float(v) for v in values if not math.isnan(v)}
    return distinct.pop() if len(distinct) == 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class ConfusionTable:
    """One model at one annotation fraction, laid out as tables 1 and 2 of the paper."""

    model: str
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
    """Per model, its confusion at the largest fraction it was confirmed at.

    Returns:
        In the order of MODELS; models without a confirmed trial are left out.
    """
    tables = []
    for model in MODELS:
        measured = scores[scores["model"] == model]
        if measured.empty:
            continue
        frac = float(measured["label_frac"].max())
        largest = measured[measured["label_frac"] == frac]
        confusions = [record.confusions[key] for key in largest["trial_key"]]
        counts: Confusion = np.stack([c.pooled() for c in confusions]).sum(axis=0)
        tables.append(
            ConfusionTable(
                model=model,
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


def search_results(record: StudyRecord) -> pd.DataFrame:
    """The best search trial of each arm by validation score.

    Returns:
        Columns model, label_frac, num_trials, num_failed, w1, lr, select_mean_f1 (validation,
        never test); NaN for an arm without a finished search trial. Rows as in `comparison`.
    """
    import pandas as pd

    columns = ["model", "label_frac", "num_trials", "num_failed", "w1", "lr", "select_mean_f1"]
    searched = record.trials[record.trials["phase"] == "search"]
    rows = []
    for frac, model in _arms(searched):
        arm = searched[(searched["model"] == model) & (searched["label_frac"] == frac)]
        ranked = arm[arm["status"] == "finished"].dropna(subset=["select_mean_f1"])
        ranked = ranked.sort_values(["select_mean_f1", "trial_key"], ascending=[False, True])
        best = (
            dict.fromkeys(("w1", "lr", "select_mean_f1"), math.nan)
            if ranked.empty
            else ranked.iloc[0].to_dict()
        )
        rows.append(
            {
                "model": model,
                "label_frac": frac,
                "num_trials": len(arm),
                "num_failed": int((arm["status"] == "failed").sum()),
                **{name: best[name] for name in ("w1", "lr", "select_mean_f1")},
            }
        )
    return pd.DataFrame(rows, columns=columns)


def comparison_text(frame: pd.DataFrame) -> str:
    """The comparison for a terminal: aligned, at most 100 columns, scores as mean ± sd.

    Args:
        frame: As from `comparison`.
    """
    header = ["label_frac", "model", "seeds", "OA", "mean F1", "mean IoU", "remarks"]
    rows = []
    for row in frame.to_dict("records"):
        counted = (("failed", row["num_failed"]), ("not converged", row["num_not_converged"]))
        remarks = ", ".join(f"{num} {what}" for what, num in counted if num)
        cells = [percent(row["label_frac"]), MODELS[row["model"]].label, str(row["num_seeds"])]
        cells += [
            mean_and_sd(row[f"{score}_mean"], row[f"{score}_sd"])
            for score in ("oa", "mean_f1", "miou")
        ]
        rows.append([*cells, remarks])
    if not rows:
        return "No trial has been recorded yet."
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    rule = ["─" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [header, rule, *rows]
    )
