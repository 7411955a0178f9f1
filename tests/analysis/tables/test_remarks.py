import pandas as pd
import pytest

from analysis.tables.remarks import arm_remarks


def arm(*trials: tuple[str, str] | tuple[str, str, bool]) -> pd.DataFrame:
    """Trials of one arm: phase, status and whether converged (unknown if left out)."""
    rows = [(*trial, None)[:3] for trial in trials]
    frame = pd.DataFrame(rows, columns=["phase", "status", "converged"])
    return frame.astype({"converged": "boolean"})


FINISHED = ("confirm", "finished", True)


@pytest.mark.parametrize(
    ("trials", "num_scored", "said"),
    [
        ([FINISHED, FINISHED], 2, ""),
        ([FINISHED, FINISHED, ("confirm", "failed")], 2, "1 of 3 failed"),
        ([("confirm", "failed"), ("confirm", "failed")], 0, "2 of 2 failed"),
        ([FINISHED, ("confirm", "stopped"), ("confirm", "running")], 1, "2 not ended"),
        ([("confirm", "failed"), ("confirm", "finished", False)], 1,
         "1 of 2 failed, 1 not converged"),
        ([FINISHED, FINISHED], 1, "1 without scores"),
        ([FINISHED, ("search", "failed"), ("search", "pruned")], 1, ""),
    ],
)  # fmt: skip
def test_confirmation_is_accounted_for(
    trials: list[tuple[str, str]], num_scored: int, said: str
) -> None:
    assert arm_remarks(arm(*trials), num_scored) == said


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (["failed", "failed"], "search: 2 of 2 failed"),
        (["failed", "pruned"], "search: none of 2 finished"),
        (["failed", "running"], "search not ended"),
        (["finished", "stopped"], "search not ended"),
        (["finished", "pruned"], "not confirmed yet"),
        ([], "no run recorded"),
    ],
)
def test_arm_that_was_never_confirmed_says_why(statuses: list[str], said: str) -> None:
    assert arm_remarks(arm(*(("search", status) for status in statuses)), 0) == said
