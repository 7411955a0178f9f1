"""Decodes mask bands, coloured or of values, into class indices."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(kw_only=True)
class UnknownCodes:
    """Values or colours of a mask file that no class has, gathered over the parts it is read in."""

    spec: DatasetSpec
    file: Path
    _found: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """By code: number of pixels, row and column of the first."""

    def add(self, codes: NDArray[Any], unknown: NDArray[np.bool_], first_row: int) -> None:
        """Count the unknown pixels of rows.

        Args:
            codes: Values, or colours as 0xRRGGBB (H, W).
            unknown: Which are of no class (H, W).
            first_row: Row of the file at which they begin.
        """
        found, first, counts = np.unique(codes[unknown], return_index=True, return_counts=True)
        positions = np.flatnonzero(unknown)[first]
        for code, position, count in zip(
            found.tolist(), positions.tolist(), counts.tolist(), strict=True
        ):
            row, column = divmod(position, codes.shape[1])
            before, *where = self._found.get(code, (0, first_row + row, column))
            self._found[code] = (before + count, where[0], where[1])

    @property
    def problem(self) -> str | None:
        """What is wrong with the mask, in one line; None where nothing is."""
        if not self._found:
            return None
        ranked = sorted(self._found.items(), key=lambda item: (-item[1][0], item[0]))
        is_index = self.spec.has_index_masks
        shown = ", ".join(
            f"{code if is_index else color_text(_unpacked(code))} "
            f"({count} px, first at row {row}, column {column})"
            for code, (count, row, column) in ranked[:_MAX_UNKNOWN_SHOWN]
        )
        num_more = len(ranked) - _MAX_UNKNOWN_SHOWN
        more = f" and {num_more} more" if num_more > 0 else ""
        what, ignored = ("values", "ignore_values") if is_index else ("colours", "ignore_colors")
        return (
            f"mask {what} must be of a class or of {ignored}, got {shown}{more} in {self.file}; "
            f"add to classes or {ignored} (masks saved as JPEG have blurred values: use PNG or "
            "TIFF)"
        )


def decode_mask(
    bands: NDArray[Any],
    colormap: Colormap | None,
    unknown_codes: UnknownCodes,
    first_row: int = 0,
    counted: slice = slice(None),
) -> NDArray[np.uint8]:
    """Class indices of rows of a mask.

    Args:
        bands: The mask as read, (bands, H, W): one of values, one with a palette, RGB or RGBA
            (alpha is not read). A palette counts for colour classes only.
        colormap: The palette of a one-band mask; None without palette.
        unknown_codes: The classes, by value or by colour; takes what is of no class.
        first_row: Row of the file at which they begin.
        counted: Which of the rows `unknown_codes` takes; strips that overlap count none twice.

    Returns:
        Class index or IGNORE_INDEX, (H, W), uint8; IGNORE_INDEX also where of no class.

    Raises:
        DataError: If the bands do not fit the classes.
    """
    spec, file = unknown_codes.spec, unknown_codes.file
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
        unknown_codes.add(codes[counted], unknown[counted], first_row + (counted.start or 0))
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
