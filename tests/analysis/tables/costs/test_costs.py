import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.schema import parse_study
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.styles import styles_of
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.tables.costs.costs import (
    COST_COLUMNS,
    cost_finding,
    cost_notes,
    costs,
    devices_per_worker,
)

STYLES = styles_of(
    tried_variants(
        [
            ("unet", "unet"),
            ("urec", "urec"),
            ("urec-all", "urec"),
            ("urec-annotated", "urec"),
            ("fixmatch", "fixmatch"),
            ("fixmatch-urec", "fixmatch-urec"),
        ]
    )
)

GPU = {"gpus": 0.5, "cpus": 4.0}


def record(
    trials: list[dict[str, Any]], config: dict[str, Any] | None = None, **document: Any
) -> StudyRecord:
    """A study of these trials; what a trial does not say is as of a finished one of 100 s."""
    known = {
        "status": "finished", "phase": "confirm", "variant": "unet", "label_frac": 0.1,
        "steps": 10.0, "batch_size": 4.0, "train_s": 90.0, "eval_s": 10.0, "test_s": math.nan,
        "patches_per_s": 40 / 90,
        "peak_memory_mib": 500.0, "workers": math.nan, "reconstruct_on": "",
    }  # fmt: skip
    rows = [known | trial for trial in trials]
    for row in rows:
        row["model"] = STYLES[row["variant"]].variant.method
    frame = pd.DataFrame(
        {c: pd.Series([row.get(c) for row in rows], dtype=d) for c, d in TRIAL_COLUMNS.items()
         if c in known | {"model": ""}}
    )  # fmt: skip
    info = parse_study({"config": config or GPU, **document}, name="s", status="finished")
    return StudyRecord(
        info=info, trials=frame, confusions={}, failures={}, notes=(), tracking_uri=""
    )


def row(frame: pd.DataFrame, variant: str, phase: str, frac: float = 0.1) -> dict[str, Any]:
    (found,) = frame[
        (frame["model"] == variant) & (frame["phase"] == phase) & (frame["label_frac"] == frac)
    ].to_dict("records")
    return found


UNTIMED = dict.fromkeys(("train_s", "eval_s", "patches_per_s", "peak_memory_mib"), math.nan)


def test_hours_count_every_worker() -> None:
    """Four trials of 100 s: of one worker, of one (not recorded), of two, of three."""
    trials = [{"workers": workers} for workers in (1.0, math.nan, 2.0, 3.0)]
    frame = costs(record(trials, {"gpus": 1, "cpus": 2}))
    found = row(frame, "unet", "confirm")
    assert found["gpu_hours"] == pytest.approx(700 / 3600)
    assert found["cpu_hours"] == pytest.approx(2 * 700 / 3600)
    assert found["trial_s"] == 100.0


def test_costs_of_an_arm_by_hand() -> None:
    frame = costs(
        record(
            [
                {"phase": "search", "train_s": 50.0, "eval_s": 10.0, "peak_memory_mib": 700.0,
                 "patches_per_s": 0.8},
                {},
                {"train_s": 110.0, "patches_per_s": 40 / 110},
            ]
        )
    )  # fmt: skip
    assert list(frame.columns) == list(COST_COLUMNS)
    assert frame["phase"].tolist() == ["search", "confirm", "total"]
    confirm = row(frame, "unet", "confirm")
    assert (confirm["num_trials"], confirm["num_timed"], confirm["steps"]) == (2, 2, 20.0)
    assert (confirm["patches"], confirm["patches_unannotated"]) == (80.0, 0.0)
    assert (confirm["train_s"], confirm["eval_s"], confirm["trial_s"]) == (200.0, 20.0, 110.0)
    assert confirm["patches_per_s"] == pytest.approx(80 / 200)
    assert confirm["peak_memory_mib"] == 500.0
    assert confirm["gpu_hours"] == pytest.approx(0.5 * 220 / 3600)
    assert confirm["cpu_hours"] == pytest.approx(4 * 220 / 3600)
    total = row(frame, "unet", "total")
    assert (total["num_trials"], total["train_s"], total["peak_memory_mib"]) == (3, 250.0, 700.0)
    assert total["patches_per_s"] == pytest.approx(120 / 250)
    assert math.isnan(total["trial_s"])


def test_test_tiles_count_where_every_confirmation_trial_timed_them() -> None:
    trials = [
        {"test_s": 20.0, "workers": 2.0},
        {"variant": "urec", "test_s": 60.0},
        {"phase": "search"},
    ]
    frame = costs(record(trials))
    confirm, search = row(frame, "unet", "confirm"), row(frame, "unet", "search")
    assert (confirm["num_tested"], confirm["test_s"], confirm["trial_s"]) == (1, 20.0, 120.0)
    assert confirm["cpu_hours"] == pytest.approx(4 * 2 * 120 / 3600)
    assert math.isnan(search["test_s"])
    assert search["cpu_hours"] == pytest.approx(4 * 100 / 3600)
    assert row(frame, "unet", "total")["test_s"] == 20.0
    assert row(frame, "urec", "confirm")["trial_s_per_baseline"] == pytest.approx(160 / 120)
    assert cost_notes(frame) == ()


