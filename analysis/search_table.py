"""The table of the search: what was tried in each arm, and what came out best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.schema import OPEN_STATUSES
from analysis.trials import arms_of

if TYPE_CHECKING:
    import pandas as pd

    from analysis.load import StudyRecord

_CHOSEN = ("w1", "lr", "select_score")


def search_results(record: StudyRecord) -> pd.DataFrame:
    """The best finished search trial of each arm by validation score.

    A pruned trial is never the best, whatever its last score: its arm does not choose it either.

    Returns:
        Columns model (the variant), label_frac, num_trials, num_failed, num_pruned, num_open
        (running or stopped), w1, lr, select_score (validation, never test: the score that
        `record.info.select_by` names); NaN for an arm without a finished search trial. Rows as
        in `tables.comparison`.
    """
    import pandas as pd

    counts = ["num_trials", "num_failed", "num_pruned", "num_open"]
    searched = record.trials[record.trials["phase"] == "search"]
    searched = searched.assign(select_score=searched[f"select_{record.info.select_by}"])
    rows = []
    for frac, variant in arms_of(searched):
        arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == frac)]
        ranked = arm[arm["status"] == "finished"].dropna(subset=["select_score"])
        ranked = ranked.sort_values(["select_score", "trial_key"], ascending=[False, True])
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
