"""Counts pixels by reference and predicted class, on whatever device they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX


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
