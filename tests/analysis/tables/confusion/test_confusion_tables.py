import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials
from analysis.tables.confusion.confusion_tables import (
    ConfusionTable,
    all_confusion_tables,
    f1_of,
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


@given(
    hnp.arrays(np.int64, (3, 3), elements=st.integers(0, 50)),
    st.lists(st.integers(0, 2), max_size=2),
)
def test_counts_and_their_shares_give_the_same_table(counts: np.ndarray, absent: list[int]) -> None:
    counts[absent, :] = 0
    counts[:, absent] = 0
    of_counts = table(counts)
    of_shares = ConfusionTable.from_normalised(
        of_counts.normalised, of_counts.precision, variant="unet", label_frac=1.0, num_tiles=3,
        classes=CLASSES,
    )  # fmt: skip
    np.testing.assert_allclose(of_shares.recall, of_counts.recall)
    np.testing.assert_allclose(of_shares.f1, of_counts.f1, atol=1e-12)


def test_f1_of_a_class_never_right_is_0_and_of_an_absent_one_nan() -> None:
    nan = np.nan
    f1 = f1_of(np.array([nan, 0.0, nan, 0.0, 0.5]), np.array([0.0, nan, nan, 0.0, 1.0]))
    np.testing.assert_allclose(f1, [0.0, 0.0, nan, 0.0, 2 / 3])


def test_published_f1_is_kept_as_printed() -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    built = ConfusionTable.from_normalised(
        shares, np.array([0.7, 0.6]), variant="urec", label_frac=1.0, num_tiles=1,
        classes=CLASSES[:2], f1=np.array([0.123, 0.456]),
    )  # fmt: skip
    np.testing.assert_array_equal(built.f1, [0.123, 0.456])
    assert built.counts is None


@pytest.mark.parametrize(
    ("shares", "precision", "message"),
    [
        (np.eye(3), np.ones(2), r"normalised must have shape \(2, 2\), one per class, got \(3, 3"),
        (np.eye(2), np.ones(3), r"precision must have shape \(2,\), one per class, got \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    shares: np.ndarray, precision: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConfusionTable.from_normalised(
            shares, precision, variant="unet", label_frac=1.0, num_tiles=1, classes=("a", "b")
        )
    with pytest.raises(ValueError, match="counts must have shape"):
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
