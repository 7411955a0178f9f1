"""The table of the search: what was tried in each arm, and what came out best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.reading.trials import arms_of
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

_CHOSEN = ("w1", "lr", "select_score")


def search_trials(record: StudyRecord) -> pd.DataFrame:
    """All search trials and the validation score by which they are compared.

    Returns:
        Rows and columns of `record.trials`, and select_score: the score that
        `record.info.select_by` names; NaN for a trial that has not finished. The score of a
        pruned trial is from an earlier step of its run, and is compared with no other.
    """
    searched = record.trials[record.trials["phase"] == "search"]
    score = searched[f"select_{record.info.select_by}"]
    return searched.assign(select_score=score.where(searched["status"] == "finished"))


def ranked_trials(searched: pd.DataFrame, variant: str, label_frac: float) -> pd.DataFrame:
    """The finished search trials of one arm, best first; of equals the earliest, as chosen.

    Args:
        searched: As from `search_trials`.
        variant: The arm's model or variant.
        label_frac: Its annotation fraction.

    Returns:
        The same columns; empty where none has finished with a score.
    """
    arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == label_frac)]
    return arm.dropna(subset=["select_score"]).sort_values(
        ["select_score", "number", "trial_key"], ascending=[False, True, True]
    )


def search_results(record: StudyRecord) -> pd.DataFrame:
    """The best finished search trial of each arm by validation score.

    A pruned trial is never the best, whatever its last score: its arm does not choose it either.

    Returns:
        Columns model (the variant), label_frac, num_trials, num_failed, num_pruned, num_open
        (running or stopped), w1, lr, select_score (validation, never test: the score that
        `record.info.select_by` names); NaN for an arm without a finished search trial. Rows as
        in `comparison.comparison`.
    """
    import pandas as pd

    counts = ["num_trials", "num_failed", "num_pruned", "num_open"]
    searched = search_trials(record)
    rows = []
    for frac, variant in arms_of(searched):
        arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == frac)]
        ranked = ranked_trials(searched, variant, frac)
        best = dict.fromkeys(_CHOSEN, math.nan) if ranked.empty else ranked.iloc[0].to_dict()
        rows.append(
            {
                "model": variant,
                "label_frac": frac,
                "num_trials": len(arm),
                "num_failed": int((arm["status"] == "failed").sum()),
                "num_pruned": int((arm["status"] == "pruned").sum()),
                "num_open": int(arm["status"].isin(OPEN_STATUSES).sum()),
                **{name: best[name] for name in _CHOSEN},
            }
        )
    return pd.DataFrame(rows, columns=["model", "label_frac", *counts, *_CHOSEN])


def search_csv(frame: pd.DataFrame) -> str:
    """The table as a file, six significant digits, nothing for NaN.

    Args:
        frame: As from `search_results`.
    """
    text: str = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
