import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from contract.measures import (
    class_mean,
    f1_per_class,
    has_reference,
    iou_per_class,
    kappa,
    overall_accuracy,
    precision_per_class,
    recall_per_class,
    row_normalised,
    summarise,
)

NAN = float("nan")
BY_HAND = np.array([[6, 2, 0], [1, 9, 0], [2, 0, 0]], dtype=np.int64)


def test_measures_of_a_matrix_computed_by_hand() -> None:
    assert overall_accuracy(BY_HAND) == pytest.approx(15 / 20)
    np.testing.assert_allclose(precision_per_class(BY_HAND), [6 / 9, 9 / 11, NAN])
    np.testing.assert_allclose(recall_per_class(BY_HAND), [6 / 8, 9 / 10, 0.0])
    np.testing.assert_allclose(f1_per_class(BY_HAND), [12 / 17, 18 / 21, 0.0])
    np.testing.assert_allclose(iou_per_class(BY_HAND), [6 / 11, 9 / 12, 0.0])
    chance = (9 * 8 + 11 * 10 + 0 * 2) / 400
    assert kappa(BY_HAND) == pytest.approx((0.75 - chance) / (1 - chance))


def test_rows_of_the_paper_are_recall_on_the_diagonal() -> None:
    normalised = row_normalised(BY_HAND)
    np.testing.assert_allclose(normalised.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(normalised), recall_per_class(BY_HAND))


@given(arrays(np.int64, (4, 4), elements=st.integers(0, 30)))
def test_measures_agree_with_scikit_learn(counts: np.ndarray) -> None:
    truth, predicted = np.nonzero(np.ones((4, 4)))
    weights = counts.ravel()
    present = (counts.sum(0) + counts.sum(1)) > 0
    if present.sum() < 2:
        return
    labels = list(range(4))
    args = {"labels": labels, "sample_weight": weights, "zero_division": 0.0}
    ours = f1_per_class(counts)
    assert np.array_equal(np.isnan(ours), ~present)
    expected = sk.f1_score(truth, predicted, average=None, **args)
    np.testing.assert_allclose(ours[present], expected[present])
    expected = sk.jaccard_score(truth, predicted, average=None, **args)
    np.testing.assert_allclose(iou_per_class(counts)[present], expected[present])
    expected = sk.recall_score(truth, predicted, average=None, **args)
    np.testing.assert_allclose(np.nan_to_num(recall_per_class(counts)), expected)
    expected = sk.precision_score(truth, predicted, average=None, **args)
    np.testing.assert_allclose(np.nan_to_num(precision_per_class(counts)), expected)
    assert overall_accuracy(counts) == pytest.approx(
        sk.accuracy_score(truth, predicted, sample_weight=weights)
    )
    assert kappa(counts) == pytest.approx(
        sk.cohen_kappa_score(truth, predicted, sample_weight=weights), nan_ok=True
    )


def test_class_in_neither_reference_nor_prediction_is_nan_and_in_no_mean() -> None:
    counts = np.array([[5, 0, 5], [0, 0, 0], [0, 0, 10]], dtype=np.int64)
    f1 = f1_per_class(counts)
    assert np.isnan(f1[1])
    assert np.isnan(iou_per_class(counts)[1])
    present = has_reference(counts)
    assert present.tolist() == [True, False, True]
    assert class_mean(f1, present, ("a", "b", "c")) == pytest.approx((10 / 15 + 20 / 25) / 2)
    assert class_mean(f1, present, ("a", "b", "c"), ("c",)) == pytest.approx(10 / 15)
    assert np.isnan(class_mean(f1, present, ("a", "b", "c"), ("a", "c")))


def test_one_wrong_pixel_of_an_absent_class_does_not_move_mean_f1_by_a_quarter() -> None:
    """It moved from 0.933 to 0.700: a class without a reference pixel counted as one of F1 0."""
    clean = np.array([[930, 70, 0], [64, 936, 0], [0, 0, 0]])
    wrong = clean - np.array([[1, 0, 0], [0, 0, 0], [0, 0, 0]])
    wrong[0, 2] = 1
    before, after = (summarise(counts, ["a", "b", "absent"]) for counts in (clean, wrong))
    for measure in ("mean_f1", "miou", "mean_f1_all", "miou_all"):
        assert after[measure] == pytest.approx(before[measure], abs=0.001)
        assert after[measure] < before[measure]  # it is an error of class a all the same
    assert after["f1_absent"] == 0.0


