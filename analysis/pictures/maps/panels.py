"""Small pictures ready to stand in a page: maps as PNG, images as JPEG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pictures.maps.disagreement import (
    BOTH_RIGHT,
    BOTH_WRONG,
    FIRST_RIGHT,
    NOT_KNOWN,
    NUM_KINDS,
    SECOND_RIGHT,
    Kinds,
)
from analysis.pictures.maps.maps import UNKNOWN, ClassMap, Picture

RIGHT, WRONG, NO_REFERENCE = "#E6E9EC", "#30363D", "#A3ABB3"
"""Colours of error maps: of right and wrong pixels, and of those without a reference."""
UNKNOWN_COLOR = "#000000"
"""Colour of a reference without class, as in the pictures of trials."""

_QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture of a row, inlined."""

    title: str
    """What it shows, above it."""
    data_uri: str
    alt: str
    is_map: bool
    """Whether its pixels are classes or kinds, to be drawn with sharp edges."""


def class_colors(classes: ClassMap, colors: Picture) -> Picture:
    """A map in the colours of its classes (K, 3), unknown pixels in UNKNOWN_COLOR."""
    table: Picture = np.tile(_rgb(UNKNOWN_COLOR), (UNKNOWN + 1, 1))
    table[: len(colors)] = colors
    colored: Picture = np.take(table, classes, axis=0)
    return colored


def errors(reference: ClassMap, predicted: ClassMap) -> ClassMap:
    """Which pixels of a prediction are wrong: 0 right, 1 wrong, 2 without a reference (H, W)."""
    wrong: ClassMap = (predicted != reference).astype(np.uint8)
    wrong[reference == UNKNOWN] = 2
    return wrong


def kind_colors(first: str, second: str) -> Picture:
    """Colours of the kinds of `disagreement` for two variants of these colours, (5, 3)."""
    colors = np.zeros((NUM_KINDS, 3), np.uint8)
    colors[BOTH_RIGHT], colors[BOTH_WRONG] = _rgb(RIGHT), _rgb(WRONG)
    colors[FIRST_RIGHT], colors[SECOND_RIGHT] = (
        _rgb(first),
        _rgb(second),
    )
    colors[NOT_KNOWN] = _rgb(NO_REFERENCE)
    return colors


def error_colors() -> Picture:
    """Colours of `errors`, (3, 3)."""
    return np.stack([_rgb(RIGHT), _rgb(WRONG), _rgb(NO_REFERENCE)])


def color_text(color: NDArray[np.uint8]) -> str:
    """A colour (3,), 0-255, as '#RRGGBB'."""
    return "#" + bytes(color.tolist()).hex().upper()


def map_uri(indices: ClassMap | Kinds, colors: Picture) -> str:
    """A map (H, W) as a palette PNG with few bits per pixel.

    Args:
        indices: Below the number of colours, or UNKNOWN.
        colors: (N, 3); UNKNOWN is drawn in UNKNOWN_COLOR.
    """
    from PIL import Image

    shown = np.where(indices == UNKNOWN, len(colors), indices).astype(np.uint8)
    picture = Image.fromarray(shown)
    picture.putpalette(np.concatenate([colors, _rgb(UNKNOWN_COLOR)[None]]).tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return _data_uri("png", content)


def picture_uri(pixels: Picture) -> str:
    """A picture (H, W, 3) as JPEG."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "JPEG", quality=_QUALITY)
    return _data_uri("jpeg", content)


def _data_uri(kind: str, content: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"


def _rgb(color: str) -> NDArray[np.uint8]:
    return np.array(list(bytes.fromhex(color.removeprefix("#"))), dtype=np.uint8)
