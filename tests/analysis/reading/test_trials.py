from types import SimpleNamespace
from typing import Any

import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.schema import StudyDataError, StudyInfo
from analysis.reading.styles import arms_of, styles_of
from analysis.reading.trials import TRIAL_COLUMNS, trials_frame
from analysis.reading.trials import trial_row as checked_row

INFO = StudyInfo(
    name="s", status="finished", document={"config": {"models": ["urec", "unet"], "space": "w1"}}
)


def trial_row(run: Any, info: StudyInfo = INFO) -> dict[str, Any]:
    return checked_row(run, info)


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
        metrics={
            "perf/eval_s": 2.0,
            "val/rec_l1": 0.15,
            "train/grad_share_rec": 0.01,
            "train/pseudo_share": 0.3,
        },
    )
    return SimpleNamespace(data=data, info=SimpleNamespace(run_id="r", artifact_uri="/a"))


def test_row_has_every_column_and_nan_where_nothing_was_recorded() -> None:
    row = trial_row(run())
    assert set(row) == set(TRIAL_COLUMNS)
    assert (row["lr"], row["w1"], row["eval_s"], row["converged"]) == (0.001, 0.25, 2.0, True)
    assert (row["rec_l1"], row["grad_share_rec"], row["pseudo_share"]) == (0.15, 0.01, 0.3)
    frame = trials_frame([row])
    assert frame["rec_l1_constant"].isna().all()
    assert frame["select_mean_f1"].isna().all()
    assert frame["seed"].dtype == "int64"


def test_numbers_that_are_no_metric_stand_in_a_tag() -> None:
    held = '{"perf/eval_s": 9.0, "budget/annotated_px": 12, "val/rec_l1_constant": 0.5}'
    row = trial_row(run(measures=held))
    assert (row["annotated_px"], row["rec_l1_constant"]) == (12.0, 0.5)
    assert row["eval_s"] == 2.0, "a metric of an older run counts"
    for damaged in ("[1]", "{", '{"perf/test_s": "x"}'):
        with pytest.raises(StudyDataError, match="measures must be a JSON object"):
            trial_row(run(measures=damaged))


def test_convergence_not_recorded_is_unknown_not_false() -> None:
    assert trials_frame([trial_row(run(drop="converged"))])["converged"].isna().all()


def test_no_trials_still_have_columns_and_dtypes() -> None:
    frame = trials_frame([])
    assert list(frame.columns) == list(TRIAL_COLUMNS)
    assert frame["label_frac"].dtype == "float64"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": "tune"}, r"phase must be one of \['search', 'confirm'\]"),
        ({"status": "lost"}, "status must be one of"),
        ({"label_frac": "0"}, r"label_frac must be in \(0, 1\]"),
        ({"label_frac": "nan"}, r"label_frac must be in \(0, 1\]"),
        ({"label_frac": "ten"}, "label_frac must be a number, got 'ten'"),
        ({"converged": "yes"}, "converged must be 'true' or 'false'"),
        ({"params": {"lr": "fast"}}, "lr must be a number"),
        ({"drop": "arm"}, "tag arm must be set"),
        ({"attempts": "0"}, "attempts must be a whole number >= 1, got '0'"),
        ({"attempts": "twice"}, "attempts must be a whole number >= 1, got 'twice'"),
    ],
)
def test_broken_run_is_refused_by_trial_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyDataError, match=message) as caught:
        trial_row(run(**changes))
    assert "in trial confirm-urec-f0.10-s2" in str(caught.value)


def test_older_run_is_its_models_variant_at_its_first_attempt() -> None:
    row = trial_row(run())
    assert (row["variant"], row["attempts"]) == ("urec", 1)
    row = trial_row(run(variant="urec-annotated", attempts="3"))
    assert (row["model"], row["variant"], row["attempts"]) == ("urec", "urec-annotated", 3)
    assert row["w1"] == 0.25


@pytest.mark.parametrize("status", ["pruned", "stopped"])
def test_trial_ended_early_is_a_row_without_scores(status: str) -> None:
    row = trial_row(run(status=status, drop="converged"))
    assert row["status"] == status
    assert trials_frame([row])["select_miou"].isna().all()


def test_arms_are_ordered_by_fraction_and_then_by_variant() -> None:
    tags = [("urec", "urec-annotated", "0.1"), ("urec", "urec-all", "0.1"),
            ("unet", "unet", "1"), ("unet", "unet", "0.1")]  # fmt: skip
    rows = [
        trial_row(run(trial_key=f"k{i}", model=model, variant=variant, label_frac=frac))
        for i, (model, variant, frac) in enumerate(tags)
    ]
    styles = styles_of(tried_variants((row["variant"], row["model"]) for row in rows))
    assert arms_of([(row["label_frac"], row["variant"]) for row in rows], styles) == [
        (0.1, "unet"), (0.1, "urec-all"), (0.1, "urec-annotated"), (1.0, "unet"),
    ]  # fmt: skip
