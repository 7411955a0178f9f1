"""Measures of a segmentation, all derived from one confusion matrix.

Matrices of tiles and workers are summed before anything is derived: the mean of per-tile
measures is another, and wrong, number. Rows are the reference, columns the prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from trainables.data.spec import IGNORE_INDEX


def confusion_matrix(prediction: Tensor, reference: Tensor, num_classes: int) -> Tensor:
    """Count pixels by reference and predicted class.

    Args:
        prediction: Class indices, any shape, any integer dtype.
        reference: Class indices of the same shape, any integer dtype; pixels that are
            `IGNORE_INDEX` are not counted, whatever was predicted there.
        num_classes: K.

    Returns:
        Counts (K, K), int64, on the device of the inputs; rows reference, columns prediction.

    Raises:
        ValueError: If the shapes differ or a counted pixel holds a class outside 0 ... K - 1.
    """
    if prediction.shape != reference.shape:
        raise ValueError(
            f"prediction must have the shape of reference {tuple(reference.shape)}, "
            f"got {tuple(prediction.shape)}"
        )
    counted = reference != IGNORE_INDEX
    predicted, true = prediction[counted].long(), reference[counted].long()
    for name, classes in (("prediction", predicted), ("reference", true)):
        outside = classes[(classes < 0) | (classes >= num_classes)]
        if outside.numel():
            raise ValueError(
                f"{name} must be in 0 ... {num_classes - 1}"
                f"{f' or {IGNORE_INDEX}' if name == 'reference' else ''}, "
                f"got {sorted(set(outside.tolist()))}"
            )
    counts = torch.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def overall_accuracy(confusion: Tensor) -> Tensor:
    """Share of pixels whose class is right.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [0, 1], scalar, float64; NaN without any pixel.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return counts.trace() / counts.sum()


def precision_per_class(confusion: Tensor) -> Tensor:
    """Share of the pixels predicted as a class that are of it (correctness).

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [0, 1], (K,), float64; NaN for a class that was never predicted.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return counts.diagonal() / counts.sum(dim=0)


def recall_per_class(confusion: Tensor) -> Tensor:
    """Share of the pixels of a class that were predicted as it (completeness).

    This is the diagonal of the paper's tables, which are normalised by row.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [0, 1], (K,), float64; NaN for a class that is not in the reference.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return counts.diagonal() / counts.sum(dim=1)


def f1_per_class(confusion: Tensor) -> Tensor:
    """F1 of each class, 2 TP / (2 TP + FP + FN), pooled over all pixels.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [0, 1], (K,), float64; 0 for a class in the reference that was never predicted or
        the other way round, NaN for a class in neither.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return 2 * counts.diagonal() / (counts.sum(dim=0) + counts.sum(dim=1))


def iou_per_class(confusion: Tensor) -> Tensor:
    """Intersection over union of each class, TP / (TP + FP + FN), pooled over all pixels.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [0, 1], (K,), float64; 0 for a class in the reference that was never predicted or
        the other way round, NaN for a class in neither.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    hits = counts.diagonal()
    return hits / (counts.sum(dim=0) + counts.sum(dim=1) - hits)


def kappa(confusion: Tensor) -> Tensor:
    """Cohen's kappa: agreement beyond what the class frequencies give by chance.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Returns:
        In [-1, 1], scalar, float64; NaN without any pixel, or if reference and prediction
        hold one and the same class everywhere.

    Raises:
        ValueError: If confusion is not square.
    """
    shares = _checked(confusion)
    shares = shares / shares.sum()
    by_chance = shares.sum(dim=0) @ shares.sum(dim=1)
    return (shares.trace() - by_chance) / (1 - by_chance)


def summarise(
    confusion: Tensor, class_names: Sequence[str], exclude_from_mean: Collection[str] = ()
) -> dict[str, float]:
    """Every measure by the name it is recorded under.

    Excluded classes are left out of means only: their pixels stay in the matrix, where they
    count as errors of the other classes, in OA and in kappa.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.
        class_names: K different names, in the order of the matrix.
        exclude_from_mean: Names that `mean_f1` and `miou` leave out.

    Returns:
        `oa`, `kappa`; `mean_f1`, `miou` without, `mean_f1_all`, `miou_all` with the excluded
        classes; `f1_<class>`, `iou_<class>`, `precision_<class>`, `recall_<class>`. NaN as in
        the functions above; means leave NaN out and are NaN where nothing is left.

    Raises:
        ValueError: If the names do not fit the matrix or an excluded class is unknown.
    """
    if len(set(class_names)) != len(class_names) or len(class_names) != len(confusion):
        raise ValueError(
            f"class_names must be {len(confusion)} different names, got {list(class_names)}"
        )
    unknown = sorted(set(exclude_from_mean) - set(class_names))
    if unknown:
        raise ValueError(
            f"exclude_from_mean must be among {', '.join(class_names)}, got {', '.join(unknown)}"
        )
    per_class = {
        "f1": f1_per_class(confusion),
        "iou": iou_per_class(confusion),
        "precision": precision_per_class(confusion),
        "recall": recall_per_class(confusion),
    }
    included = [i for i, name in enumerate(class_names) if name not in exclude_from_mean]
    measures = {
        "oa": overall_accuracy(confusion),
        "kappa": kappa(confusion),
        "mean_f1": per_class["f1"][included].nanmean(),
        "miou": per_class["iou"][included].nanmean(),
        "mean_f1_all": per_class["f1"].nanmean(),
        "miou_all": per_class["iou"].nanmean(),
    }
    for measure, values in per_class.items():
        measures |= {f"{measure}_{name}": v for name, v in zip(class_names, values, strict=True)}
    return {name: value.item() for name, value in measures.items()}


def _checked(confusion: Tensor) -> Tensor:
    """The matrix as float64, exact for counts below 2**53; refuses what is not square."""
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be square (K, K), got shape {tuple(confusion.shape)}")
    return confusion.double()
