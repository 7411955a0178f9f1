import csv
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.load import load_study
from analysis.measures import f1_per_class, overall_accuracy
from analysis.scores import score_trials, undefined_classes
from analysis.table_files import write_comparison, write_confusion
from analysis.tables import comparison, comparison_text, confusion_tables

COLUMNS = [
    "model", "label_frac", "num_seeds", "num_failed", "num_not_converged",
    "oa_mean", "oa_sd", "mean_f1_mean", "mean_f1_sd", "miou_mean", "miou_sd",
    "kappa_mean", "kappa_sd", "mean_f1_all_mean", "miou_all_mean",
    "oa_eroded_mean", "mean_f1_eroded_mean", "miou_eroded_mean",
    "w1", "lr", "reached_frac_mean", "remarks",
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


def test_one_seed_has_an_empty_spread_not_zero(store: str, tmp_path: Path) -> None:
    record = load_study("one-seed", store)
    frame = comparison(record, score_trials(record))
    assert frame["oa_sd"].isna().all()
    path = write_comparison(frame, tmp_path)[0]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["oa_sd"] for row in rows] == ["", ""]
    assert rows[0]["w1"] == ""
    assert rows[1]["w1"] == "0.1"


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
    assert undefined_classes(record) == ("car",)
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
    assert len(lines) == 6
    assert max(map(len, lines)) <= 100
    assert {line.index("±") for line in lines[2:]} == {lines[2].index("±")}
    broken = load_study("broken", store)
    text = comparison_text(comparison(broken, score_trials(broken)))
    assert "1 not converged" in text
    assert "2 of 2 failed" in text


def test_confusion_table_is_laid_out_as_in_the_paper(store: str, tmp_path: Path) -> None:
    record = load_study("full", store)
    unet, urec = confusion_tables(record, score_trials(record))
    assert (unet.variant, urec.variant) == ("unet", "urec")
    assert (urec.label_frac, urec.seeds, urec.num_tiles) == (1.0, (0, 1, 2), 2)
    keys = [f"confirm-urec-f1.00-s{seed}" for seed in range(3)]
    np.testing.assert_array_equal(urec.counts, sum(record.confusions[key].pooled() for key in keys))
    csv_path, md_path, tex_path = write_confusion(urec, tmp_path)
    with csv_path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["label_frac", "num_seeds", "reference", *urec.classes]
    assert [row[2] for row in rows[1:]] == [
        *urec.classes, "Precision/Correctness", "Recall/Completeness", "F1",
    ]  # fmt: skip
    matrix = np.array([[float(cell) for cell in row[3:]] for row in rows[1:]])
    np.testing.assert_allclose(matrix[:6].sum(axis=1), 1.0, atol=5e-6)
    np.testing.assert_allclose(np.diag(matrix[:6]), matrix[7], atol=1e-6)
    assert "at 100\N{NO-BREAK SPACE}% of the labels" in md_path.read_text()
    tex = tex_path.read_text()
    assert r"100~\% of the labels" in tex
    assert r"low\_vegetation" in tex


def test_files_are_the_same_bytes_every_time(store: str, tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        record = load_study("full", store)
        scores = score_trials(record)
        paths = [*write_comparison(comparison(record, scores), folder)]
        for table in confusion_tables(record, scores):
            paths += write_confusion(table, folder)
        written.append({path.name: path.read_bytes() for path in paths})
    assert len(written[0]) == 9
    assert written[0] == written[1]


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
    column = lines[0].index("remarks")
    (failed,) = [i for i, line in enumerate(lines) if line.startswith("100") and "search" in line]
    wrapped = [lines[failed][column:], *(line.strip() for line in lines[failed + 1 :])]
    assert " ".join(wrapped) == "search: 2 of 2 failed"
    assert lines[failed].split()[2:5] == ["U-REC", "(annotated)", "0"]


def test_remarks_stand_in_what_is_read_and_not_in_the_csv(store: str, tmp_path: Path) -> None:
    record = load_study("variants", store)
    csv_path, md_path, tex_path = write_comparison(
        comparison(record, score_trials(record)), tmp_path
    )
    with csv_path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [c for c in COLUMNS if "eroded" not in c and c != "remarks"]
    assert [row["model"] for row in rows[:3]] == ["unet", "urec-all", "urec-annotated"]
    assert (rows[5]["num_failed"], rows[5]["oa_mean"]) == ("3", "")
    last = md_path.read_text().splitlines()[-1]
    assert last.startswith("| 100\N{NO-BREAK SPACE}% | U-REC (annotated pixels) | 0 |")
    assert last.endswith("| search: 2 of 2 failed |")
    assert r"\begin{tabular}{lrrrrrrrrl}" in tex_path.read_text()
    assert r"& 3 of 3 failed \\" in tex_path.read_text()


def test_table_without_remarks_has_no_column_for_them(store: str, tmp_path: Path) -> None:
    record = load_study("full", store)
    _, md_path, tex_path = write_comparison(comparison(record, score_trials(record)), tmp_path)
    assert "Remarks" not in md_path.read_text()
    assert r"\begin{tabular}{lrrrrrrrr}" in tex_path.read_text()


def test_confusion_of_a_variant_has_its_own_file(store: str, tmp_path: Path) -> None:
    record = load_study("variants", store)
    tables = confusion_tables(record, score_trials(record))
    assert [(t.variant, t.label_frac, t.seeds) for t in tables] == [
        ("unet", 1.0, (0, 1, 2)), ("urec-all", 1.0, (0, 1, 2)), ("urec-annotated", 0.02, (0, 1)),
    ]  # fmt: skip
    paths = write_confusion(tables[2], tmp_path)
    assert [path.name for path in paths] == [
        f"confusion_urec-annotated.{suffix}" for suffix in ("csv", "md", "tex")
    ]
    assert "U-REC (annotated pixels) at 2\N{NO-BREAK SPACE}%" in paths[1].read_text()
