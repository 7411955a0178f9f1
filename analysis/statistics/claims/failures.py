"""Failed and collapsed confirmation trials: what they count as, and what they may cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLLAPSE_DROP, COLLAPSE_MADS = 0.1, 6.0
"""A collapse is a score further than both below the median of its arm, in units of the score and in
median absolute deviations. The deviations set it apart from an arm that spreads widely, which the
median and its deviation describe although some trials collapsed; the drop from an arm that hardly
spreads. Of normal scores that spread by 0.02 or less next to none is taken for one."""
MIN_FOR_COLLAPSE = 3
"""Fewest scores of an arm whose median and deviation are to be relied on."""

_ONE_SIDED = 1.6448536269514722
"""Quantile of the normal distribution for a one-sided bound of 95 %."""


@dataclass(frozen=True, kw_only=True)
class ArmLosses:
    """The confirmation trials of one arm that failed or collapsed."""

    variant: str
    label_frac: float
    num_trials: int
    """With a score, or failed."""
    num_failed: int
    num_collapsed: int
    drops: tuple[float, ...]
    """What each lost against the arm's median, in units of the score: a failed one as the worst;
    none where no trial of the arm has a score."""

    @property
    def num_lost(self) -> int:
        """Failed or collapsed."""
        return self.num_failed + self.num_collapsed


def failed_trials(trials: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The confirmation trials that failed and have no score.

    Args:
        trials: As in `record.StudyRecord`.
        scores: As from `scores.score_trials`.

    Returns:
        Columns variant, label_frac, seed; each trial once.
    """
    columns = ["variant", "label_frac", "seed"]
    failed = trials[(trials["phase"] == "confirm") & (trials["status"] == "failed")][columns]
    scored = set(scores[columns].itertuples(index=False, name=None))
    rows = failed.itertuples(index=False, name=None)
    is_without = np.array([row not in scored for row in rows], dtype=np.bool_)
    return failed.loc[is_without].drop_duplicates().reset_index(drop=True)


def failed_as_worst(
    scores: pd.DataFrame, failed: pd.DataFrame, measures: Sequence[str]
) -> pd.DataFrame:
    """The scores with a row for each failed trial, which has the worst score of its arm.

    Args:
        scores: As from `scores.score_trials`.
        failed: As from `failed_trials`.
        measures: Columns of scores that are filled.

    Returns:
        Columns variant, label_frac, seed, trial_key ("" for the added), reached_frac (NaN for
        them) where the scores have it, and measures. A failed trial of an arm in which none has a
        score is left out: there is no worst.
    """
    import pandas as pd

    columns = ("trial_key", "variant", "label_frac", "seed", "reached_frac")
    named = [name for name in columns if name in scores]
    kept = scores[[*named, *measures]]
    worst = kept.groupby(["variant", "label_frac"])[list(measures)].min()
    added = [
        {"variant": variant, "label_frac": frac, "seed": seed, "trial_key": ""}
        | ({"reached_frac": math.nan} if "reached_frac" in named else {})
        | worst.loc[(variant, frac)].to_dict()
        for variant, frac, seed in failed.itertuples(index=False, name=None)
        if (variant, frac) in worst.index
    ]
    if not added:
        return kept
    return pd.concat([kept, pd.DataFrame(added)[[*named, *measures]]], ignore_index=True)


def arm_losses(
    scores: pd.DataFrame, failed: pd.DataFrame, measure: str
) -> dict[tuple[str, float], ArmLosses]:
    """What failed and collapsed, by (variant, label_frac).

    Args:
        scores: As from `scores.score_trials`.
        failed: As from `failed_trials`.
        measure: The score that collapses are seen in.
    """
    by_arm: dict[tuple[str, float], list[float]] = {}
    for variant, frac, value in zip(
        scores["variant"], scores["label_frac"], scores[measure], strict=True
    ):
        values = by_arm.setdefault((str(variant), float(frac)), [])
        if not math.isnan(value):
            values.append(float(value))
    num_failed: dict[tuple[str, float], int] = {}
    for variant, frac in zip(failed["variant"], failed["label_frac"], strict=True):
        arm = (str(variant), float(frac))
        num_failed[arm] = num_failed.get(arm, 0) + 1
    return {
        arm: _arm_losses(arm, np.array(by_arm.get(arm, [])), num_failed.get(arm, 0))
        for arm in {**by_arm, **num_failed}
    }


