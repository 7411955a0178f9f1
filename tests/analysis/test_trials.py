from types import SimpleNamespace
from typing import Any

import pytest

from analysis.schema import StudyDataError
from analysis.trials import TRIAL_COLUMNS, trial_row, trials_frame


def run(params: dict[str, str] | None = None, drop: str = "", **tags: str) -> Any:
    """A run as MLflow gives it, with these tags changed and one left out."""
    base = {
        "trial_key": "confirm-urec-f0.10-s2", "phase": "confirm", "arm": "urec-f0.10",
        "model": "urec", "label_frac": "0.1", "seed": "2", "status": "finished",
        "converged": "true",
    }  # fmt: skip
    named = {name: value for name, value in (base | tags).items() if name != drop}
    data = SimpleNamespace(
        tags=named,
        params={"lr": "1e-3", "w1": "0.25"} | (params or {}),
        metrics={"perf/eval_s": 2.0},
    )
    return SimpleNamespace(data=data, info=SimpleNamespace(run_id="r", artifact_uri="/a"))


def test_row_has_every_column_and_nan_where_nothing_was_recorded() -> None:
    row = trial_row(run())
    assert set(row) == set(TRIAL_COLUMNS)
    assert (row["lr"], row["w1"], row["eval_s"], row["converged"]) == (0.001, 0.25, 2.0, True)
    frame = trials_frame([row])
    assert frame["select_mean_f1"].isna().all()
    assert frame["seed"].dtype == "int64"


def test_convergence_not_recorded_is_unknown_not_false() -> None:
    assert trials_frame([trial_row(run(drop="converged"))])["converged"].isna().all()


def test_no_trials_still_have_columns_and_dtypes() -> None:
    frame = trials_frame([])
    assert list(frame.columns) == list(TRIAL_COLUMNS)
    assert frame["label_frac"].dtype == "float64"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "segnet"}, r"model must be one of \['unet', 'urec'\], got 'segnet'"),
        ({"phase": "tune"}, r"phase must be one of \['search', 'confirm'\]"),
        ({"status": "lost"}, "status must be one of"),
        ({"label_frac": "0"}, r"label_frac must be in \(0, 1\]"),
        ({"label_frac": "nan"}, r"label_frac must be in \(0, 1\]"),
        ({"label_frac": "ten"}, "label_frac must be a number, got 'ten'"),
        ({"converged": "yes"}, "converged must be 'true' or 'false'"),
        ({"params": {"lr": "fast"}}, "lr must be a number"),
        ({"drop": "arm"}, "tag arm must be set"),
    ],
)
def test_broken_run_is_refused_by_trial_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyDataError, match=message) as caught:
        trial_row(run(**changes))
    assert "in trial confirm-urec-f0.10-s2" in str(caught.value)