def test_arms_are_compared_without_test_tiles_where_some_were_not_timed() -> None:
    """Trials from before they were timed: as then; hours count what is known."""
    frame = costs(record([{}, {"variant": "urec", "test_s": 60.0}]))
    urec = row(frame, "urec", "confirm")
    assert (urec["test_s"], urec["trial_s"], urec["trial_s_per_baseline"]) == (60.0, 100.0, 1.0)
    assert urec["cpu_hours"] == pytest.approx(4 * 160 / 3600)
    assert math.isnan(row(frame, "unet", "confirm")["test_s"])
    assert cost_notes(frame) == (
        "1 confirmation trial did not time the test tiles: no time per trial counts them, hours "
        "count those of the others.",
    )


def test_urec_on_all_pixels_sees_as_many_patches_again() -> None:
    frame = costs(
        record(
            [
                {"variant": "urec-all", "reconstruct_on": "all"},
                {"variant": "urec-annotated", "reconstruct_on": "annotated"},
                {"variant": "urec", "reconstruct_on": "", "label_frac": 1.0},
            ]
        )
    )
    assert row(frame, "urec-all", "confirm")["patches_unannotated"] == 40.0
    assert row(frame, "urec-annotated", "confirm")["patches_unannotated"] == 0.0
    assert math.isnan(row(frame, "urec", "confirm", 1.0)["patches_unannotated"])


def test_patches_that_a_teacher_labels_are_counted() -> None:
    """One for each annotated patch; where they are reconstructed too, as many as that takes."""
    trials = [
        {"variant": "fixmatch", "reconstruct_on": ""},
        {"variant": "fixmatch-urec", "reconstruct_on": "all"},
        {"variant": "fixmatch-urec", "reconstruct_on": "annotated", "label_frac": 1.0},
        {"variant": "unet"},
    ]
    for rec_patches in (1, 2):
        frame = costs(record(trials, {"rec_patches": rec_patches}))
        assert row(frame, "fixmatch", "confirm")["patches_unannotated"] == 40.0
        for fraction in (0.1, 1.0):
            found = row(frame, "fixmatch-urec", "confirm", fraction)["patches_unannotated"]
            assert found == 40.0 * rec_patches
        assert row(frame, "unet", "confirm")["patches_unannotated"] == 0.0


def test_cost_relative_to_unet_is_per_fraction() -> None:
    frame = costs(
        record(
            [
                {}, {"variant": "urec", "train_s": 190.0}, {"variant": "urec", "train_s": 140.0},
                {"label_frac": 1.0, "train_s": 40.0},
                {"label_frac": 1.0, "variant": "urec", "train_s": 115.0},
                {"label_frac": 0.5, "variant": "urec"},
            ]
        )
    )  # fmt: skip
    assert row(frame, "urec", "confirm")["trial_s_per_baseline"] == pytest.approx(1.75)
    assert row(frame, "urec", "confirm", 1.0)["trial_s_per_baseline"] == pytest.approx(2.5)
    assert row(frame, "unet", "confirm")["trial_s_per_baseline"] == 1.0
    assert math.isnan(row(frame, "urec", "confirm", 0.5)["trial_s_per_baseline"])
    assert math.isnan(row(frame, "urec", "total")["trial_s_per_baseline"])
    assert cost_finding(frame, STYLES) == (
        "Beside U-Net, a confirmation trial takes 1.75 to 2.50 times as long for U-REC"
    )


def test_finding_names_every_variant() -> None:
    trials = [{}, {"variant": "urec-all"}, {"variant": "urec-annotated", "train_s": 50.0}]
    assert cost_finding(costs(record(trials)), STYLES) == (
        "Beside U-Net, a confirmation trial takes 1.00 times as long for U-REC (all pixels) and "
        "0.60 times for U-REC (annotated pixels)"
    )
    assert cost_finding(costs(record([{}])), STYLES) == ""


def test_failed_and_pruned_trials_are_counted_and_in_no_sum() -> None:
    frame = costs(
        record(
            [
                {}, {"status": "failed", **UNTIMED}, {"phase": "search", "status": "pruned",
                                                      **UNTIMED},
                {"status": "running", **UNTIMED}, {"status": "stopped", **UNTIMED},
            ]
        )
    )  # fmt: skip
    total = row(frame, "unet", "total")
    assert [total[f"num_{what}"] for what in ("trials", "failed", "pruned", "timed")] == [
        3, 1, 1, 1,
    ]  # fmt: skip
    assert (total["steps"], total["train_s"]) == (10.0, 90.0)
    search = row(frame, "unet", "search")
    empty = ("steps", "patches", "train_s", "eval_s", "patches_per_s", "peak_memory_mib",
             "gpu_hours", "cpu_hours")  # fmt: skip
    assert all(math.isnan(search[name]) for name in empty)
    assert cost_notes(frame) == (
        "1 trial that failed and 1 trial that was pruned recorded no times: counted among the "
        "trials, in no sum.",
    )


