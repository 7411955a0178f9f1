"""Reduces images and masks by whole blocks of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def reduce_image(
    image: NDArray[Any], hidden: NDArray[np.bool_] | None, size_px: int
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Means over the shown pixels of each full block of an image.

    Args:
        image: (C, H, W), 0 where hidden.
        hidden: (H, W), or None where all is shown.
        size_px: Side d of a block.

    Returns:
        Means (C, H // d, W // d) in the type of the image, whole numbers rounded half up, 0
        where a block shows nothing; and which blocks show anything (H // d, W // d), None for
        all.
    """
    if size_px == 1:
        return image, None if hidden is None else ~hidden
    area = size_px * size_px
    counts: NDArray[Any] | int = area
    if hidden is not None:
        counts = _block_sums((~hidden)[None], size_px, np.dtype(np.uint32))[0]
    shown = None if isinstance(counts, int) else counts > 0
    divisor = counts if isinstance(counts, int) else np.maximum(counts, 1)
    if image.dtype.kind == "f":
        sums = _block_sums(image, size_px, np.dtype(np.float64))
        return (sums / divisor).astype(image.dtype), shown
    wide = np.dtype(np.uint32 if image.dtype == np.uint8 else np.uint64)
    sums = _block_sums(image, size_px, wide)
    sums = (2 * sums + np.asarray(divisor, dtype=wide)) // np.asarray(2 * divisor, dtype=wide)
    return sums.astype(image.dtype), shown


def block_centers(mask: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Pixel (d // 2, d // 2) of each full block of a mask (H, W): no class is invented."""
    height, width = (length // size_px * size_px for length in mask.shape)
    return mask[size_px // 2 : height : size_px, size_px // 2 : width : size_px]


def _block_sums(image: NDArray[Any], size_px: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    height, width = (length // size_px * size_px for length in image.shape[1:])
    sums = np.zeros((len(image), height // size_px, width // size_px), dtype=dtype)
    for row in range(size_px):
        for column in range(size_px):
            sums += image[:, row:height:size_px, column:width:size_px]
    return sums
