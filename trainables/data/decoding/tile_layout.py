"""Which files the pixels of each tile lie in: one image, or parts that are joined."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, TypeVar

from affine import Affine

from trainables.data.decoding.inspection import TileHeader
from trainables.data.places.footprints import Footprint
from trainables.data.places.mosaics import find_mosaics
from trainables.errors import DataError

Reader = TypeVar("Reader")
Rows = TypeVar("Rows")


@dataclass(frozen=True, kw_only=True)
class TilePart:
    """An image and where it lies on its tile."""

    header: TileHeader
    top_px: int = 0
    left_px: int = 0

    @property
    def bottom_px(self) -> int:
        """One past its last row."""
        return self.top_px + self.header.height_px

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left_px, self.left_px + self.header.width_px)


@dataclass(frozen=True, kw_only=True)
class TileLayout:
    """A tile, before any reduction."""

    name: str
    height_px: int
    width_px: int
    dtype: str
    may_hide: bool
    """Whether pixels could be hidden, or lie on no part."""
    parts: tuple[TilePart, ...]
    """In the order of their names: where two overlap, the first that shows anything counts."""
    overlaps: bool = False
    """Whether any two parts overlap."""

    @property
    def is_labelled(self) -> bool:
        """Whether anything says of its pixels which class they are."""
        return self.parts[0].header.files.is_labelled


def tile_layouts(
    headers: Sequence[TileHeader], *, join: bool, taken: Container[str] = ()
) -> list[TileLayout]:
    """The tiles of one split.

    Args:
        headers: Its images.
        join: Whether images that touch are one tile: those with labels, and those without. Such a
            tile is called after the first and the number of its images.
        taken: Names of the images of all splits, of which no such tile may have one.
    """
    if not join:
        return [_layout([TilePart(header=one)]) for one in headers]
    placed = [
        (one, place, group) for one in headers for place, group in [_grid(one)] if place is not None
    ]
    joined = find_mosaics([place for _, place, _ in placed], [group for _, _, group in placed])
    layouts = [_layout([TilePart(header=one)]) for one in headers if _grid(one)[0] is None]
    for mosaic in joined:
        parts = [
            TilePart(header=placed[member][0], top_px=top, left_px=left)
            for member, (top, left) in zip(mosaic.members, mosaic.corners, strict=True)
        ]
        layouts.append(
            replace(
                _layout(parts, mosaic.height_px, mosaic.width_px, mosaic.is_full, taken),
                overlaps=mosaic.has_overlaps,
            )
        )
    order = {one.files.name: index for index, one in enumerate(headers)}
    return sorted(layouts, key=lambda one: order[one.parts[0].header.files.name])


def _grid(header: TileHeader) -> tuple[Footprint | None, str]:
    """The place of an image by which it has neighbours, and the group that these are in."""
    files = header.files
    group = "labelled" if files.is_labelled else "unlabelled"
    if header.place is not None or files.window is None:
        return header.place, group
    window = files.window  # windows of one file touch, wherever it lies
    corner = Affine.translation(window.left_px, window.top_px)
    size = {"height_px": header.height_px, "width_px": header.width_px}
    return Footprint(crs=None, transform=corner, **size), f"{group} {files.image}"


def _layout(
    parts: Sequence[TilePart],
    height_px: int | None = None,
    width_px: int | None = None,
    is_full: bool = True,
    taken: Container[str] = (),
) -> TileLayout:
    first = parts[0].header
    return TileLayout(
        name=first.files.name if len(parts) == 1 else _joined_name(parts, taken),
        height_px=height_px or first.height_px,
        width_px=width_px or first.width_px,
        dtype=first.dtype,
        may_hide=not is_full or any(part.header.may_hide for part in parts),
        parts=tuple(parts),
    )


def _joined_name(parts: Sequence[TilePart], taken: Container[str]) -> str:
    """A name that no image has, nor another joined tile: its first image is its own."""
    name = f"{parts[0].header.files.name}-joined-{len(parts)}"
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


class OpenParts(Generic[Reader]):
    """Reads rows of a tile from top to bottom; each part is open while rows of it are wanted.

    So of thousands of parts no more are open at a time than lie beside each other.
    """

    def __init__(
        self,
        parts: Sequence[TilePart],
        open_part: Callable[[TilePart], AbstractContextManager[Reader]],
        finished: Callable[[TilePart, Reader], None],
        failed: Callable[[TilePart, DataError], None],
    ) -> None:
        """Open nothing yet.

        Args:
            parts: The parts.
            open_part: Opens the file of one for reading.
            finished: Told when a part has been read.
            failed: Told of a part that cannot be read, once; it is left out from then on.
        """
        self._waiting = [*parts]
        self._open_part = open_part
        self._finished = finished
        self._failed = failed
        self._open: dict[int, tuple[TilePart, Reader, ExitStack]] = {}
        self._order = {id(part): index for index, part in enumerate(parts)}

    def __enter__(self) -> OpenParts[Reader]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for index in [*self._open]:
            self._close(index, is_read=kind is None)

    def read(
        self, first: int, last: int, read: Callable[[TilePart, Reader, int, int], Rows]
    ) -> Iterator[tuple[TilePart, slice, Rows]]:
        """What the parts hold of rows.

        Args:
            first: The first row, never above that of an earlier call.
            last: One past the last row.
            read: Reads rows of a part, first and one past the last, counted from its own top.

        Yields:
            In the order of the parts: a part, the rows that it has, counted from `first`, and what
            was read of them.
        """
        self._move(first, last)
        for index in sorted(self._open):
            part, reader, _ = self._open[index]
            begin, end = max(first, part.top_px), min(last, part.bottom_px)
            if begin >= end:
                continue
            try:
                rows = read(part, reader, begin - part.top_px, end - part.top_px)
            except DataError as error:
                self._failed(part, error)
                self._close(index, is_read=False)
                continue
            yield part, slice(begin - first, end - first), rows

    def _move(self, first: int, last: int) -> None:
        for index, (part, _, _) in [*self._open.items()]:
            if part.bottom_px <= first:
                self._close(index, is_read=True)
        wanted = [part for part in self._waiting if part.top_px < last]
        self._waiting = [part for part in self._waiting if part.top_px >= last]
        for part in wanted:
            stack = ExitStack()
            try:
                reader = stack.enter_context(self._open_part(part))
            except DataError as error:
                self._failed(part, error)
                continue
            self._open[self._order[id(part)]] = part, reader, stack

    def _close(self, index: int, *, is_read: bool) -> None:
        part, reader, stack = self._open.pop(index)
        stack.close()
        if is_read:
            self._finished(part, reader)
