"""Decodes mask bands, coloured or of values, into class indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.spec import IGNORE_INDEX, DatasetSpec, color_text
from trainables.errors import DataError

Colormap = dict[int, tuple[int, int, int, int]]
"""RGBA, 0-255 each, of every palette entry."""

_MAX_UNKNOWN_SHOWN: Final = 3
_NOT_IN_PALETTE: Final = 0x1000000


def decode_mask(
    spec: DatasetSpec, bands: NDArray[Any], colormap: Colormap | None, file: Path
) -> NDArray[np.uint8]:
    """Class indices of a mask.

    Args:
        spec: The classes, by value or by colour.
        bands: The mask as read, (bands, H, W): one of values, one with a palette, RGB or RGBA
            (alpha is not read). A palette counts for colour classes only.
        colormap: The palette of a one-band mask; None without palette.
        file: Where the mask was read, for messages.

    Returns:
        Class index or IGNORE_INDEX, (H, W), uint8.

    Raises:
        DataError: If the bands do not fit the classes, or a value or colour is of no class and
            not to be ignored.
    """
    codes = _values(bands, file) if spec.has_index_masks else _colors(bands, colormap, file)
    indices = np.full(codes.shape, IGNORE_INDEX, dtype=np.uint8)
    unknown = np.ones(codes.shape, dtype=np.bool_)
    for code, index in _index_of_code(spec).items():
        matches = codes == code
        indices[matches] = index
        unknown &= ~matches
    if spec.mask_color_tolerance and unknown.any():
        _match_impure_colors(spec, codes, unknown, indices)
    if unknown.any():
        raise DataError(_unknown_text(spec, codes, unknown, file))
    return indices


def _values(bands: NDArray[Any], file: Path) -> NDArray[Any]:
    if len(bands) != 1 or bands.dtype.kind not in "iu":
        raise DataError(
            f"mask must have 1 band of whole numbers, got {len(bands)} of {bands.dtype} in "
            f"{file}; classes have values: for colour masks give each a color only"
        )
    values: NDArray[Any] = bands[0]
    return values


def _colors(bands: NDArray[Any], colormap: Colormap | None, file: Path) -> NDArray[np.uint32]:
    """Colours (H, W) as 0xRRGGBB, of RGB, RGBA (alpha is not read) or palette bands."""
    if len(bands) == 1 and colormap is not None:
        palette = np.full(np.iinfo(bands.dtype).max + 1, _NOT_IN_PALETTE, dtype=np.uint32)
        for entry, (red, green, blue, _) in colormap.items():
            palette[entry] = _packed((red, green, blue))
        expanded: NDArray[np.uint32] = palette[bands[0]]
        return expanded
    if len(bands) not in (3, 4) or bands.dtype != np.uint8:
        raise DataError(
            f"mask must be RGB, RGBA or have a palette, got {len(bands)} bands of {bands.dtype} "
            f"in {file}; classes have colours: for index masks give each a value"
        )
    red, green, blue = bands[:3].astype(np.uint32)
    packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return packed


def _packed(color: tuple[int, int, int]) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _unpacked(code: int) -> tuple[int, int, int]:
    return code >> 16, code >> 8 & 255, code & 255


def _index_of_code(spec: DatasetSpec) -> dict[int, int]:
    """Class index or IGNORE_INDEX of each known value, or colour as 0xRRGGBB."""
    if spec.has_index_masks:
        index_of = {c.value: i for i, c in enumerate(spec.classes) if c.value is not None}
        return index_of | dict.fromkeys(spec.ignore_values, IGNORE_INDEX)
    index_of = {_packed(c.color): i for i, c in enumerate(spec.classes)}
    return index_of | {_packed(color): IGNORE_INDEX for color in spec.ignore_colors}


def _match_impure_colors(
    spec: DatasetSpec,
    codes: NDArray[np.uint32],
    unknown: NDArray[np.bool_],
    indices: NDArray[np.uint8],
) -> None:
    """Gives unknown pixels (H, W) the class of the one colour within the tolerance, in place."""
    impure, occurrence = np.unique(codes[unknown], return_inverse=True)
    channels = np.stack([impure >> 16, impure >> 8 & 255, impure & 255]).astype(np.int16)
    index_of_impure = np.full(impure.shape, IGNORE_INDEX, dtype=np.uint8)
    is_matched = np.zeros(impure.shape, dtype=np.bool_)
    for code, index in _index_of_code(spec).items():
        color = np.array(_unpacked(code), dtype=np.int16)[:, None]
        is_near = np.abs(channels - color).max(axis=0) <= spec.mask_color_tolerance
        index_of_impure[is_near] = index
        is_matched |= is_near
    indices[unknown] = index_of_impure[occurrence]
    unknown[unknown] = ~is_matched[occurrence]


def _unknown_text(
    spec: DatasetSpec, codes: NDArray[Any], unknown: NDArray[np.bool_], file: Path
) -> str:
    """The error message for the values or colours of a mask that no class has."""
    found, first, counts = np.unique(codes[unknown], return_index=True, return_counts=True)
    positions = np.flatnonzero(unknown)[first]
    shown = []
    for i in np.argsort(-counts, kind="stable")[:_MAX_UNKNOWN_SHOWN]:
        code = int(found[i])
        row, column = divmod(int(positions[i]), codes.shape[1])
        text = str(code) if spec.has_index_masks else color_text(_unpacked(code))
        shown.append(f"{text} ({counts[i]} px, first at row {row}, column {column})")
    more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    what, ignored = (
        ("values", "ignore_values") if spec.has_index_masks else ("colours", "ignore_colors")
    )
    return (
        f"mask {what} must be of a class or of {ignored}, got {', '.join(shown)}{more} in {file}; "
        f"add to classes or {ignored} (masks saved as JPEG have blurred values: use PNG or TIFF)"
    )
