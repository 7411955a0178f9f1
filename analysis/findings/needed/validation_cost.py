"""What validation costs in annotations, to stand beside what is saved of those of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.wording import percent

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord
    from analysis.statistics.label_efficiency.shares import Shares


def validation_note(record: StudyRecord) -> str:
    """Which labels chose weights and settings, and what part of all labels they are."""
    confirmed = record.trials[record.trials["phase"] == "confirm"]
    known = confirmed.dropna(subset=["with_val_frac", "val_annotated_px"])
    if known.empty:
        return (
            "Labels are shares of those of the training tiles; what the validation tiles cost is "
            "not on record, and comes on top."
        )
    all_px = (known["annotated_px"] + known["val_annotated_px"]) / known["with_val_frac"]
    part = (known["val_annotated_px"] / all_px).groupby(known["label_frac"]).mean()
    cost = " to ".join(dict.fromkeys(percent(one) for one in (part.min(), part.max())))
    counted = (
        "of the validation tiles only annotated pixels choose weights and settings"
        if record.info.val_budgets
        else "at every fraction all labels of the validation tiles choose weights and settings"
    )
    return (
        f"With validation: {counted}, {cost} of all labels of training and validation tiles. "
        "Test tiles are never counted."
    )


def savings_with_validation(shares: Shares, savings: Sequence[tuple[float, float, float]]) -> str:
    """Savings of training annotations, told again with what validation costs.

    Args:
        shares: Of the study.
        savings: One or more, in the order in which they were told, as fractions asked: that with
            which the score is surely not reached (NaN where there is none), that with which it
            surely is, and that of the reference, whose score is reached.

    Returns:
        One sentence.
    """
    parts: list[str] = []
    for lowest, highest, own in savings:
        low, high, whole = (shares.of(one).with_val for one in (lowest, highest, own))
        if math.isnan(whole + high) or (math.isnan(low) and not math.isnan(lowest)):
            return "What validation costs is not on record, and comes on top."
        of_all = "" if parts else " of all labels"
        if percent(high) == percent(whole):  # less, as a test shows
            more = "" if math.isnan(low) else f"more than {percent(low)} but "
            parts.append(f"{more}less than {percent(whole)}{of_all}")
        elif math.isnan(low):
            parts.append(f"at most {percent(high)}{of_all} instead of {percent(whole)}")
        else:
            ends = " to ".join(dict.fromkeys(percent(one) for one in (low, high)))
            parts.append(f"{ends}{of_all} instead of {percent(whole)}")
    return f"With the validation tiles, that is {'; '.join(parts)}."
