import math

import numpy as np
import pytest
import sklearn.metrics
import torch

from trainables.data.spec import IGNORE_INDEX
from trainables.metrics import (
    confusion_matrix,
    f1_per_class,
    iou_per_class,
    kappa,
    overall_accuracy,
    precision_per_class,
    recall_per_class,
    summarise,
)

BY_HAND = torch.tensor([[6, 2, 0], [1, 3, 0], [4, 0, 0]])
"""Class 2 is in the reference and never predicted."""


def _maps(seed=0, num_classes=5, shape=(40, 50)):
    """A random reference with ignored pixels and a prediction that is right about half the time."""
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randint(0, num_classes, shape, generator=generator)
    guess = torch.randint(0, num_classes, shape, generator=generator)
    prediction = torch.where(torch.rand(shape, generator=generator) < 0.5, reference, guess)
    reference[torch.rand(shape, generator=generator) < 0.2] = IGNORE_INDEX
    return prediction, reference


def test_confusion_by_hand_rows_are_the_reference():
    prediction = torch.tensor([[0, 1, 1], [0, 1, 0]])
    reference = torch.tensor([[0, 0, 0], [1, 1, IGNORE_INDEX]])
    confusion = confusion_matrix(prediction, reference, 3)
    assert confusion.tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 0]]
    assert confusion.dtype == torch.int64


@pytest.mark.parametrize("seed", range(3))
def test_measures_against_sklearn(seed):
    prediction, reference = _maps(seed)
    known = reference != IGNORE_INDEX
    truth, guess = reference[known].numpy(), prediction[known].numpy()
    confusion = confusion_matrix(prediction, reference, 5)
    assert np.array_equal(confusion, sklearn.metrics.confusion_matrix(truth, guess))
    for ours, theirs in [
        (f1_per_class, sklearn.metrics.f1_score),
        (iou_per_class, sklearn.metrics.jaccard_score),
        (precision_per_class, sklearn.metrics.precision_score),
        (recall_per_class, sklearn.metrics.recall_score),
    ]:
        values = ours(confusion)
        assert values.dtype == torch.float64
        assert values.numpy() == pytest.approx(theirs(truth, guess, average=None), rel=1e-12)
    assert overall_accuracy(confusion).item() == pytest.approx((truth == guess).mean(), rel=1e-12)
    expected = sklearn.metrics.cohen_kappa_score(truth, guess)
    assert kappa(confusion).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_any_integer_dtype(dtype):
    prediction, reference = _maps()
    expected = confusion_matrix(prediction, reference, 5)
    assert torch.equal(confusion_matrix(prediction.to(dtype), reference.to(dtype), 5), expected)


def test_whatever_is_predicted_on_ignored_pixels_counts_nowhere():
    prediction, reference = _maps()
    changed = prediction.where(reference != IGNORE_INDEX, 99)
    assert torch.equal(
        confusion_matrix(changed, reference, 5), confusion_matrix(prediction, reference, 5)
    )


def test_nothing_known_gives_an_empty_matrix():
    reference = torch.full((3, 3), IGNORE_INDEX)
    assert confusion_matrix(torch.zeros_like(reference), reference, 2).tolist() == [[0, 0], [0, 0]]


def test_tiles_sum_to_the_whole():
    prediction, reference = _maps()
    parts = [
        confusion_matrix(p, r, 5)
        for p, r in zip(prediction.split(13), reference.split(13), strict=True)
    ]
    assert torch.equal(torch.stack(parts).sum(0), confusion_matrix(prediction, reference, 5))


def test_a_class_beyond_the_last_is_refused_and_not_counted_as_another():
    inside, beyond = torch.tensor([0, 1]), torch.tensor([0, 2])
    with pytest.raises(ValueError, match=r"prediction must be in 0 \.\.\. 1, got \[2\]"):
        confusion_matrix(beyond, inside, 2)
    with pytest.raises(ValueError, match=r"reference must be in 0 \.\.\. 1 or 255, got \[2\]"):
        confusion_matrix(inside, beyond, 2)
    with pytest.raises(ValueError, match=r"prediction must be .* got \[-1\]"):
        confusion_matrix(inside - 1, inside, 2)


def test_maps_of_different_size_are_refused():
    with pytest.raises(ValueError, match="shape of reference"):
        confusion_matrix(torch.zeros(2, 3).long(), torch.zeros(3, 2).long(), 2)


