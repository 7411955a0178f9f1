"""Decodes masks, coloured or of values, into class indices."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from trainables.data.decoding.raster import Raster, is_nodata, stored_type
from trainables.data.layouts.spec import IGNORE_INDEX, DatasetSpec, color_text
from trainables.errors import DataError

_MAX_UNKNOWN_SHOWN: Final = 3
_MAX_CODES: Final = 1000
"""Values or colours of no class that are told apart in a file; a photograph has millions."""
_NOT_IN_PALETTE: Final = 0x1000000
"""The colour of a value that a palette lacks: none of 0x000000 ... 0xFFFFFF."""


class MaskReader:
    """The classes of an open mask, by value or by colour.

    A pixel is unknown where the file's own mask or its alpha band hides it, where a float is NaN,
    and where it holds what the file calls nodata, unless dataset.yaml says of that very value or
    colour which class it is.
    """

    def __init__(self, raster: Raster, spec: DatasetSpec, file: Path) -> None:
        """Look at the header.

        Args:
            raster: The mask.
            spec: The classes.
            file: Its path, for messages.

        Raises:
            DataError: If its bands cannot hold these classes.
        """
        source = raster.source
        self._raster = raster
        self._spec = spec
        self._file = file
        self._has_alpha = source.count in (2, 4) and source.colorinterp[-1] == ColorInterp.alpha
        num_values = source.count - self._has_alpha
        self._palette: NDArray[np.uint32] | None = None
        if spec.has_index_masks:
            self._bands = list(range(1, num_values + 1))
            is_usable = num_values >= 1 and stored_type(source.dtypes) is not None
            rule = "1 band of whole numbers"
            advice = "classes have values: for colour masks give each a color only"
        else:
            # A fourth band that does not call itself alpha is not read.
            self._bands = [1, 2, 3] if num_values in (3, 4) else [1]
            self._palette = _palette(source)
            types = {"uint8"} if self._palette is None else {"uint8", "uint16"}
            is_usable = num_values in (1, 3, 4) and {*source.dtypes} <= types
            rule = "RGB, RGBA, grey or have a palette"
            advice = "classes have colours: for index masks give each a value"
        if not is_usable:
            raise DataError(
                f"mask must be {rule}, got {source.count} of {', '.join(sorted({*source.dtypes}))} "
                f"in {file}; {advice}"
            )
        is_grey = self._bands == [1] and self._palette is None
        self._unknown = _UnknownCodes(spec=spec, file=file, is_grey=is_grey)
        self.nodata_classes: set[int] = set()
        """Classes whose value or colour the file calls nodata, as far as they were read."""

    @property
    def problem(self) -> str | None:
        """What is wrong with what was read so far, in one line; None where nothing is."""
        return None if self._spec.ignore_others else self._unknown.problem

    @property
    def num_others(self) -> int:
        """Pixels read so far whose value or colour is of no class, where they are ignored."""
        return self._unknown.num_pixels if self._spec.ignore_others else 0

    def read(self, first: int, last: int, counted: slice = slice(None)) -> NDArray[np.uint8]:
        """Class indices of whole rows.

        Args:
            first: The first row.
            last: One past the last row.
            counted: Which of the rows count for `problem`; strips that overlap count none twice.

        Returns:
            Class index or IGNORE_INDEX, (last - first, W), uint8; IGNORE_INDEX also where the
            value or colour is of no class.

        Raises:
            DataError: If bands that should be equal differ, or the file cannot be decoded.
        """
        spec = self._spec
        bands = self._raster.read(self._bands, first, last)
        hidden = self._hidden(bands, first, last)
        codes = bands[0] if spec.has_index_masks else self._colors(bands)
        indices = np.full(codes.shape, IGNORE_INDEX, dtype=np.uint8)
        unknown = np.ones(codes.shape, dtype=np.bool_)
        for code, index in _index_of_code(spec).items():
            matches = codes == code
            indices[matches] = index
            unknown &= ~matches
        if spec.mask_color_tolerance and unknown.any():
            _match_impure_colors(spec, codes, unknown, indices)
        if hidden is not None:
            indices[hidden] = IGNORE_INDEX
            unknown &= ~hidden
        nodata = self._nodata(bands, first, last)
        if nodata is not None:
            self.nodata_classes |= {*np.unique(indices[nodata]).tolist()} - {IGNORE_INDEX}
            unknown &= ~nodata
        if len(bands) > 1 and spec.has_index_masks:
            self._check_equal(bands, hidden, first)
        if unknown[counted].any():
            self._unknown.add(codes[counted], unknown[counted], first + (counted.start or 0))
        return indices

    def _check_equal(
        self, bands: NDArray[Any], hidden: NDArray[np.bool_] | None, first_row: int
    ) -> None:
        """Refuse bands (B, H, W) of values that differ where they show anything."""
        differs = (bands[1:] != bands[0]).any(axis=0)
        if hidden is not None:
            differs &= ~hidden
        if differs.any():
            row, column = np.argwhere(differs)[0].tolist()
            found = ", ".join(f"{value:g}" for value in bands[:, row, column])
            raise DataError(
                f"mask must be 1 band of whole numbers, or several equal ones, got {found} at row "
                f"{first_row + row}, column {column} in {self._file}; classes have values: for "
                "colour masks give each a color only"
            )

    def _colors(self, bands: NDArray[Any]) -> NDArray[np.uint32]:
        """Colours (H, W) as 0xRRGGBB, of RGB, palette or grey bands (1 or 3, H, W)."""
        if self._palette is not None:
            expanded: NDArray[np.uint32] = self._palette[bands[0]]
            return expanded
        wide = bands.astype(np.uint32)
        if len(bands) == 1:
            wide = self._grey_levels(wide)
        red, green, blue = np.broadcast_to(wide, (3, *wide.shape[1:]))
        packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
        return packed

    def _grey_levels(self, values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Values of a grey band as a viewer shows them, 0 black and 255 white."""
        source = self._raster.source
        num_bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "8")
        highest = 2 ** int(num_bits) - 1 if num_bits in ("1", "2", "4") else 255
        if source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            values = highest - values
        return values * 255 // highest

    def _hidden(self, bands: NDArray[Any], first: int, last: int) -> NDArray[np.bool_] | None:
        """Which pixels the file says show nothing, whatever their value (H, W)."""
        hidden = np.zeros(bands.shape[1:], dtype=np.bool_)
        of_file = [1] if self._raster.has_mask else self._raster.masked_bands
        for band in {*of_file} & {*self._bands}:
            hidden |= ~self._raster.shown(band, first, last)
        if self._has_alpha:
            hidden |= self._raster.read([self._raster.source.count], first, last)[0] == 0
        if bands.dtype.kind == "f":
            hidden |= np.isnan(bands).any(axis=0)
        return hidden if hidden.any() else None

    def _nodata(self, bands: NDArray[Any], first: int, last: int) -> NDArray[np.bool_] | None:
        """Which pixels hold the file's nodata value in all bands (H, W); None if no pixel does."""
        if self._raster.has_hidden_color:
            nodata = ~self._raster.shown(1, first, last)
        else:
            values = [self._raster.source.nodatavals[band - 1] for band in self._bands]
            planes = [is_nodata(*pair) for pair in zip(bands, values, strict=True)]
            nodata = np.logical_and.reduce(planes)
        return nodata if nodata.any() else None


