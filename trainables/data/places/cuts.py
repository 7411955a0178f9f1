"""Large rasters as tiles: windows of them, without files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TileWindow:
    """A part of a raster, in its pixels."""

    top_px: int
    left_px: int
    height_px: int
    width_px: int


def cut_windows(height_px: int, width_px: int, tile_px: int) -> Iterator[tuple[str, TileWindow]]:
    """Windows that cover a raster, each pixel once, and what follows its name.

    Args:
        height_px: Of the raster.
        width_px: Of the raster.
        tile_px: Side of a window. What is left at the lower and at the right edge is a window of
            its own where it is at least half as wide, and else joins its neighbour.

    Yields:
        `r02-c07` for the third row and the eighth column, and the window.
    """
    rows, columns = _lines(height_px, tile_px), _lines(width_px, tile_px)
    digits = max(2, len(str(max(len(rows), len(columns)) - 1)))
    for row, (top, bottom) in enumerate(rows):
        for column, (left, right) in enumerate(columns):
            yield (
                f"r{row:0{digits}d}-c{column:0{digits}d}",
                TileWindow(top_px=top, left_px=left, height_px=bottom - top, width_px=right - left),
            )


def _lines(length_px: int, tile_px: int) -> list[tuple[int, int]]:
    """Begin and end of every window along one side."""
    num = max(1, length_px // tile_px + (length_px % tile_px * 2 >= tile_px))
    begins = [index * tile_px for index in range(num)]
    return [*zip(begins, [*begins[1:], length_px], strict=True)]
