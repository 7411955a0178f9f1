import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.statistics.scores import absent_classes, score_trials
from analysis.tables.comparison import comparison, comparison_text, confusion_tables, per_class
from contract.measures import f1_per_class, iou_per_class, overall_accuracy

SCORES = ("oa", "mean_f1", "miou", "kappa", "mean_f1_all", "miou_all")
COLUMNS = [
    "model", "label_frac", "num_seeds", "num_failed", "num_not_converged",
    *(f"{score}_{of}" for score in SCORES for of in ("mean", "sd")),
    *(f"{score}_eroded_{of}" for score in SCORES for of in ("mean", "sd")),
    "oa_published", "w1", "lr", "reached_frac_mean", "val_reached_frac_mean",
    "with_val_frac_mean", "short_label", "remarks",
]  # fmt: skip


def test_scores_come_from_pooled_counts_without_the_excluded_class(store: str) -> None:
    record = load_study("full", store)
    scores = score_trials(record).set_index("trial_key")
    counts = record.confusions["confirm-urec-f0.02-s1"].pooled()
    row = scores.loc["confirm-urec-f0.02-s1"]
    assert row["oa"] == pytest.approx(overall_accuracy(counts))
    assert row["mean_f1"] == pytest.approx(f1_per_class(counts)[:5].mean())
    assert row["mean_f1_all"] == pytest.approx(f1_per_class(counts).mean())


def test_comparison_has_its_columns_and_order(store: str) -> None:
    record = load_study("full", store)
    scores = score_trials(record)
    frame = comparison(record, scores)
    assert list(frame.columns) == COLUMNS
    assert list(zip(frame["label_frac"], frame["model"], strict=True)) == [
        (0.02, "unet"), (0.02, "urec"), (1.0, "unet"), (1.0, "urec"),
    ]  # fmt: skip
    arm = scores[(scores["variant"] == "urec") & (scores["label_frac"] == 1.0)]["oa"]
    assert frame.loc[3, "oa_mean"] == pytest.approx(arm.mean())
    assert frame.loc[3, "oa_sd"] == pytest.approx(arm.std(ddof=1))
    assert frame["num_seeds"].tolist() == [3, 3, 3, 3]


def test_comparison_without_eroded_reference_has_no_columns_for_it(store: str) -> None:
    record = load_study("one-seed", store)
    frame = comparison(record, score_trials(record))
    assert list(frame.columns) == [c for c in COLUMNS if "eroded" not in c]


def test_one_seed_has_no_spread(store: str) -> None:
    record = load_study("one-seed", store)
    frame = comparison(record, score_trials(record))
    assert frame[[c for c in frame.columns if c.endswith("_sd")]].isna().all(axis=None)
    assert frame["oa_mean"].notna().all()


def test_failed_arm_keeps_its_row(store: str) -> None:
    record = load_study("broken", store)
    frame = comparison(record, score_trials(record)).set_index("model")
    assert frame.loc["urec", ["num_seeds", "num_failed"]].tolist() == [0, 2]
    assert frame.loc["unet", ["num_seeds", "num_not_converged"]].tolist() == [2, 1]
    assert math.isnan(frame.loc["urec", "oa_mean"])


def test_comparison_of_nothing_has_columns_and_no_rows(store: str) -> None:
    record = load_study("empty", store)
    frame = comparison(record, score_trials(record))
    assert frame.empty
    assert "mean_f1_mean" in frame.columns
    assert comparison_text(frame) == "No trial has been recorded yet."


def test_absent_class_is_in_no_mean_and_is_named(store: str) -> None:
    record = load_study("absent-class", store)
    scores = score_trials(record)
    assert absent_classes(record) == ("car",)
    counts = record.confusions["confirm-unet-f1.00-s0"].pooled()
    assert scores.loc[0, "mean_f1"] == pytest.approx(f1_per_class(counts)[:4].mean())
    assert math.isnan(scores.loc[0, "mean_f1_eroded"])
    assert "eroded reference" in record.notes[0]


