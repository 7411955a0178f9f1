import numpy as np
import pytest

from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials
from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    all_confusion_tables,
    largest_of,
)

CLASSES = ("road", "tree", "car")
COUNTS = np.array([[8, 2, 0], [1, 9, 0], [3, 1, 0]], dtype=np.int64)


def table(counts: np.ndarray, variant: str = "unet", frac: float = 1.0) -> ConfusionTable:
    return ConfusionTable.from_counts(
        counts, variant=variant, label_frac=frac, seeds=(1, 2), num_tiles=3,
        classes=CLASSES[: len(counts)],
    )  # fmt: skip


def test_every_row_follows_from_counts_by_hand() -> None:
    built = table(COUNTS)
    np.testing.assert_allclose(built.normalised, [[0.8, 0.2, 0], [0.1, 0.9, 0], [0.75, 0.25, 0]])
    np.testing.assert_allclose(built.precision, [8 / 12, 9 / 12, np.nan])
    np.testing.assert_allclose(built.recall, [0.8, 0.9, 0.0])
    np.testing.assert_allclose(built.f1, [16 / 22, 18 / 22, 0.0])
    assert [name for name, _ in built.summary_rows] == [
        "Precision/Correctness", "Recall/Completeness", "F1",
    ]  # fmt: skip
    np.testing.assert_array_equal(built.summary_rows[1][1], built.recall)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"counts must have shape \(1, 1\), one per class, got"):
        ConfusionTable.from_counts(
            np.ones((2, 2), dtype=np.int64), variant="unet", label_frac=1.0, seeds=(), num_tiles=1,
            classes=("a",),
        )  # fmt: skip


def test_all_arms_of_a_study_are_pooled_over_seeds_and_tiles(store: str) -> None:
    record = load_study("variants", store)
    tables = all_confusion_tables(record, score_trials(record))
    assert [(t.label_frac, t.variant, t.seeds) for t in tables] == [
        (0.02, "unet", (0, 1, 2)), (0.02, "urec-all", (0, 1, 2)), (0.02, "urec-annotated", (0, 1)),
        (0.1, "unet", (0, 1, 2)), (0.1, "urec-all", (0, 1, 2)),
        (1.0, "unet", (0, 1, 2)), (1.0, "urec-all", (0, 1, 2)),
    ]  # fmt: skip
    keys = [f"confirm-urec-annotated-f0.02-s{seed}" for seed in (0, 1)]
    by_hand = sum(tile.full for key in keys for tile in record.confusions[key].tiles)
    np.testing.assert_array_equal(tables[2].counts, by_hand)
    assert [(t.variant, t.label_frac) for t in largest_of(tables, record.styles)] == [
        ("unet", 1.0), ("urec-all", 1.0), ("urec-annotated", 0.02),
    ]  # fmt: skip


@pytest.mark.parametrize("study", ["empty", "searching"])
def test_study_without_a_confirmed_trial_has_no_table(store: str, study: str) -> None:
    record = load_study(study, store)
    assert all_confusion_tables(record, score_trials(record)) == ()


def test_absent_class_is_nan_in_its_row_and_in_differences(store: str) -> None:
    record = load_study("absent-class", store)
    (found,) = all_confusion_tables(record, score_trials(record))
    assert np.isnan(found.normalised[4]).all()
    assert np.isnan([found.precision[4], found.recall[4], found.f1[4]]).all()
    assert not np.isnan(np.delete(found.normalised, 4, axis=0)).any()
