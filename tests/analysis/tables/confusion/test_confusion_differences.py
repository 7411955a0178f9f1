import numpy as np

from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials
from analysis.tables.confusion.confusion_differences import (
    confusion_differences,
    largest_differences,
)
from analysis.tables.confusion.confusion_tables import ConfusionTable, all_confusion_tables

CLASSES = ("road", "tree", "car")
COUNTS = np.array([[8, 2, 0], [1, 9, 0], [3, 1, 0]], dtype=np.int64)


def table(counts: np.ndarray, variant: str = "unet", frac: float = 1.0) -> ConfusionTable:
    return ConfusionTable.from_counts(
        counts, variant=variant, label_frac=frac, seeds=(1, 2), num_tiles=3, classes=CLASSES
    )


def test_difference_is_signed_cell_by_cell() -> None:
    better = np.array([[9, 1, 0], [1, 9, 0], [2, 1, 1]], dtype=np.int64)
    (found,) = confusion_differences([table(COUNTS), table(better, "urec")], [("urec", "unet")])
    np.testing.assert_allclose(
        found.normalised, [[0.1, -0.1, 0], [0, 0, 0], [-0.25, 0, 0.25]], atol=1e-12
    )
    np.testing.assert_allclose(found.precision, [9 / 12 - 8 / 12, 9 / 11 - 9 / 12, np.nan])
    np.testing.assert_allclose(found.recall, [0.1, 0.0, 0.25], atol=1e-12)
    np.testing.assert_allclose(found.f1, [18 / 22 - 16 / 22, 18 / 21 - 18 / 22, 2 / 5])
    assert (found.variant, found.reference, found.label_frac) == ("urec", "unet", 1.0)


def test_difference_is_taken_at_shared_fractions_alone() -> None:
    tables = [
        table(COUNTS, "unet", 0.1), table(COUNTS, "unet", 1.0), table(COUNTS, "urec", 0.1),
        table(COUNTS, "urec", 0.5),
    ]  # fmt: skip
    found = confusion_differences(tables, [("urec", "unet")])
    assert [one.label_frac for one in found] == [0.1]
    assert confusion_differences(tables[:2], []) == ()


def test_largest_difference_is_that_of_the_largest_shared_fraction() -> None:
    tables = [table(COUNTS, v, f) for f in (0.1, 1.0) for v in ("unet", "urec")]
    tables.append(table(COUNTS, "unet", 0.5))
    found = confusion_differences(tables, [("urec", "unet")])
    assert [one.label_frac for one in largest_differences(reversed(found))] == [1.0]
    assert largest_differences(()) == ()


def test_class_absent_on_one_side_is_nan_in_the_difference() -> None:
    without_car = COUNTS.copy()
    without_car[2] = 0
    (found,) = confusion_differences(
        [table(COUNTS), table(without_car, "urec")], [("urec", "unet")]
    )
    assert np.isnan(found.normalised[2]).all()
    assert np.isnan([found.recall[2], found.f1[2]]).all()
    assert not np.isnan(found.normalised[:2]).any()


def test_difference_of_the_other_way_round_has_the_other_sign(store: str) -> None:
    record = load_study("full", store)
    tables = all_confusion_tables(record, score_trials(record))
    one = confusion_differences(tables, [("urec", "unet")])
    other = confusion_differences(tables, [("unet", "urec")])
    assert len(one) == 2
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first.normalised, -second.normalised)
        np.testing.assert_allclose(first.f1, -second.f1)
