"""The files that a pattern such as `images/{tile}.tif` stands for, however their names are spelled.

A name is the same in composed and in decomposed Unicode (NFC on Linux and Windows, NFD on disks of
older Macs), and a suffix is the same in capital and small letters.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from trainables.data.access.remote_files import is_bucket, is_url, list_bucket, remote_path
from trainables.data.layouts.file_names import shown
from trainables.errors import DataError

_TILE = "{tile}"


def composed(name: str) -> str:
    """A name in the one spelling in which names are compared (NFC)."""
    return unicodedata.normalize("NFC", name)


def find_files(pattern: str, base: Path, named: Sequence[str] = ()) -> dict[str, Path]:
    """Every file or folder of a pattern, by tile name in NFC, sorted by path.

    What lies behind a URL cannot be listed: there, the tiles are those that are named.

    Args:
        pattern: With {tile}, which stands for the same text everywhere; relative to base, or
            absolute. Names that begin with a dot are found only where the pattern has the dot.
        base: Where a relative pattern begins.
        named: Names of the tiles behind a URL.

    Raises:
        DataError: If two files would be the same tile, or a bucket cannot be listed.
    """
    if is_url(pattern):
        return {tile: path_of(pattern, base, tile) for tile in sorted(named)}
    if is_bucket(pattern):
        return _in_bucket(composed(pattern))
    parts = composed(pattern).split("/")
    found: dict[str, Path] = {}
    for tile, path in sorted(_walk(base, Path(), parts, None), key=lambda one: str(one[1])):
        if tile in found:
            raise DataError(
                f"files must be one for each tile, got '{shown(str(found[tile]))}' and "
                f"'{shown(str(base / path))}' for {tile!r}; remove or rename one"
            )
        found[tile] = base / path
    return found


def path_of(pattern: str, base: Path, tile: str) -> Path:
    """The path that a pattern stands for, whether there is such a file or not."""
    if is_url(pattern):
        return remote_path(pattern.replace(_TILE, quote(tile)))
    written = pattern.replace(_TILE, tile)
    return remote_path(written) if is_bucket(pattern) else base / written


def _in_bucket(pattern: str) -> dict[str, Path]:
    folder = pattern.partition(_TILE)[0].rpartition("/")[0]
    regex = _regex(pattern, is_last=True)
    found: dict[str, Path] = {}
    for address in list_bucket(folder):
        match = regex.fullmatch(composed(address))
        name = address.rpartition("/")[2]
        if match is None or (name.startswith(".") and "/." not in pattern):
            continue
        if match["tile"] in found:
            raise DataError(
                f"files must be one for each tile, got {shown(address)!r} twice for "
                f"{match['tile']!r}; remove or rename one"
            )
        found[match["tile"]] = remote_path(address)
    return found


def _walk(
    base: Path, folder: Path, parts: list[str], tile: str | None
) -> Iterator[tuple[str, Path]]:
    """Tile names and paths, relative to base, of what the rest of a pattern stands for.

    Args:
        base: Where the pattern begins.
        folder: What is done of the path.
        parts: The rest of the pattern, a name each.
        tile: What {tile} stands for, where that is known.
    """
    part, rest = parts[0], parts[1:]
    if part in ("", ".", ".."):  # `/data`, `a//b`
        inner = Path("/") if part == "" and folder == Path() else folder / part
        if rest:
            yield from _walk(base, inner, rest, tile)
        return
    for name, found in _named(base / folder, part, tile, is_last=not rest):
        if rest:
            yield from _walk(base, folder / name, rest, found)
        elif found is not None:
            yield found, folder / name


def _named(
    folder: Path, part: str, tile: str | None, *, is_last: bool
) -> Iterator[tuple[str, str | None]]:
    """The names in a folder that one part of a pattern stands for, and their tiles."""
    if tile is not None:
        part = part.replace(_TILE, tile)
    elif _TILE in part:
        regex = _regex(part, is_last)
        for name in _names(folder, part):
            if match := regex.fullmatch(composed(name)):
                yield name, match["tile"]
        return
    if part.isascii() and not is_last:
        yield part, tile
        return
    wanted = _folded(part) if is_last else part
    for name in _names(folder, part):
        if (_folded(composed(name)) if is_last else composed(name)) == wanted:
            yield name, tile


def _regex(part: str, is_last: bool) -> re.Pattern[str]:
    """What matches the names of a part that holds {tile}; of a file, its suffix in any case."""
    literals = part.split(_TILE)
    escaped = [re.escape(one) for one in literals]
    stem, dot, suffix = literals[-1].rpartition(".")
    if is_last and dot:
        escaped[-1] = f"{re.escape(stem)}\\.(?i:{re.escape(suffix)})"
    return re.compile(
        f"{escaped[0]}(?P<tile>[^/]+){'(?P=tile)'.join(escaped[1:])}", flags=re.DOTALL
    )


def _folded(name: str) -> str:
    """A file's name with its suffix in small letters."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.{suffix.lower()}" if dot else name


def _names(folder: Path, part: str) -> list[str]:
    """What lies in a folder; nothing where it is none that can be read, as a shell's * does."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 -- names that are no UTF-8 stay as they are
    except OSError:
        return []
    return [name for name in names if part.startswith(".") or not name.startswith(".")]
