"""The table of the search: what was tried in each arm, and what came out best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.reading.styles import arms_of
from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


def search_trials(record: StudyRecord) -> pd.DataFrame:
    """All search trials and the validation score by which they are compared.

    Returns:
        Rows and columns of `record.trials`, and select_score: the score that
        `record.info.select_by` names; NaN for a trial that has not finished. The score of a
        pruned trial is from an earlier step of its run, and is compared with no other. A word
        that a trial does not have is NaN too.
    """
    searched = record.trials[record.trials["phase"] == "search"]
    score = searched[f"select_{record.info.select_by}"]
    words = [one.name for one in record.searched if not one.is_number]
    return searched.assign(
        select_score=score.where(searched["status"] == "finished"),
        **{name: searched[name].where(searched[name] != "") for name in words},
    )


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


def arms_of_search(record: StudyRecord, searched: pd.DataFrame) -> list[tuple[float, str]]:
    """The (label_frac, variant) of search trials, by label_frac, then in the record's order."""
    return arms_of(zip(searched["label_frac"], searched["variant"], strict=True), record.styles)


def search_results(record: StudyRecord) -> pd.DataFrame:
    """The best finished search trial of each arm by validation score.

    A pruned trial is never the best, whatever its last score: its arm does not choose it either.

    Returns:
        Columns model (the variant), label_frac, num_trials, num_failed, num_pruned, num_open
        (running or stopped), the record's settings (w1, lr and what else was searched),
        select_score (validation, never test: the score that `record.info.select_by` names); NaN
        for an arm without a finished search trial. Rows as in `comparison.comparison`.
    """
    import pandas as pd

    counts = ["num_trials", "num_failed", "num_pruned", "num_open"]
    searched = search_trials(record)
    chosen = [*(one.name for one in record.settings), "select_score"]
    rows = []
    for frac, variant in arms_of_search(record, searched):
        arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == frac)]
        ranked = ranked_trials(searched, variant, frac)
        best = {} if ranked.empty else ranked.iloc[0].to_dict()
        rows.append(
            {
                "model": variant,
                "label_frac": frac,
                "num_trials": len(arm),
                "num_failed": int((arm["status"] == "failed").sum()),
                "num_pruned": int((arm["status"] == "pruned").sum()),
                "num_open": int(arm["status"].isin(OPEN_STATUSES).sum()),
                **{name: best.get(name) for name in chosen},
            }
        )
    frame = pd.DataFrame(rows, columns=["model", "label_frac", *counts, *chosen])
    numbers = [one.name for one in record.settings if one.is_number]
    return frame.astype(dict.fromkeys([*numbers, "select_score"], "float64"))


def search_csv(frame: pd.DataFrame) -> str:
    """The table as a file, six significant digits, nothing for NaN.

    Args:
        frame: As from `search_results`.
    """
    text: str = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
