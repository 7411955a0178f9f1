"""The table of the search: what was tried in each arm, and what came out best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.reading.styles import arms_of
from analysis.search.suggestions import search_trials, suggestions
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


def ranked_trials(searched: pd.DataFrame, variant: str, label_frac: float) -> pd.DataFrame:
    """The finished suggestions of one arm, best first; of equals the earliest.

    Args:
        searched: As from `suggestions.suggestions`.
        variant: The arm's model or variant.
        label_frac: Its annotation fraction.

    Returns:
        The same columns; empty where none has finished with a score.
    """
    arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == label_frac)]
    return arm.dropna(subset=["select_score"]).sort_values(
        ["select_score", "number", "trial_key"], ascending=[False, True, True]
    )


def arms_of_search(record: StudyRecord, searched: pd.DataFrame) -> list[tuple[float, str]]:
    """The (label_frac, variant) of search trials, by label_frac, then in the record's order."""
    return arms_of(zip(searched["label_frac"], searched["variant"], strict=True), record.styles)


def search_results(record: StudyRecord) -> pd.DataFrame:
    """The setting that each arm's search has chosen, by validation scores.

    A pruned trial is never chosen, whatever its last score: its arm does not choose it either.

    Returns:
        Columns model (the variant), label_frac, num_trials, num_failed, num_pruned, num_open
        (running or stopped), num_settings (suggestions, each of one trial for each seed of the
        search), the record's settings (w1, lr and what else was searched) as they were chosen,
        select_score (validation, never test: the score that `record.info.select_by` names, the
        mean over the seeds), select_low and select_high (its 95 % interval over seeds); NaN for an
        arm without a finished suggestion. Rows as in `comparison.comparison`.
    """
    import pandas as pd

    counts = ["num_trials", "num_failed", "num_pruned", "num_open", "num_settings"]
    trials, searched = search_trials(record), suggestions(record)
    scores = ["select_score", "select_low", "select_high"]
    chosen = [*(one.name for one in record.settings), *scores]
    rows = []
    for frac, variant in arms_of_search(record, trials):
        arm = trials[(trials["variant"] == variant) & (trials["label_frac"] == frac)]
        of_arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == frac)]
        found = of_arm[of_arm["is_chosen"]]
        best = {} if found.empty else found.iloc[0].to_dict()
        rows.append(
            {
                "model": variant,
                "label_frac": frac,
                "num_trials": len(arm),
                "num_failed": int((arm["status"] == "failed").sum()),
                "num_pruned": int((arm["status"] == "pruned").sum()),
                "num_open": int(arm["status"].isin(OPEN_STATUSES).sum()),
                "num_settings": len(of_arm),
                **{name: best.get(name) for name in chosen},
            }
        )
    frame = pd.DataFrame(rows, columns=["model", "label_frac", *counts, *chosen])
    numbers = [one.name for one in record.settings if one.is_number]
    return frame.astype(dict.fromkeys([*numbers, *scores], "float64"))


def search_csv(frame: pd.DataFrame) -> str:
    """The table as a file, six significant digits, nothing for NaN.

    Args:
        frame: As from `search_results`.
    """
    text: str = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