def test_a_class_that_is_never_found_counts_in_the_mean() -> None:
    never = np.array([[10, 0], [10, 0]])
    assert summarise(never, ["a", "b"])["mean_f1"] == pytest.approx((20 / 30) / 2)


def test_no_pixels_at_all_is_nan_not_zero() -> None:
    nothing = np.zeros((2, 2), dtype=np.int64)
    assert np.isnan(overall_accuracy(nothing))
    assert np.isnan(kappa(nothing))
    assert np.isnan(row_normalised(nothing)).all()


def test_kappa_of_one_single_class_is_nan() -> None:
    assert np.isnan(kappa(np.array([[7, 0], [0, 0]], dtype=np.int64)))


def test_counts_beyond_float32_stay_exact() -> None:
    """A whole survey: 10^11 pixels, one of them wrong."""
    counts = np.array([[10**11, 1], [0, 10**11]], dtype=np.int64)
    assert overall_accuracy(counts) < 1.0


def test_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"square \(..., K, K\), got shape \(2, 3\)"):
        f1_per_class(np.ones((2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="one entry per class"):
        class_mean(np.ones(2), np.ones(2, dtype=bool), ("a",))


NEVER_PREDICTED = np.array([[6, 2, 0], [1, 3, 0], [4, 0, 0]])
"""Class 2 is in the reference and never predicted."""


def test_a_class_never_predicted_has_f1_0_and_no_precision() -> None:
    precision = precision_per_class(NEVER_PREDICTED)
    np.testing.assert_allclose(precision, [6 / 11, 3 / 5, NAN])
    assert f1_per_class(NEVER_PREDICTED)[2] == 0


def test_a_class_only_predicted_has_f1_0_and_no_recall() -> None:
    confusion = NEVER_PREDICTED.T
    assert np.isnan(recall_per_class(confusion)[2])
    assert f1_per_class(confusion)[2] == iou_per_class(confusion)[2] == 0


def test_an_absent_class_is_nan_and_left_out_of_the_means_of_a_summary() -> None:
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    summary = summarise(confusion, ["a", "b", "absent"])
    for measure in ("f1", "iou", "precision", "recall"):
        assert math.isnan(summary[f"{measure}_absent"])
    assert summary["mean_f1"] == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert summary["miou"] == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_no_pixel_at_all_is_nan_everywhere() -> None:
    summary = summarise(np.zeros((2, 2), np.int64), ["a", "b"])
    assert all(math.isnan(value) for value in summary.values())


def test_summary_has_these_keys_and_excludes_from_means_only() -> None:
    summary = summarise(NEVER_PREDICTED, ["road", "roof", "clutter"], ["clutter"])
    f1, iou = f1_per_class(NEVER_PREDICTED), iou_per_class(NEVER_PREDICTED)
    assert list(summary) == [
        *["oa", "kappa", "mean_f1", "miou", "mean_f1_all", "miou_all"],
        *[
            f"{m}_{c}"
            for m in ("f1", "iou", "precision", "recall")
            for c in ("road", "roof", "clutter")
        ],
    ]
    assert all(type(value) is float for value in summary.values())
    assert summary["mean_f1"] == pytest.approx(f1[:2].mean())
    assert summary["miou"] == pytest.approx(iou[:2].mean())
    assert summary["mean_f1_all"] == pytest.approx(f1.mean())
    assert summary["miou_all"] == pytest.approx(iou.mean())
    assert summary["oa"] == pytest.approx(9 / 16)
    assert summary["precision_road"] == pytest.approx(6 / 11)
    assert summary["f1_clutter"] == 0


def test_every_class_excluded_leaves_a_nan_mean() -> None:
    assert math.isnan(summarise(NEVER_PREDICTED, ["a", "b", "c"], ["a", "b", "c"])["mean_f1"])


def test_names_must_fit_the_matrix() -> None:
    with pytest.raises(ValueError, match="class_names must be 3 different names"):
        summarise(NEVER_PREDICTED, ["a", "b"])
    with pytest.raises(ValueError, match="class_names must be 3 different names"):
        summarise(NEVER_PREDICTED, ["a", "b", "b"])
    with pytest.raises(ValueError, match="exclude_from_mean must be among a, b, c, got d"):
        summarise(NEVER_PREDICTED, ["a", "b", "c"], ["d"])
