import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import styles_of
from analysis.statistics.label_efficiency.shares import Shares
from analysis.statistics.scores import score_trials
from analysis.tables.comparison import FOR_READERS, comparison, confusion_tables, per_class
from analysis.tables.confusion.confusion_tables import ConfusionTable
from analysis.tables.costs.costs import COST_COLUMNS
from analysis.tables.files.confusion_files import confusion_table
from analysis.tables.files.table_files import (
    comparison_table,
    costs_table,
    per_class_table,
    write_table,
)

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

ASKED = Shares(by_frac={})
"""Nothing is on record but what was asked for."""
NBSP = "\N{NO-BREAK SPACE}"


def compared(store: str, study: str) -> pd.DataFrame:
    record = load_study(study, store)
    return comparison(record, score_trials(record))


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_comparison_for_machines_has_every_column_but_the_remarks(store: str) -> None:
    frame = compared(store, "full")
    rows = csv_rows(comparison_table(frame, STYLES).csv)
    assert list(rows[0]) == [column for column in frame.columns if column not in FOR_READERS]
    assert float(rows[3]["kappa_eroded_sd"]) == pytest.approx(
        frame.loc[3, "kappa_eroded_sd"], abs=5e-7
    )
    assert [row["oa_published"] for row in rows] == ["", "", "0.886000", "0.890200"]


def test_one_seed_has_an_empty_spread_not_zero(store: str) -> None:
    rows = csv_rows(comparison_table(compared(store, "one-seed"), STYLES).csv)
    assert [row["oa_sd"] for row in rows] == ["", ""]
    assert [row["w1"] for row in rows] == ["", "0.1"]


def test_remarks_stand_in_what_is_read(store: str) -> None:
    text = comparison_table(compared(store, "variants"), STYLES)
    last = text.markdown.splitlines()[-1]
    assert last.startswith(f"| 100{NBSP}% | U-REC (annotated pixels) | 0 |")
    assert last.endswith("| search: 2 of 2 failed |")
    assert r"\begin{tabular}{lrrrrrrrrrrrl}" in text.latex
    assert r"& 3 of 3 failed \\" in text.latex


def test_table_without_remarks_or_published_figures_has_no_columns_for_them(store: str) -> None:
    text = comparison_table(compared(store, "full").drop(columns="oa_published"), STYLES)
    assert text.readable[0] == [
        "Labels", "Model", "Seeds", "OA", "Mean F1", "Mean IoU", "Kappa", "w1", "lr",
        "Reached", "With validation",
    ]  # fmt: skip
    assert text.columns == "lrrrrrrrrrr"


def test_published_accuracy_stands_in_its_own_column(store: str) -> None:
    text = comparison_table(compared(store, "full"), STYLES)
    position = list(text.readable[0]).index("OA, published")
    assert [row[position] for row in text.readable[1:]] == [
        "\N{EN DASH}", "\N{EN DASH}", "0.886", "0.890",
    ]  # fmt: skip


def test_classes_stand_beside_what_is_published(store: str) -> None:
    record = load_study("full", store)
    frame = per_class(confusion_tables(record, score_trials(record)), record)
    text = per_class_table(frame, STYLES, ASKED)
    assert text.readable[0] == [
        "Class", "Model", "Labels", "Seeds", "Precision", "Recall", "F1", "IoU",
        "Precision, published", "Recall, published", "F1, published",
    ]  # fmt: skip
    assert [row[:2] for row in text.readable[1:4]] == [
        ["impervious_surfaces", "U-Net"], ["impervious_surfaces", "U-REC"], ["building", "U-Net"],
    ]  # fmt: skip
    assert text.readable[12][-3:] == ["0.889", "0.257", "0.399"]
    assert list(text.rule_before) == [3, 5, 7, 9, 11]
    assert len(csv_rows(text.csv)) == 12


def test_costs_show_what_is_not_known_as_missing() -> None:
    measured: dict[str, object] = {
        "model": "urec", "label_frac": 0.1, "phase": "confirm", "num_trials": 3, "num_failed": 1,
        "num_pruned": 0, "num_timed": 2, "num_tested": 1, "steps": 40000.0, "patches": 560000.0,
        "patches_unannotated": 560000.0, "train_s": 1234.56, "eval_s": 7.0, "test_s": 3.0,
        "trial_s": 620.78,
        "trial_s_per_baseline": 1.5, "patches_per_s": 453.6, "peak_memory_mib": 2100.4,
        "gpu_hours": 0.0, "cpu_hours": 0.000344,
    }  # fmt: skip
    unknown = {c: np.nan if d == "float64" else measured[c] for c, d in COST_COLUMNS.items()}
    unknown["label_frac"] = 0.1
    text = costs_table(pd.DataFrame([measured, unknown], columns=list(COST_COLUMNS)), STYLES, ASKED)
    assert text.readable[1] == [
        f"10{NBSP}%", "U-REC", "confirm", "3", "2", "40,000", "560,000", "560,000", "1,234.6",
        "7.0", "3.0", "620.8", "1.50", "454", "2,100", "0", "0.000344",
    ]  # fmt: skip
    assert text.readable[2][5:] == ["\N{EN DASH}"] * 12
    rows = csv_rows(text.csv)
    assert list(rows[0]) == list(COST_COLUMNS)
    assert (rows[0]["cpu_hours"], rows[0]["gpu_hours"], rows[1]["gpu_hours"]) == (
        "0.000344", "0", "",
    )  # fmt: skip


def test_files_are_named_after_their_table(store: str, tmp_path: Path) -> None:
    paths = write_table(comparison_table(compared(store, "full"), STYLES), tmp_path / "tables")
    table = ConfusionTable.from_counts(
        np.eye(2, dtype=np.int64), variant="urec-annotated", label_frac=0.02, seeds=(0, 1),
        num_tiles=2, classes=("a", "b"),
    )  # fmt: skip
    paths += write_table(confusion_table(table, STYLES, ASKED), tmp_path / "tables")
    assert [path.name for path in paths] == [
        f"{stem}.{suffix}"
        for stem in ("comparison", "confusion_urec-annotated")
        for suffix in ("csv", "md", "tex")
    ]
    assert all(path.is_file() for path in paths)
    assert f"U-REC (annotated pixels) at 2{NBSP}%" in paths[4].read_text()
