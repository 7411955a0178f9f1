"""What validation costs in annotations, to stand beside what is saved of those of training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.wording import percent

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord
    from analysis.statistics.label_efficiency.shares import Shares


def validation_note(record: StudyRecord) -> str:
    """Which labels chose weights and settings, and what part of all annotations they are."""
    confirmed = record.trials[record.trials["phase"] == "confirm"]
    known = confirmed.dropna(subset=["with_val_frac", "val_annotated_px"])
    if known.empty:
        return (
            "Labels are shares of the training annotations; what the validation tiles cost is not "
            "on record, and comes on top."
        )
    all_px = (known["annotated_px"] + known["val_annotated_px"]) / known["with_val_frac"]
    part = (known["val_annotated_px"] / all_px).groupby(known["label_frac"]).mean()
    shown = list(dict.fromkeys(percent(one) for one in part))
    cost = shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"
    counted = (
        "of the validation tiles only annotated pixels choose weights and settings"
        if record.info.val_budgets
        else "at every fraction all labels of the validation tiles choose weights and settings"
    )
    return (
        f"With validation: {counted}, {cost} of all labels of training and validation tiles. "
        "Test tiles are never counted."
    )


def saving_with_validation(shares: Shares, needed: tuple[float, float], label_frac: float) -> str:
    """A saving of training annotations, told again with what validation costs.

    Args:
        shares: Of the study.
        needed: Bounds of the share of the training annotations that is needed; 0 for the smallest
            measured or less.
        label_frac: Fraction asked of the reference, whose score is reached.

    Returns:
        One sentence.
    """
    whole = shares.of(label_frac).with_val
    smallest = min((one.reached for one in shares.by_frac.values()), default=math.nan)
    low, high = (shares.with_validation(max(one, smallest)) for one in needed)
    if math.isnan(whole + low + high):
        return "What validation costs is not on record, and comes on top."
    bounds = list(dict.fromkeys(percent(one) for one in (low, high)))
    return (
        f"With the validation tiles, that is {' to '.join(bounds)} of all annotations instead of "
        f"{percent(whole)}."
    )
