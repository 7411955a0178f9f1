import io
import math
import sys

import numpy as np
import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.styles import styles_of
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.arm_importances import NEEDS, arm_importances, importances_csv, unsaid

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

SPACE = "w1=0.01..0.5,lr=0.0001..0.01,label_frac=0.1"


def record_of(
    num: int,
    *,
    variant: str = "urec",
    w1: float | None = None,
    score: float | None = None,
    space: str | None = SPACE,
) -> StudyRecord:
    """One arm in which lr alone makes the score, unless w1 or the score is held fixed."""
    generator = np.random.default_rng(4)
    position = generator.uniform(size=num)
    frame = pd.DataFrame(
        {
            "w1": 0.01 * 50 ** generator.uniform(size=num) if w1 is None else w1,
            "lr": 1e-4 * 100**position,
            "select_mean_f1": position if score is None else score,
            "number": range(num),
        }
    )
    frame = frame.reindex(columns=list(TRIAL_COLUMNS))
    frame["phase"], frame["status"] = "search", "finished"
    frame["variant"], frame["label_frac"] = variant, 0.1
    frame["model"] = variant.partition("-")[0]
    frame["trial_key"] = [f"search-t{i:03d}" for i in range(num)]
    document = {} if space is None else {"config": {"space": space}}
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished", document=document),
        trials=frame,
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


@pytest.mark.parametrize("space", [SPACE, "w1,lr", None])
def test_lr_matters_where_it_alone_makes_the_score(space: str | None) -> None:
    (arm,) = arm_importances(record_of(30, space=space))
    assert (arm.variant, arm.label_frac, arm.num_finished, arm.reason) == ("urec", 0.1, 30, "")
    assert list(arm.fanova) == list(arm.ped_anova) == ["w1", "lr"]
    assert arm.fanova["lr"] > 0.9
    assert arm.ped_anova["lr"] > 0.8
    assert 0.8 < arm.predicted <= 1.0


def test_range_is_weighed_on_its_logarithmic_scale() -> None:
    # lr makes the score below 0.001 alone: half of the range as searched, a tenth of it linearly
    record = record_of(120)
    position = np.log(record.trials["lr"] / 1e-4) / np.log(100)
    w1 = np.log(record.trials["w1"] / 0.01) / np.log(50)
    record.trials["select_mean_f1"] = np.where(position < 0.5, 1.0, 0.0) + w1
    (arm,) = arm_importances(record)
    # variances 1/4 and 1/12; weighed linearly, lr would have about 0.6
    assert arm.fanova["lr"] == pytest.approx(0.75, abs=0.08)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (record_of(9), "cannot be said from 9 trials: 10 are needed"),
        (record_of(1), "cannot be said from 1 trial: 10 are needed"),
        (record_of(20, variant="unet", w1=math.nan), "20 trials: lr alone was searched"),
        (record_of(20, w1=0.1), "cannot be said from 20 trials: w1 is the same in all"),
        (record_of(20, score=0.5), "cannot be said from 20 trials: all scores are equal"),
    ],
)
def test_what_cannot_be_said_has_a_reason_and_no_numbers(record: StudyRecord, reason: str) -> None:
    (arm,) = arm_importances(record)
    assert arm.reason.endswith(reason)
    assert (arm.fanova, arm.ped_anova) == ({}, {})
    assert math.isnan(arm.predicted)
    (sentence,) = unsaid([arm], STYLES)
    assert sentence.endswith(f"at 10\N{NO-BREAK SPACE}%: {arm.reason}.")


def test_noise_has_no_importances() -> None:
    record = record_of(25)
    record.trials["select_mean_f1"] = np.random.default_rng(9).normal(0.5, 0.01, 25)
    (arm,) = arm_importances(record)
    assert arm.predicted <= 0.0
    assert arm.reason == "cannot be said from 25 trials: they do not predict each other's scores"
    assert (arm.fanova, arm.ped_anova) == ({}, {})


def test_equal_bad_scores_leave_ped_anova_out_alone() -> None:
    record = record_of(12)
    score = record.trials["select_mean_f1"]
    record.trials["select_mean_f1"] = score.where(score.rank() > 8, 0.05)  # eight diverged
    (arm,) = arm_importances(record)
    assert arm.reason == "PED-ANOVA cannot be said from 12 trials: too many scores are equal"
    assert list(arm.fanova) == ["w1", "lr"]
    assert arm.ped_anova == {}


@pytest.mark.parametrize("library", ["optuna", "sklearn.ensemble"])
def test_without_the_libraries_it_says_what_is_needed(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    (arm,) = arm_importances(record_of(12))
    assert arm.reason == NEEDS
    assert (arm.fanova, arm.ped_anova) == ({}, {})
    assert unsaid([arm], STYLES) == (f"U-REC at 10\N{NO-BREAK SPACE}%: {NEEDS}.",)


def test_pruned_and_failed_trials_do_not_count() -> None:
    record = record_of(12)
    record.trials.loc[:1, "status"] = "pruned"
    record.trials.loc[2, "status"] = "failed"
    (arm,) = arm_importances(record)
    assert arm.num_finished == 9
    assert "10 are needed" in arm.reason


def test_csv_has_a_row_per_hyperparameter_or_the_reason() -> None:
    arms = [*arm_importances(record_of(30)), *arm_importances(record_of(3))]
    frame = pd.read_csv(io.StringIO(importances_csv(arms)))
    assert frame["parameter"].fillna("").tolist() == ["w1", "lr", ""]
    assert frame["fanova"].tolist()[1] == pytest.approx(arms[0].fanova["lr"], rel=1e-5)
    assert frame["ped_anova"].tolist()[:2] == pytest.approx(
        list(arms[0].ped_anova.values()), rel=1e-5
    )
    assert frame["reason"].tolist()[2] == "cannot be said from 3 trials: 10 are needed"
    assert frame[["fanova", "ped_anova"]].isna().all(axis=1).tolist() == [False, False, True]


def test_alike_arms_share_a_sentence() -> None:
    from dataclasses import replace

    (arm,) = arm_importances(record_of(3))
    others = [replace(arm, label_frac=1.0, num_finished=5), replace(arm, variant="urec-all")]
    first, second = unsaid([arm, *others], STYLES)
    assert first == (
        "U-REC at 10\N{NO-BREAK SPACE}% and 100\N{NO-BREAK SPACE}%: cannot be said from 3 to 5 "
        "trials: 10 are needed."
    )
    assert second.startswith("U-REC (all pixels) at 10")


def test_nothing_searched_has_no_arms(store: str) -> None:
    for name in ("full", "empty", "one-seed", "absent-class"):
        assert arm_importances(load_study(name, store)) == ()
    assert importances_csv(()).startswith("model,label_frac,num_finished,parameter,fanova")
