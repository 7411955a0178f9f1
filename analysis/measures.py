"""Accuracy measures of one confusion matrix, in numpy and float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.confusion import Confusion

PerClass = NDArray[np.float64]


def overall_accuracy(confusion: Confusion) -> float:
    """Share of pixels predicted as their reference, in [0, 1]; NaN without any pixel.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return float(_ratio(np.trace(counts), counts.sum()))


def precision_per_class(confusion: Confusion) -> PerClass:
    """Precision (correctness) of each class, in [0, 1], (K,).

    NaN for a class that was never predicted: there is nothing to be right or wrong about.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return _ratio(np.diag(counts), counts.sum(axis=0))


def recall_per_class(confusion: Confusion) -> PerClass:
    """Recall (completeness) of each class, in [0, 1], (K,).

    NaN for a class without any reference pixel.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return _ratio(np.diag(counts), counts.sum(axis=1))


def f1_per_class(confusion: Confusion) -> PerClass:
    """F1 of each class, 2 TP / (2 TP + FP + FN), in [0, 1], (K,).

    NaN for a class in neither reference nor prediction; 0 for a class that is in one of them
    and never right.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return _ratio(2.0 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def iou_per_class(confusion: Confusion) -> PerClass:
    """Intersection over union of each class, TP / (TP + FP + FN), in [0, 1], (K,).

    NaN for a class in neither reference nor prediction.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    hits = np.diag(counts)
    return _ratio(hits, counts.sum(axis=0) + counts.sum(axis=1) - hits)


def kappa(confusion: Confusion) -> float:
    """Cohen's kappa, at most 1; 0 is agreement by chance.

    NaN without any pixel, or when reference and prediction are one and the same single class
    (agreement by chance is then certain).

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    total = counts.sum()
    if total == 0:
        return float("nan")
    observed = np.trace(counts) / total
    chance = float(counts.sum(axis=0) @ counts.sum(axis=1)) / total**2
    return float(_ratio(observed - chance, 1.0 - chance))


def class_mean(values: PerClass, classes: tuple[str, ...], exclude: tuple[str, ...] = ()) -> float:
    """Mean over classes, leaving out the excluded and the undefined (NaN) ones.

    Args:
        values: One value per class, (K,); NaN where undefined.
        classes: Their names, K of them.
        exclude: Names to leave out.

    Returns:
        The mean; NaN if no class is left.

    Raises:
        ValueError: If values and classes differ in number.
    """
    if len(values) != len(classes):
        raise ValueError(f"values must have one entry per class {classes!r}, got {len(values)}")
    kept = [v for v, name in zip(values, classes, strict=True) if name not in exclude]
    defined = [float(v) for v in kept if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")


def row_normalised(confusion: Confusion) -> NDArray[np.float64]:
    """Each row divided by its sum, so that the diagonal is recall, (K, K), in [0, 1].

    NaN in the row of a class without any reference pixel.

    Args:
        confusion: Pixel counts (K, K), int64; rows reference, columns prediction.

    Raises:
        ValueError: If confusion is not square.
    """
    counts = _checked(confusion)
    return _ratio(counts, counts.sum(axis=1, keepdims=True))


def _checked(confusion: Confusion) -> NDArray[np.float64]:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(f"confusion must be square (K, K), got shape {confusion.shape}")
    return confusion.astype(np.float64)


def _ratio(part: NDArray[np.float64] | float, whole: NDArray[np.float64] | float) -> PerClass:
    part_array, whole_array = np.broadcast_arrays(
        np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    )
    out = np.full(part_array.shape, np.nan)
    np.divide(part_array, whole_array, out=out, where=whole_array != 0)
    return out
