"""What a reader must know of an arm beside its scores: failed trials, no confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.names import OPEN_STATUSES

if TYPE_CHECKING:
    import pandas as pd


NO_RUN = "no run recorded"
"""What is said of an arm that the configuration asks for and that has no run on record."""

CLOSED = "findings closed"
"""What is said of every arm with scores while no look of the study is complete."""


def arm_remarks(arm: pd.DataFrame, num_scored: int) -> str:
    """Why an arm has fewer scores than confirmation trials, or weaker ones.

    Args:
        arm: The trials of one arm, columns as in `trials.TRIAL_COLUMNS`.
        num_scored: How many of them have test scores.

    Returns:
        Such as "1 of 3 failed, 1 not converged"; NO_RUN without any trial, "" where all is well.
    """
    confirmed = arm[arm["phase"] == "confirm"]
    if confirmed.empty:
        return _unconfirmed(arm["status"])
    num_failed = int((confirmed["status"] == "failed").sum())
    num_without = int((confirmed["status"] == "finished").sum()) - num_scored
    remarks = {
        f"{num_failed} of {len(confirmed)} failed": num_failed,
        "{} not ended": int(confirmed["status"].isin(OPEN_STATUSES).sum()),
        "{} not converged": int((confirmed["converged"] == False).sum()),  # noqa: E712
        "{} without scores": num_without,
    }
    return ", ".join(text.format(num) for text, num in remarks.items() if num)


def _unconfirmed(searched: pd.Series[str]) -> str:
    """Why the confirmation of an arm has not begun, from the status of its search trials."""
    if searched.empty:
        return NO_RUN
    if searched.isin(OPEN_STATUSES).any():
        return "search not ended"
    if (searched == "finished").any():
        return "not confirmed yet"
    num_failed = int((searched == "failed").sum())
    if num_failed == len(searched):
        return f"search: {num_failed} of {num_failed} failed"
    return f"search: none of {len(searched)} finished"
