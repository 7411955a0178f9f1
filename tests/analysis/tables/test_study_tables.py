import re
from pathlib import Path

import pytest

from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials
from analysis.tables.study_tables import StudyTables, study_tables


def tables(store: str, study: str) -> StudyTables:
    record = load_study(study, store)
    return study_tables(record, score_trials(record))


def test_every_table_is_written_and_offered_as_the_same_csv(store: str, tmp_path: Path) -> None:
    found = tables(store, "full")
    paths = found.write(tmp_path)
    matrices = ("confusion_unet", "confusion_urec", "confusion_urec_minus_unet")
    stems = {
        "comparison", "per_class", "class_differences", "costs",
        *(stem + frac for stem in matrices for frac in ("", "_f0.02", "_f1.00")),
    }  # fmt: skip
    assert {path.name for path in paths} == {
        f"{stem}.{suffix}" for stem in stems for suffix in ("csv", "md", "tex")
    }
    assert len(paths) == 3 * len(stems)
    csvs = found.csvs()
    assert set(csvs) == stems
    assert all((tmp_path / f"{stem}.csv").read_text() == text for stem, text in csvs.items())


def test_files_are_the_same_bytes_every_time(store: str, tmp_path: Path) -> None:
    written = [
        {path.name: path.read_bytes() for path in tables(store, "variants").write(folder)}
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert written[0] == written[1]


def test_all_pairs_of_variants_are_subtracted(store: str) -> None:
    found = [(d.label_frac, d.variant, d.reference) for d in tables(store, "variants").differences]
    assert found == [
        (0.02, "urec-all", "unet"), (0.02, "urec-annotated", "unet"),
        (0.02, "urec-all", "urec-annotated"),
        (0.1, "urec-all", "unet"),
        (1.0, "urec-all", "unet"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("study", "stems"),
    [
        ("empty", []),
        ("searching", ["comparison", "costs"]),
        ("broken", ["comparison", "per_class", "confusion_unet", "confusion_unet_f0.10", "costs"]),
        ("one-model", ["comparison", "per_class", "confusion_unet", "confusion_unet_f0.10",
                       "costs"]),
        ("absent-class", ["comparison", "per_class", "confusion_unet", "confusion_unet_f1.00",
                          "costs"]),
    ],
)  # fmt: skip
def test_what_is_missing_has_no_table(
    store: str, tmp_path: Path, study: str, stems: list[str]
) -> None:
    found = tables(store, study)
    assert list(found.csvs()) == stems
    written = found.write(tmp_path)
    assert len(written) == 3 * len(stems)
    assert not any(re.search(r"\bnan\b", path.read_text()) for path in written)
