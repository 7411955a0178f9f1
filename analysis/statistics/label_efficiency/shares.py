"""What annotation fractions really are: the share reached, alone and with validation."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.wording import percent
from contract.names import ANNOTATION_MINUTES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Share:
    """What the budgets of one fraction asked reached, mean over seeds."""

    label_frac: float
    """Asked for: the name of the arms."""
    reached: float
    """Annotated / labelled pixels of the training tiles; the fraction asked where it is not on
    record."""
    with_val: float
    """The same of training and validation tiles together; NaN where it is not on record."""
    minutes: float = math.nan
    """Minutes that annotating the training tiles takes, mean over seeds; NaN for a study without
    prices."""

    @property
    def differs(self) -> bool:
        """Whether a reader sees another number than the one asked for."""
        return percent(self.reached) != percent(self.label_frac)

    @property
    def text(self) -> str:
        """Such as "10 %", or "9.6 % (10 % asked for)"."""
        if not self.differs:
            return percent(self.reached)
        return f"{percent(self.reached)} ({percent(self.label_frac)} asked for)"


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The shares of a study, by fraction asked, ascending."""

    by_frac: Mapping[float, Share] = field(default_factory=dict)

    def of(self, label_frac: float) -> Share:
        """The share of a fraction asked; of one without scores, what was asked for."""
        unknown = Share(label_frac=label_frac, reached=label_frac, with_val=math.nan)
        return self.by_frac.get(label_frac, unknown)

    def reached(self, label_frac: float) -> float:
        """Mean share of the training annotations that was reached."""
        return self.of(label_frac).reached

    def said(self, label_frac: float) -> str:
        """What a fraction asked reached, in words, such as "9.6 %"."""
        return percent(self.reached(label_frac))


ASKED = Shares()
"""Where nothing is known of what was reached, it is what was asked for."""


def shares_of(scores: pd.DataFrame) -> Shares:
    """The shares of all fractions that have scores.

    Args:
        scores: As from `scores.score_trials`; older ones have neither `reached_frac` nor
            `with_val_frac`.

    Returns:
        Means over seeds, each of which counts once, whatever variants it has, and so does each of
        several budgets of a seed.
    """
    columns = ("reached_frac", "with_val_frac", ANNOTATION_MINUTES)
    recorded = [name for name in columns if name in scores.columns]
    found = {}
    for frac, rows in scores.groupby("label_frac"):
        means: dict[Hashable, Any] = (
            rows.groupby("seed")[recorded].agg(_mean_of_budgets).mean().to_dict()
            if recorded
            else {}
        )
        asked = float(frac)  # type: ignore[arg-type]
        reached = float(means.get("reached_frac", math.nan))
        found[asked] = Share(
            label_frac=asked,
            reached=asked if math.isnan(reached) else reached,
            with_val=float(means.get("with_val_frac", math.nan)),
            minutes=float(means.get(ANNOTATION_MINUTES, math.nan)),
        )
    return Shares(by_frac=found)


def _mean_of_budgets(shares: pd.Series[float]) -> float:
    """Mean of the different shares of a seed; one alone stays as it is, to the last bit."""
    return float(shares.dropna().drop_duplicates().mean())


def shares_on_record(record: StudyRecord) -> Shares:
    """What the budgets of all trials reached, also where the confusion of none is at hand.

    It is the mean over the confirmed seeds, as everywhere in a report; where none has finished at a
    fraction, over those of its search.
    """
    trials = record.trials
    confirmed = trials[(trials["phase"] == "confirm") & (trials["status"] == "finished")]
    without = trials[~trials["label_frac"].isin(confirmed["label_frac"])]
    return Shares(by_frac={**shares_of(without).by_frac, **shares_of(confirmed).by_frac})


def seed_fractions(scores: pd.DataFrame) -> NDArray[np.float64]:
    """What the seed of every row reached; the fraction asked where that is not on record (N,)."""
    asked = scores["label_frac"]
    reached = scores["reached_frac"].fillna(asked) if "reached_frac" in scores.columns else asked
    return reached.to_numpy(np.float64)


def distinct_scores(record: StudyRecord, scores: pd.DataFrame) -> pd.DataFrame:
    """Rows with a column label_frac, without fractions for whose budgets another one stands.

    Such trials differ by chance alone: to compare them would find annotations saved by none.
    """
    left_out = [frac for one in record.info.equal_budgets for frac in one.left_out]
    return scores[~scores["label_frac"].isin(left_out)]