def test_measures_by_hand():
    assert overall_accuracy(BY_HAND).item() == pytest.approx(9 / 16)
    assert recall_per_class(BY_HAND).tolist() == pytest.approx([6 / 8, 3 / 4, 0])
    assert f1_per_class(BY_HAND).tolist() == pytest.approx([12 / 19, 6 / 9, 0])
    assert iou_per_class(BY_HAND).tolist() == pytest.approx([6 / 13, 3 / 6, 0])
    by_chance = (8 * 11 + 4 * 5 + 4 * 0) / 16**2
    assert kappa(BY_HAND).item() == pytest.approx((9 / 16 - by_chance) / (1 - by_chance))


def test_a_class_never_predicted_has_f1_0_and_no_precision():
    precision = precision_per_class(BY_HAND)
    assert precision[:2].tolist() == pytest.approx([6 / 11, 3 / 5])
    assert precision[2].isnan()


def test_a_class_only_predicted_has_f1_0_and_no_recall():
    confusion = BY_HAND.T
    assert recall_per_class(confusion)[2].isnan()
    assert f1_per_class(confusion)[2] == iou_per_class(confusion)[2] == 0


def test_an_absent_class_is_nan_and_left_out_of_means():
    confusion = torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    summary = summarise(confusion, ["a", "b", "absent"])
    for measure in ("f1", "iou", "precision", "recall"):
        assert math.isnan(summary[f"{measure}_absent"])
    assert summary["mean_f1"] == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert summary["miou"] == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_no_pixel_at_all_is_nan_everywhere():
    summary = summarise(torch.zeros(2, 2, dtype=torch.int64), ["a", "b"])
    assert all(math.isnan(value) for value in summary.values())


def test_kappa_of_one_class_everywhere_is_nan():
    assert kappa(torch.tensor([[7, 0], [0, 0]])).isnan()


def test_counts_of_a_large_study_stay_exact():
    confusion = torch.tensor([[4_000_000_000, 1], [0, 5_000_000_000]])
    assert 0 < 1 - overall_accuracy(confusion).item() < 2e-10
    assert kappa(confusion).item() == pytest.approx(1, abs=1e-9)


def test_summary_has_these_keys_and_excludes_from_means_only():
    summary = summarise(BY_HAND, ["road", "roof", "clutter"], ["clutter"])
    f1, iou = f1_per_class(BY_HAND), iou_per_class(BY_HAND)
    assert list(summary) == [
        *["oa", "kappa", "mean_f1", "miou", "mean_f1_all", "miou_all"],
        *[
            f"{m}_{c}"
            for m in ("f1", "iou", "precision", "recall")
            for c in ("road", "roof", "clutter")
        ],
    ]
    assert all(type(value) is float for value in summary.values())
    assert summary["mean_f1"] == pytest.approx(f1[:2].mean().item())
    assert summary["miou"] == pytest.approx(iou[:2].mean().item())
    assert summary["mean_f1_all"] == pytest.approx(f1.mean().item())
    assert summary["miou_all"] == pytest.approx(iou.mean().item())
    assert summary["oa"] == pytest.approx(9 / 16)
    assert summary["precision_road"] == pytest.approx(6 / 11)
    assert summary["f1_clutter"] == 0


def test_every_class_excluded_leaves_a_nan_mean():
    assert math.isnan(summarise(BY_HAND, ["a", "b", "c"], ["a", "b", "c"])["mean_f1"])


def test_names_must_fit_the_matrix():
    with pytest.raises(ValueError, match="class_names must be 3 different names"):
        summarise(BY_HAND, ["a", "b"])
    with pytest.raises(ValueError, match="class_names must be 3 different names"):
        summarise(BY_HAND, ["a", "b", "b"])
    with pytest.raises(ValueError, match="exclude_from_mean must be among a, b, c, got d"):
        summarise(BY_HAND, ["a", "b", "c"], ["d"])


@pytest.mark.parametrize(
    "measure",
    [
        overall_accuracy,
        precision_per_class,
        recall_per_class,
        f1_per_class,
        iou_per_class,
        kappa,
    ],
)
def test_a_matrix_that_is_not_square_is_refused(measure):
    with pytest.raises(ValueError, match=r"confusion must be square \(K, K\), got shape \(2, 3\)"):
        measure(torch.zeros(2, 3))