def test_terminal_text_is_aligned_and_narrow(store: str) -> None:
    record = load_study("full", store)
    lines = comparison_text(comparison(record, score_trials(record))).split("\n")
    assert lines[0].split() == [
        "label_frac", "model", "seeds", "OA", "mean", "F1", "mean", "IoU", "remarks",
    ]  # fmt: skip
    reached = lines.pop().replace("\N{NO-BREAK SPACE}", " ")
    assert reached == "reached: 1.98 % at 2 %; 100 % at 100 %"
    assert len(lines) == 6
    assert max(map(len, lines)) <= 100
    assert {line.index("±") for line in lines[2:]} == {lines[2].index("±")}
    broken = load_study("broken", store)
    text = comparison_text(comparison(broken, score_trials(broken)))
    assert "1 not converged" in text
    assert "2 of 2 failed" in text


def test_arm_without_a_finished_confirmation_does_not_vanish(store: str) -> None:
    record = load_study("variants", store)
    frame = comparison(record, score_trials(record)).set_index(["label_frac", "model"])
    assert list(frame.index) == [
        (frac, model)
        for frac in (0.02, 0.1, 1.0)
        for model in ("unet", "urec-all", "urec-annotated")
    ]
    annotated = frame.xs("urec-annotated", level="model")
    assert annotated["num_seeds"].tolist() == [2, 0, 0]
    assert annotated["num_failed"].tolist() == [1, 3, 0]
    assert annotated["oa_mean"].isna().tolist() == [False, True, True]
    assert annotated["remarks"].tolist() == [
        "1 of 3 failed", "3 of 3 failed", "search: 2 of 2 failed",
    ]  # fmt: skip
    assert set(frame.loc[frame["num_seeds"] == 3, "remarks"]) == {""}


def test_terminal_text_stays_narrow_with_long_names_and_remarks(store: str) -> None:
    record = load_study("variants", store)
    lines = comparison_text(comparison(record, score_trials(record))).split("\n")
    assert max(map(len, lines)) <= 100
    assert lines.pop().startswith("reached: ")
    column = lines[0].index("remarks")
    (failed,) = [i for i, line in enumerate(lines) if line.startswith("100") and "search" in line]
    wrapped = [lines[failed][column:], *(line.strip() for line in lines[failed + 1 :])]
    assert " ".join(wrapped) == "search: 2 of 2 failed"
    assert lines[failed].split()[2:5] == ["U-REC", "(annotated)", "0"]


def test_eroded_scores_have_means_and_spreads_by_hand(store: str) -> None:
    record = load_study("full", store)
    frame = comparison(record, score_trials(record))
    keys = [f"confirm-urec-f1.00-s{seed}" for seed in range(3)]
    pooled = [sum(t.eroded for t in record.confusions[key].tiles) for key in keys]
    expected = {
        "oa": [np.trace(c) / c.sum() for c in pooled],
        "mean_f1": [f1_per_class(c)[:5].mean() for c in pooled],
        "mean_f1_all": [f1_per_class(c).mean() for c in pooled],
        "miou_all": [iou_per_class(c).mean() for c in pooled],
        "kappa": [cohen_kappa(c) for c in pooled],
    }
    for score, values in expected.items():
        assert frame.loc[3, f"{score}_eroded_mean"] == pytest.approx(np.mean(values))
        assert frame.loc[3, f"{score}_eroded_sd"] == pytest.approx(np.std(values, ddof=1))


def cohen_kappa(counts: np.ndarray) -> float:
    shares = counts / counts.sum()
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return float((np.trace(shares) - chance) / (1.0 - chance))


def test_published_accuracy_stands_at_full_annotation_alone(store: str) -> None:
    record = load_study("variants", store)
    frame = comparison(record, score_trials(record)).set_index(["label_frac", "model"])
    assert frame.loc[1.0, "oa_published"].tolist() == [0.886, 0.8902, 0.8902]
    assert frame.loc[[0.02, 0.1], "oa_published"].isna().all()


def other(record: StudyRecord, **document: Any) -> StudyRecord:
    """The same study with other parts in its study.yaml."""
    merged = {**record.info.document, **document}
    return replace(record, info=replace(record.info, document=merged))


def test_data_that_are_not_vaihingen_have_no_published_column(store: str) -> None:
    record = load_study("full", store)
    dataset = {**record.info.document["dataset"], "name": "built-in scenes"}
    scenes = other(record, dataset=dataset)
    frame = comparison(scenes, score_trials(scenes))
    assert list(frame.columns) == [c for c in COLUMNS if c != "oa_published"]
    classes = per_class(confusion_tables(scenes, score_trials(scenes)), scenes)
    assert not [c for c in classes.columns if "published" in c]


