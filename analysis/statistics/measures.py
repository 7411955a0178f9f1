"""Accuracy measures of confusion matrices, one or many at a time, in numpy and float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Counts = NDArray[np.int64] | NDArray[np.float64]
"""Pixel counts (..., K, K), rows reference, columns prediction; float64 where they are weighted."""


def overall_accuracy(confusion: Counts) -> Values:
    """Share of pixels predicted as their reference, in [0, 1], (...); NaN without any pixel.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    return _ratio(_hits(counts).sum(axis=-1), counts.sum(axis=(-2, -1)))


def precision_per_class(confusion: Counts) -> Values:
    """Precision (correctness) of each class, in [0, 1], (..., K).

    NaN for a class that was never predicted: there is nothing to be right or wrong about.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    return _ratio(_hits(counts), counts.sum(axis=-2))


def recall_per_class(confusion: Counts) -> Values:
    """Recall (completeness) of each class, in [0, 1], (..., K).

    NaN for a class without any reference pixel.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    return _ratio(_hits(counts), counts.sum(axis=-1))


def f1_per_class(confusion: Counts) -> Values:
    """F1 of each class, 2 TP / (2 TP + FP + FN), in [0, 1], (..., K).

    NaN for a class in neither reference nor prediction; 0 for a class that is in one of them
    and never right.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    return _ratio(2.0 * _hits(counts), counts.sum(axis=-2) + counts.sum(axis=-1))


def iou_per_class(confusion: Counts) -> Values:
    """Intersection over union of each class, TP / (TP + FP + FN), in [0, 1], (..., K).

    NaN for a class in neither reference nor prediction.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    hits = _hits(counts)
    return _ratio(hits, counts.sum(axis=-2) + counts.sum(axis=-1) - hits)


def kappa(confusion: Counts) -> Values:
    """Cohen's kappa, at most 1, (...); 0 is agreement by chance.

    NaN without any pixel, or when reference and prediction are one and the same single class
    (agreement by chance is then certain).

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    total = counts.sum(axis=(-2, -1))
    observed = _ratio(_hits(counts).sum(axis=-1), total)
    chance = _ratio((counts.sum(axis=-2) * counts.sum(axis=-1)).sum(axis=-1), total**2)
    return _ratio(observed - chance, 1.0 - chance)


def class_mean(values: Values, classes: tuple[str, ...], exclude: tuple[str, ...] = ()) -> Values:
    """Mean over classes, leaving out the excluded and the undefined (NaN) ones.

    Args:
        values: One value per class, (..., K); NaN where undefined.
        classes: Their names, K of them.
        exclude: Names to leave out.

    Returns:
        The mean, (...); NaN if no class is left.

    Raises:
        ValueError: If values and classes differ in number.
    """
    if values.shape[-1] != len(classes):
        raise ValueError(
            f"values must have one entry per class {classes!r}, got {values.shape[-1]}"
        )
    kept = values[..., [name not in exclude for name in classes]]
    defined = ~np.isnan(kept)
    return _ratio(np.where(defined, kept, 0.0).sum(axis=-1), defined.sum(axis=-1))


def row_normalised(confusion: Counts) -> NDArray[np.float64]:
    """Each row divided by its sum, so that the diagonal is recall, (..., K, K), in [0, 1].

    NaN in the row of a class without any reference pixel.

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    counts = _checked(confusion)
    return _ratio(counts, counts.sum(axis=-1, keepdims=True))


def _checked(confusion: Counts) -> Values:
    if confusion.ndim < 2 or confusion.shape[-2] != confusion.shape[-1]:
        raise ValueError(f"confusion must be square (..., K, K), got shape {confusion.shape}")
    return confusion.astype(np.float64)


def _hits(counts: Values) -> Values:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: Values, whole: NDArray[np.float64] | NDArray[np.int64]) -> Values:
    """Quotient; NaN where the whole is 0 (or NaN)."""
    part, whole = np.broadcast_arrays(part, whole)
    out = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=whole != 0)
    return out
