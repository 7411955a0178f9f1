"""Confusion matrices of the confirmation trials -> one row of test scores per trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.reading.confusion import Confusion
from contract.measures import (
    Counts,
    Values,
    class_mean,
    f1_per_class,
    has_reference,
    iou_per_class,
    kappa,
    overall_accuracy,
)
from contract.names import ANNOTATION_MINUTES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.load import StudyRecord

SCORE_LABELS: dict[str, str] = {
    "oa": "OA",
    "mean_f1": "mean F1",
    "miou": "mean IoU",
    "kappa": "kappa",
    "mean_f1_all": "mean F1, all classes",
    "miou_all": "mean IoU, all classes",
}
"""Scores of a trial and how a reader sees them named; `_all` ignores exclude_from_mean."""

ERODED_SCORES = ("oa", "mean_f1", "miou")
"""Scores also given against the eroded reference, as `<score>_eroded`."""


def score_counts(
    score: str, counts: Counts, classes: tuple[str, ...], exclude: tuple[str, ...]
) -> Values:
    """One score of pooled confusion matrices.

    Args:
        score: Key of SCORE_LABELS.
        counts: Pixel counts (..., K, K) of all tiles; rows reference, columns prediction. Means
            are over the classes that have reference pixels in them.
        classes: Names of the K classes.
        exclude: Classes left out of mean_f1 and miou, but not of OA and kappa.

    Returns:
        (...); NaN where undefined.
    """
    match score:
        case "oa":
            return overall_accuracy(counts)
        case "kappa":
            return kappa(counts)
        case "mean_f1" | "mean_f1_all":
            per_class = f1_per_class(counts)
        case "miou" | "miou_all":
            per_class = iou_per_class(counts)
        case _:
            raise ValueError(f"score must be one of {list(SCORE_LABELS)}, got {score!r}")
    left_out = () if score.endswith("_all") else exclude
    return class_mean(per_class, has_reference(counts), classes, left_out)


def score_confusion(
    confusion: Confusion, classes: tuple[str, ...], exclude: tuple[str, ...]
) -> dict[str, float]:
    """All scores of one pooled confusion matrix (K, K), by key of SCORE_LABELS."""
    return {name: float(score_counts(name, confusion, classes, exclude)) for name in SCORE_LABELS}


def score_trials(record: StudyRecord) -> pd.DataFrame:
    """Test scores of every trial with a confusion matrix, pooled over its test tiles.

    Returns:
        Columns trial_key, variant, label_frac (as asked), seed, reached_frac (annotated / labelled
        pixels of the training tiles), with_val_frac (the same of training and validation tiles
        together; both NaN where a study has not recorded it), annotation_minutes (what annotating
        the budget takes; NaN for a study without prices), the keys of SCORE_LABELS and
        `<score>_eroded` of ERODED_SCORES (NaN without an eroded reference); rows by label_frac,
        then variant in the order of the record, then seed. Empty, with its columns, before any
        trial is confirmed.
    """
    import pandas as pd

    known = ["trial_key", "variant", "label_frac", "seed", "reached_frac", "with_val_frac"]
    known.append(ANNOTATION_MINUTES)
    columns = [*known, *SCORE_LABELS]
    columns += [f"{score}_eroded" for score in ERODED_SCORES]
    rows = []
    for trial in record.trials.to_dict("records"):
        confusion = record.confusions.get(trial["trial_key"])
        if confusion is None:
            continue
        row: dict[str, Any] = {c: trial[c] for c in known}
        row |= score_confusion(confusion.pooled(), confusion.classes, confusion.exclude_from_mean)
        eroded = confusion.pooled_eroded()
        eroded_scores = (
            dict.fromkeys(SCORE_LABELS, math.nan)
            if eroded is None
            else score_confusion(eroded, confusion.classes, confusion.exclude_from_mean)
        )
        row |= {f"{score}_eroded": eroded_scores[score] for score in ERODED_SCORES}
        rows.append(row)
    order = list(record.styles)
    rows.sort(key=lambda row: (row["label_frac"], order.index(row["variant"]), row["seed"]))
    return pd.DataFrame(rows, columns=columns)


def absent_classes(record: StudyRecord) -> tuple[str, ...]:
    """Classes without a reference pixel on the test tiles: no mean counts them, of any trial."""
    present = [has_reference(one.pooled()) for one in record.confusions.values()]
    classes = next((one.classes for one in record.confusions.values()), ())
    if not present:
        return ()
    return tuple(
        name for name, known in zip(classes, np.all(present, axis=0), strict=True) if not known
    )
