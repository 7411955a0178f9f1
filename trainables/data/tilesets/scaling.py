"""Maps pixel values as stored to the [0, 1] that the network sees, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.tilesets.tileset import DTYPES, TileSet
from trainables.errors import DataError

PERCENTILES: Final = (0.1, 99.9)
"""Percentiles of the shown training pixels that become 0 and 1 if the type is not uint8."""

_MAX_SAMPLED_PX: Final = 2**22


@dataclass(frozen=True, kw_only=True)
class BandScaling:
    """The linear map of every band (C) to [0, 1]; values beyond its ends are clipped.

    Raises:
        DataError: If a field breaks its rule.
    """

    dtype: str
    """Type of the images: `uint8`, `uint16` or `float32`."""
    low: tuple[float, ...]
    """Value of each band that becomes 0."""
    high: tuple[float, ...]
    """Value of each band that becomes 1."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise DataError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        pairs = list(zip(self.low, self.high, strict=False))
        holds = len(self.low) == len(self.high) > 0 and all(
            math.isfinite(low) and math.isfinite(high) and low < high for low, high in pairs
        )
        if not holds:
            raise DataError(
                "scaling must have a low below a high for every band, got "
                f"low {self.low!r}, high {self.high!r}"
            )

    def to_unit(self, images: Tensor) -> Tensor:
        """Values as stored (…, C, H, W), any type, to float32 in [0, 1]; uint8 is value / 255."""
        low, span = _columns(self, images.device)
        return images.to(torch.float32).sub(low).div_(span).clamp_(0.0, 1.0)

    def to_stored(self, unit: Tensor) -> Tensor:
        """Inverse of `to_unit` in `dtype`, rounded and clipped to its limits where it is whole."""
        low, span = _columns(self, unit.device)
        values = unit.to(torch.float32).mul(span).add_(low)
        dtype: torch.dtype = getattr(torch, self.dtype)
        if dtype.is_floating_point:
            return values
        limits = torch.iinfo(dtype)
        # Over int32, since few operations know uint16.
        return values.round_().clamp_(limits.min, limits.max).to(torch.int32).to(dtype)

    def to_plain(self) -> dict[str, Any]:
        """Dictionary of strings, numbers and lists, for YAML, Ray and model files."""
        return {"dtype": self.dtype, "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> BandScaling:
        """Inverse of `to_plain`."""
        low, high = (tuple(float(value) for value in plain[end]) for end in ("low", "high"))
        return cls(dtype=str(plain["dtype"]), low=low, high=high)


def uint8_scaling(num_bands: int) -> BandScaling:
    """0-255 to [0, 1], whatever the tiles hold: as published."""
    return BandScaling(dtype="uint8", low=(0.0,) * num_bands, high=(255.0,) * num_bands)


def fit_scaling(train: TileSet) -> BandScaling:
    """The scaling of a data set, from its training tiles alone.

    Args:
        train: The training tiles; other splits must not decide how training data looks.

    Returns:
        0-255 for uint8. Otherwise the `PERCENTILES` of every band over shown pixels on a regular
        grid (at most about 4 million), so that single outliers do not squeeze all the rest. A
        band of one value v gets v to v + 1.

    Raises:
        DataError: If the training tiles show nothing at all.
    """
    dtype = str(train.images.dtype)
    if dtype == "uint8":
        return uint8_scaling(len(train.images))
    ends = np.array([_percentiles(values) for values in shown_values(train, _MAX_SAMPLED_PX)])
    low, high = ends.T
    high = np.where(high > low, high, low + 1.0)
    return BandScaling(dtype=dtype, low=tuple(low.tolist()), high=tuple(high.tolist()))


def _percentiles(values: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    if len(values) == 0:
        raise DataError("training tiles must show something, got nodata or alpha 0 everywhere")
    ends: NDArray[np.float64] = np.percentile(np.asarray(values, dtype=np.float64), PERCENTILES)
    return ends


def shown_values(tiles: TileSet, most_px: int) -> list[NDArray[Any]]:
    """Values as stored of every band (C arrays), of shown pixels on a grid over all tiles.

    Args:
        tiles: The tiles.
        most_px: About how many pixels the grid has at most.
    """
    step = math.ceil(math.sqrt(max(1.0, tiles.masks.size / most_px)))
    parts: list[NDArray[Any]] = []
    for tile in tiles:
        image = tile.image[:, ::step, ::step].reshape(len(tile.image), -1)
        if tile.shown is not None:
            image = image[:, tile.shown[::step, ::step].reshape(-1)]
        parts.append(image)
    return list(np.concatenate(parts, axis=1))


@lru_cache(maxsize=64)
def _columns(scaling: BandScaling, device: torch.device) -> tuple[Tensor, Tensor]:
    """Low and high - low of every band (C, 1, 1), float32."""
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in (scaling.low, scaling.high))
    return tuple(ends.float().to(device)[:, None, None] for ends in (low, high - low))  # type: ignore[return-value]
