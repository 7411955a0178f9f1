import numpy as np
import pytest
import sklearn.metrics
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.evaluation.confusion import confusion_matrix


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
def test_counts_against_sklearn(seed):
    prediction, reference = _maps(seed)
    known = reference != IGNORE_INDEX
    truth, guess = reference[known].numpy(), prediction[known].numpy()
    confusion = confusion_matrix(prediction, reference, 5)
    assert np.array_equal(confusion, sklearn.metrics.confusion_matrix(truth, guess))


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