def test_arm_that_was_asked_for_and_never_begun_has_a_row(store: str) -> None:
    config = {"models": ["urec", "unet"], "space": "w1=0.01..0.5,label_frac=0.02/0.5/1"}
    record = other(load_study("full", store), config=config)
    frame = comparison(record, score_trials(record))
    assert list(zip(frame["label_frac"], frame["model"], strict=True)) == [
        (frac, model) for frac in (0.02, 0.5, 1.0) for model in ("unet", "urec")
    ]
    begun = frame["label_frac"] != 0.5
    assert set(frame.loc[~begun, "remarks"]) == {"no run recorded"}
    assert set(frame.loc[begun, "remarks"]) == {""}
    assert frame.loc[~begun, "num_seeds"].tolist() == [0, 0]
    assert frame.loc[~begun, ["oa_mean", "lr", "reached_frac_mean"]].isna().all(axis=None)
    assert "no run recorded" in comparison_text(frame)


def test_study_without_any_trial_lists_what_was_asked_for(store: str) -> None:
    record = other(load_study("empty", store), config={"models": ["unet"], "space": "label_frac=1"})
    frame = comparison(record, score_trials(record))
    assert frame["remarks"].tolist() == ["no run recorded"]


def test_per_class_scores_by_hand(store: str) -> None:
    record = load_study("variants", store)
    tables = confusion_tables(record, score_trials(record))
    frame = per_class(tables, record)
    assert list(frame.columns) == [
        "class", "model", "label_frac", "num_seeds", "precision", "recall", "f1", "iou",
        "precision_published", "recall_published", "f1_published",
    ]  # fmt: skip
    assert frame["class"].tolist()[:4] == [*["impervious_surfaces"] * 3, "building"]
    assert frame["model"].tolist()[:3] == ["unet", "urec-all", "urec-annotated"]
    car = frame[(frame["class"] == "car") & (frame["model"] == "urec-annotated")].iloc[0]
    assert (car["label_frac"], car["num_seeds"]) == (0.02, 2)
    counts = tables[2].counts
    hits, reference, predicted = counts[4, 4], counts[4].sum(), counts[:, 4].sum()
    assert car["precision"] == pytest.approx(hits / predicted)
    assert car["recall"] == pytest.approx(hits / reference)
    assert car["f1"] == pytest.approx(2 * hits / (reference + predicted))
    assert car["iou"] == pytest.approx(hits / (reference + predicted - hits))
    assert car[["precision_published", "recall_published", "f1_published"]].tolist() == [
        0.893, 0.716, 0.795,
    ]  # fmt: skip


def test_absent_class_has_no_scores(store: str) -> None:
    record = load_study("absent-class", store)
    frame = per_class(confusion_tables(record, score_trials(record)), record)
    undefined = frame.set_index("class")[["precision", "recall", "f1", "iou"]].isna()
    assert undefined.loc["car"].all()
    assert not undefined.drop("car").any(axis=None)


def test_per_class_of_nothing_has_columns_and_no_rows(store: str) -> None:
    record = load_study("empty", store)
    frame = per_class((), record)
    assert frame.empty
    assert "f1" in frame.columns


def test_confusion_at_the_largest_fraction_of_each_variant(store: str) -> None:
    record = load_study("variants", store)
    tables = confusion_tables(record, score_trials(record))
    assert [(t.variant, t.label_frac, t.seeds) for t in tables] == [
        ("unet", 1.0, (0, 1, 2)), ("urec-all", 1.0, (0, 1, 2)), ("urec-annotated", 0.02, (0, 1)),
    ]  # fmt: skip


def test_both_shares_stand_beside_every_arm(store: str) -> None:
    record = load_study("validated", store)
    frame = comparison(record, score_trials(record)).set_index(["label_frac", "model"])
    row = frame.loc[(0.1, "urec")]
    assert row["reached_frac_mean"] == pytest.approx(0.09)
    assert row["val_reached_frac_mean"] == 1.0
    assert row["with_val_frac_mean"] == pytest.approx((3 * 0.09 + 1) / 4)
    text = comparison_text(frame.reset_index()).replace("\N{NO-BREAK SPACE}", " ")
    assert text.endswith(
        "reached: 0.743 % (25.6 % with validation) at 1 %; 9 % (31.8 % with validation) at 10 %; "
        "100 % (100 %\nwith validation) at 100 %"
    )