def _arm_losses(
    arm: tuple[str, float], values: np.ndarray[tuple[int], np.dtype[np.float64]], num_failed: int
) -> ArmLosses:
    drops: list[float] = []
    num_collapsed = 0
    if len(values):
        below = np.median(values) - values
        is_collapsed = collapsed(values)
        num_collapsed = int(is_collapsed.sum())
        drops = [*below[is_collapsed].tolist(), *[float(below.max())] * num_failed]
    return ArmLosses(
        variant=arm[0],
        label_frac=arm[1],
        num_trials=len(values) + num_failed,
        num_failed=num_failed,
        num_collapsed=num_collapsed,
        drops=tuple(drops),
    )


def collapsed(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which scores of one arm are collapses, (S,); none with fewer than MIN_FOR_COLLAPSE.

    Args:
        values: Scores, (S,), none of them NaN.
    """
    if len(values) < MIN_FOR_COLLAPSE:
        return np.zeros(len(values), dtype=np.bool_)
    below = np.median(values) - values
    deviation = float(np.median(np.abs(below)))
    return below > max(COLLAPSE_DROP, COLLAPSE_MADS * deviation)


def unseen_loss(
    losses: Mapping[tuple[str, float], ArmLosses], better: str, other: str, label_frac: float | None
) -> float:
    """What a variant may lose, on average, by failures and collapses that chance did not show.

    At ten trials in a hundred, nine seeds show none in four of ten arms; such an arm says nothing
    of the mean. So where an arm has none, the variant counts as if it lost trials here as often
    as over all of its fractions, at most (Wilson's one-sided 95 % bound), less what the other
    variant is likely to lose; each at its own average drop. The whole curve has what was seen in
    it, and may lack what is between that and the bound.

    Args:
        losses: As from `arm_losses`.
        better: The variant that scores higher here.
        other: The one it is compared with.
        label_frac: Where; None over the whole curve.

    Returns:
        In units of the score, at least 0; 0 where the arm lost trials itself: its own mean has it.
    """
    num, total, drop = _over_fractions(one for one in losses.values() if one.variant == better)
    own = losses.get((better, label_frac)) if label_frac is not None else None
    if num == 0 or (own is not None and own.num_lost):
        return 0.0
    at_most = upper_bound(num, total)
    if label_frac is None:
        return (at_most - num / total) * drop
    its_num, its_total, its_drop = _over_fractions(
        one for one in losses.values() if one.variant == other
    )
    likely = its_num / its_total * its_drop if its_total else 0.0
    return max(0.0, at_most * drop - likely)


def _over_fractions(arms: Iterable[ArmLosses]) -> tuple[int, int, float]:
    """Trials lost, all trials, and the average drop of those lost."""
    every = list(arms)
    drops = [drop for one in every for drop in one.drops]
    return (
        sum(one.num_lost for one in every),
        sum(one.num_trials for one in every),
        float(np.mean(drops)) if drops else 0.0,
    )


def upper_bound(num: int, total: int) -> float:
    """Wilson's one-sided 95 % upper bound of a probability, from `num` of `total`, total >= 1."""
    share, square = num / total, _ONE_SIDED**2
    spread = math.sqrt(share * (1.0 - share) / total + square / (4.0 * total**2))
    return (share + square / (2.0 * total) + _ONE_SIDED * spread) / (1.0 + square / total)