def test_arm_that_failed_altogether_costs_nothing_known() -> None:
    failed = {"status": "failed", **UNTIMED}
    frame = costs(record([failed, failed]))
    assert math.isnan(row(frame, "unet", "total")["train_s"])
    assert cost_notes(frame) == (
        "2 trials that failed recorded no times: counted among the trials, in no sum.",
    )


def test_finished_trials_of_older_studies_without_times_are_said() -> None:
    frame = costs(record([UNTIMED, {"phase": "search"}]))
    assert row(frame, "unet", "total")["num_timed"] == 1
    assert cost_notes(frame) == ("1 finished trial without times on record: in no sum.",)


def test_unknown_batch_size_leaves_patches_unknown_and_not_the_rate() -> None:
    frame = costs(record([{"batch_size": math.nan}]))
    confirm = row(frame, "unet", "confirm")
    assert math.isnan(confirm["patches"])
    assert confirm["patches_per_s"] == pytest.approx(40 / 90)
    assert confirm["steps"] == 10.0


def hardware(num_gpus: int) -> dict[str, Any]:
    return {"hardware": {"gpus": ["a GPU"] * num_gpus}}


@pytest.mark.parametrize(
    ("config", "document", "gpus", "cpus"),
    [
        ({"gpus": 0.25, "cpus": 2}, {}, 0.25, 2.0),
        ({"gpus": None, "cpus": 1.0}, {"provenance": hardware(4)}, 1.0, 1.0),
        ({"gpus": None, "cpus": 1.0}, {"provenance": hardware(0)}, 0.0, 1.0),
        ({"gpus": 0, "cpus": 1.0}, {"provenance": hardware(1)}, 0.0, 1.0),
        ({"gpus": None}, {}, math.nan, math.nan),
        ({"gpus": None}, {"provenance": hardware(1), "continued": [hardware(0)]}, math.nan,
         math.nan),
        ({"gpus": None, "cpus": 1}, {"provenance": hardware(1), "continued": [hardware(2)]}, 1.0,
         1.0),
        ({"cpus": 1.0}, {"provenance": hardware(1)}, math.nan, 1.0),
        ({"seeds": 3}, {}, math.nan, math.nan),
    ],
)  # fmt: skip
def test_devices_of_a_trial(
    config: dict[str, Any], document: dict[str, Any], gpus: float, cpus: float
) -> None:
    info = parse_study({"config": config, **document}, name="s", status="finished")
    assert devices_per_worker(info) == pytest.approx((gpus, cpus), nan_ok=True)


def test_hours_without_a_record_of_devices_are_unknown() -> None:
    frame = costs(record([{}], {"seeds": 1}))
    assert frame[["gpu_hours", "cpu_hours"]].isna().all(axis=None)
    assert cost_notes(frame) == (
        "GPUs and CPUs per trial are not on record: no hours of them are given.",
    )


def test_cpu_study_has_0_gpu_hours_and_its_cpu_hours() -> None:
    frame = costs(record([{}], {"gpus": None, "cpus": 2.0}, provenance=hardware(0)))
    confirm = row(frame, "unet", "confirm")
    assert confirm["gpu_hours"] == 0.0
    assert confirm["cpu_hours"] == pytest.approx(2 * 100 / 3600)


@pytest.mark.parametrize("study", ["empty", "searching", "broken", "stopped", "variants"])
def test_studies_with_missing_parts_have_a_table(store: str, study: str) -> None:
    found = load_study(study, store)
    frame = costs(found)
    arms = {(r["label_frac"], r["variant"]) for r in found.trials.to_dict("records")}
    assert len(frame) == 3 * len(arms)
    assert frame["train_s"].isna().all()  # these studies record no times
    assert dict(frame.dtypes.astype(str)) == COST_COLUMNS
    assert cost_finding(frame, STYLES) == ""


def test_times_of_0_give_no_rate() -> None:
    frame = costs(record([{"train_s": 0.0, "eval_s": 0.0}, {"variant": "urec"}]))
    assert math.isnan(row(frame, "unet", "confirm")["patches_per_s"])
    assert math.isnan(row(frame, "urec", "confirm")["trial_s_per_baseline"])


def test_cost_of_a_record_does_not_change_it() -> None:
    found = record([{}, {"variant": "urec"}])
    before = found.trials.copy()
    costs(replace(found))
    pd.testing.assert_frame_equal(found.trials, before)


def test_more_patches_from_anywhere_are_counted() -> None:
    """By the study's configuration, or by the trial where it varies."""
    trials = [{"variant": "urec-all", "reconstruct_on": "all"}, {}]
    frame = costs(record(trials, {"rec_patches": 3}))
    assert row(frame, "urec-all", "confirm")["patches_unannotated"] == 120.0
    assert row(frame, "unet", "confirm")["patches_unannotated"] == 0.0
    given = record(trials, {"rec_patches": 3})
    given = replace(given, trials=given.trials.assign(rec_patches=[2.0, math.nan]))
    frame = costs(given)
    assert row(frame, "urec-all", "confirm")["patches_unannotated"] == 80.0
    assert row(frame, "unet", "confirm")["patches_unannotated"] == 0.0
