"""Measures of a segmentation, all derived from integer confusion matrices.

Matrices of tiles and workers are summed before anything is derived: the mean of per-tile
measures is another, and wrong, number. Rows are the reference, columns the prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

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


def summarise(
    confusion: Counts, class_names: Sequence[str], exclude_from_mean: Collection[str] = ()
) -> dict[str, float]:
    """Every measure by the name it is recorded under.

    Excluded classes are left out of means only: their pixels stay in the matrix, where they
    count as errors of the other classes, in OA and in kappa. So are classes without a reference
    pixel in the whole matrix, whatever is predicted: see `class_mean`.

    Args:
        confusion: Pixel counts (K, K); rows reference, columns prediction.
        class_names: K different names, in the order of the matrix.
        exclude_from_mean: Names that `mean_f1` and `miou` leave out.

    Returns:
        `oa`, `kappa`; `mean_f1`, `miou` without, `mean_f1_all`, `miou_all` with the excluded
        classes; `f1_<class>`, `iou_<class>`, `precision_<class>`, `recall_<class>`. NaN as in
        the functions above; means are NaN where no class is left.

    Raises:
        ValueError: If the names do not fit the matrix or an excluded class is unknown.
    """
    names = tuple(class_names)
    if len(set(names)) != len(names) or len(names) != len(confusion):
        raise ValueError(f"class_names must be {len(confusion)} different names, got {list(names)}")
    unknown = sorted(set(exclude_from_mean) - set(names))
    if unknown:
        raise ValueError(
            f"exclude_from_mean must be among {', '.join(names)}, got {', '.join(unknown)}"
        )
    per_class = {
        "f1": f1_per_class(confusion),
        "iou": iou_per_class(confusion),
        "precision": precision_per_class(confusion),
        "recall": recall_per_class(confusion),
    }
    present = has_reference(confusion)
    excluded = tuple(exclude_from_mean)
    measures = {
        "oa": overall_accuracy(confusion),
        "kappa": kappa(confusion),
        "mean_f1": class_mean(per_class["f1"], present, names, excluded),
        "miou": class_mean(per_class["iou"], present, names, excluded),
        "mean_f1_all": class_mean(per_class["f1"], present, names),
        "miou_all": class_mean(per_class["iou"], present, names),
    }
    for measure, values in per_class.items():
        measures |= {f"{measure}_{name}": one for name, one in zip(names, values, strict=True)}
    return {name: float(value) for name, value in measures.items()}


def has_reference(confusion: Counts) -> NDArray[np.bool_]:
    """Which classes have a reference pixel, (..., K).

    Args:
        confusion: Pixel counts (..., K, K); rows reference, columns prediction.

    Raises:
        ValueError: If the last two axes are not square.
    """
    known: NDArray[np.bool_] = _checked(confusion).sum(axis=-1) > 0.0
    return known


def class_mean(
    values: Values,
    present: NDArray[np.bool_],
    classes: tuple[str, ...],
    exclude: tuple[str, ...] = (),
) -> Values:
    """Mean over the classes that have reference pixels, leaving out the excluded ones.

    The reference decides alone, and once for all tiles of a split together: a class that is not
    there cannot be found, and one pixel wrongly called so would be worth a whole class.

    Args:
        values: One value per class, (..., K), a number where the class is present.
        present: As from `has_reference` of all tiles, (K,) or (..., K).
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
    counted = present & np.array([name not in exclude for name in classes])
    return _ratio(np.where(counted, values, 0.0).sum(axis=-1), counted.sum(axis=-1))


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
