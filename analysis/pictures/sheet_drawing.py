"""Draws a sheet of pictures pixel by pixel, so that maps keep their sharp edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.charts.chart import INK, PAPER, RULE
from analysis.pictures.maps.maps import Picture
from analysis.pictures.sheets import Cell, Sheet

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont

_MUTED = "#5C6670"
_CELL_PX = 256
"""Side of a picture in a sheet; smaller crops are enlarged by whole pixels."""
_GAP_PX, _MARGIN_PX, _LINE_PX = 10, 24, 26
_TITLE_PX, _SUBTITLE_PX, _BELOW_PX = 20, 18, 22


def draw_sheet(sheet: Sheet) -> Picture:
    """The sheet as pixels (H, W, 3); the same for the same sheet."""
    from PIL import Image, ImageDraw

    num_columns = max(len(row) for row in sheet.rows)
    width = 2 * _MARGIN_PX + num_columns * (_CELL_PX + _GAP_PX) - _GAP_PX
    legend = _legend_lines(sheet.legend, width - 2 * _MARGIN_PX)
    title = _wrapped(sheet.title, _font(20), width - 2 * _MARGIN_PX)
    rows = list(zip(sheet.rows, sheet.captions, strict=True))
    heights = [_row_height(row, caption) for row, caption in rows]
    top = _MARGIN_PX + len(title) * 28 + 8
    height = top + sum(heights) + len(legend) * _LINE_PX + _MARGIN_PX
    picture = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((_MARGIN_PX, _MARGIN_PX), "\n".join(title), INK, _font(20), spacing=6)
    for (row, caption), row_height in zip(rows, heights, strict=True):
        _draw_row(picture, row, caption, top)
        top += row_height
    for line in legend:
        for left, color, text in line:
            box = (left, top + 4, left + 16, top + 20)
            pen.rectangle(box, fill=color, outline=_MUTED)
            pen.text((left + 24, top + 3), text, INK, _font(14))
        top += _LINE_PX
    return np.asarray(picture)


def _draw_row(picture: Image.Image, row: Sequence[Cell], caption: str, top: int) -> None:
    from PIL import Image, ImageDraw

    pen = ImageDraw.Draw(picture)
    if caption:
        pen.text((_MARGIN_PX, top), caption, INK, _font(14))
        top += _LINE_PX
    has_subtitles = any(cell.subtitle for cell in row)
    for column, cell in enumerate(row):
        left = _MARGIN_PX + column * (_CELL_PX + _GAP_PX)
        pen.text((left, top), _cut(cell.title, _font(13)), _MUTED, _font(13))
        if has_subtitles:
            pen.text((left, top + 18), _cut(cell.subtitle, _font(12)), _MUTED, _font(12))
        height, width = cell.pixels.shape[:2]
        size = _shown_size(cell.pixels)
        below = top + _TITLE_PX + _SUBTITLE_PX * has_subtitles
        nearest = Image.Resampling.NEAREST
        scaled = Image.fromarray(np.ascontiguousarray(cell.pixels))
        picture.paste(
            scaled if size == (width, height) else scaled.resize(size, nearest), (left, below)
        )
        pen.rectangle((left - 1, below - 1, left + size[0], below + size[1]), outline=RULE)


def _row_height(row: Sequence[Cell], caption: str) -> int:
    tallest = max(_shown_size(cell.pixels)[1] for cell in row)
    has_subtitles = any(cell.subtitle for cell in row)
    above = _TITLE_PX + _SUBTITLE_PX * has_subtitles + _LINE_PX * bool(caption)
    return above + tallest + _BELOW_PX


def _shown_size(pixels: Picture) -> tuple[int, int]:
    """Width and height in the sheet: enlarged by whole pixels, or reduced to fit."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= _CELL_PX:
        factor: float = _CELL_PX // longest
    else:
        factor = _CELL_PX / longest
    return max(1, round(width * factor)), max(1, round(height * factor))


def _legend_lines(
    entries: Sequence[tuple[str, str]], width: int
) -> list[list[tuple[int, str, str]]]:
    """Left edge, colour and text of every entry, line by line."""
    lines: list[list[tuple[int, str, str]]] = [[]]
    left = 0
    for color, text in entries:
        needed = 24 + math.ceil(_font(14).getlength(text)) + 22
        if left and left + needed > width:
            lines.append([])
            left = 0
        lines[-1].append((_MARGIN_PX + left, color, text))
        left += needed
    return lines


def _wrapped(text: str, font: FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _cut(text: str, font: FreeTypeFont) -> str:
    """The text, shortened to the width of a picture."""
    if font.getlength(text) <= _CELL_PX:
        return text
    while text and font.getlength(f"{text}…") > _CELL_PX:
        text = text[:-1]
    return f"{text}…"


@lru_cache(maxsize=8)
def _font(size: int) -> FreeTypeFont:
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