@dataclass(kw_only=True)
class _UnknownCodes:
    """Values or colours of a mask file that no class has, gathered over the parts it is read in."""

    spec: DatasetSpec
    file: Path
    is_grey: bool
    """Whether the mask has one band of values without a palette."""
    _found: dict[float, tuple[int, int, int]] = field(default_factory=dict)
    """Number of pixels, and row and column of the first one, by code."""
    _is_full: bool = False
    """Whether there are too many codes to know them all: the file is no mask at all."""

    num_pixels: int = 0
    """Pixels of all of them."""

    def add(self, codes: NDArray[Any], unknown: NDArray[np.bool_], first_row: int) -> None:
        """Count the unknown pixels of rows.

        Args:
            codes: Values, or colours as 0xRRGGBB (H, W).
            unknown: Which are of no class (H, W).
            first_row: Row of the file at which they begin.
        """
        self.num_pixels += int(np.count_nonzero(unknown))
        if self._is_full:
            return
        found, first, counts = np.unique(codes[unknown], return_index=True, return_counts=True)
        if len(found) + len(self._found) > _MAX_CODES:
            self._is_full = True
            found, first, counts = (one[:_MAX_CODES] for one in (found, first, counts))
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
            f"{f'{code:.10g}' if is_index else _color_text(int(code))} "
            f"({count} px, first at row {row}, column {column})"
            for code, (count, row, column) in ranked[:_MAX_UNKNOWN_SHOWN]
        )
        num_more = len(ranked) - _MAX_UNKNOWN_SHOWN
        more = f" and {'over ' * self._is_full}{num_more} more" if num_more > 0 else ""
        what, ignored = ("values", "ignore_values") if is_index else ("colours", "ignore_colors")
        advice = (
            f"add to classes or {ignored}, or say other: ignore (masks saved as JPEG have blurred "
            "values: use PNG or TIFF)"
        )
        if is_index and any(not float(code).is_integer() for code in self._found):
            advice = "values must be whole: export the mask without interpolation"
        elif self.is_grey and not is_index:
            advice = "the mask has one band: for index masks give classes a value, no color alone"
        return (
            f"mask {what} must be of a class or of {ignored}, got {shown}{more} in {self.file}; "
            f"{advice}"
        )


def _palette(source: DatasetReader) -> NDArray[np.uint32] | None:
    """The colour 0xRRGGBB of every value of a band, whatever its alpha (65536,); None without."""
    if not source.count or source.colorinterp[0] != ColorInterp.palette:
        return None
    try:
        entries = source.colormap(1)
    except ValueError:  # a band may call itself a palette and have none
        return None
    packed = np.full(2**16, _NOT_IN_PALETTE, dtype=np.uint32)
    for entry, (red, green, blue, *_) in entries.items():
        if entry < len(packed):
            packed[entry] = _packed((red, green, blue))
    return packed


def _color_text(code: int) -> str:
    return "a value without colour" if code == _NOT_IN_PALETTE else color_text(_unpacked(code))


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
