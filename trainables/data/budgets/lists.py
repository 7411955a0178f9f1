"""Published lists of labelled tiles: which tiles each budget holds, where nobody draws them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from trainables.data.access.remote_files import with_addresses
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import ConfigError

TileLists: TypeAlias = Mapping[tuple[int, float], tuple[str, ...]]
"""Names of the annotated tiles by seed and fraction; those of a smaller fraction come first."""
_Rows: TypeAlias = list[tuple[str, float, int | None]]
"""Tile, fraction and seed, None where the lists serve every seed."""


def read_lists(
    given: str | Mapping[float, str],
    tiles: TileSet,
    *,
    unlabelled: Sequence[str],
    seeds: Sequence[int],
    fractions: Sequence[float],
) -> TileLists:
    """The lists of a study, for each of its seeds and fractions.

    A fraction of 1 needs no list: it is every labelled tile.

    Args:
        given: A CSV file with the columns tile, fraction and perhaps seed, or by fraction a file
            with a name a line.
        tiles: The training tiles.
        unlabelled: Names of those that nobody annotated.
        seeds: All that need budgets.
        fractions: Of the study, ascending.

    Raises:
        ConfigError: For a file that is no list, unknown tiles, a seed or fraction without a list,
            and lists that do not contain those of smaller fractions.
    """
    rows, where = _read(given)
    known = [name for name in tiles.names if name not in unlabelled]
    unknown = sorted({name for name, _, _ in rows} - set(known))
    if unknown:
        raise ConfigError(
            f"tiles of budget_lists must be training tiles with labels, got "
            f"{', '.join(map(repr, unknown))} in {where}; the data set has {', '.join(known)}"
        )
    found: dict[tuple[int, float], tuple[str, ...]] = {}
    for seed in seeds:
        names: tuple[str, ...] = ()
        for fraction in fractions:
            listed = [name for name, asked, of_seed in rows
                      if asked == fraction and of_seed in (None, seed)]  # fmt: skip
            if fraction == 1 and not listed:
                listed = known
            names = _nested(names, listed, fraction, seed, where)
            found[seed, fraction] = names
    return found


def _nested(
    smaller: tuple[str, ...], listed: Sequence[str], fraction: float, seed: int, where: str
) -> tuple[str, ...]:
    """The list of a fraction, the tiles of the fraction before it in front."""
    if not listed:
        raise ConfigError(
            f"budget_lists must have tiles for every fraction and seed of the study, got none for "
            f"label_frac {fraction:g} with seed {seed} in {where}; add them, or leave the fraction "
            "out of --space (seeds are --seed, for the search, and the numbers after it; "
            "--search-seeds above 1 adds some from a million after it on)"
        )
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:
        raise ConfigError(
            f"tiles of budget_lists must be named once, got {', '.join(map(repr, twice))} twice "
            f"for label_frac {fraction:g} with seed {seed} in {where}; remove one"
        )
    missing = [name for name in smaller if name not in listed]
    if missing:
        raise ConfigError(
            f"budget_lists must be nested, got {', '.join(map(repr, missing))} of a smaller "
            f"fraction missing for label_frac {fraction:g} with seed {seed} in {where}; a larger "
            "budget of a seed contains the smaller ones"
        )
    return (*smaller, *(name for name in listed if name not in smaller))


def _read(given: str | Mapping[float, str]) -> tuple[_Rows, str]:
    """The rows of one table, or of a file of names for each fraction; and where they stand."""
    if isinstance(given, str):
        return _read_table(given), given
    rows: _Rows = []
    for fraction, file in given.items():
        names = [line.strip() for line in _text(file).splitlines()]
        rows += [(name, _fraction(fraction, file), None) for name in names if name]
    return rows, ", ".join(given.values())


def _read_table(path: str) -> _Rows:
    lines = csv.DictReader(_text(path).splitlines())
    columns = {name.strip() for name in lines.fieldnames or ()}
    if not {"tile", "fraction"} <= columns <= {"tile", "fraction", "seed"}:
        raise ConfigError(
            f"budget_lists must have the columns tile, fraction and, if wanted, seed, got "
            f"{', '.join(sorted(columns)) or 'none'} in {path}"
        )
    rows: _Rows = []
    for line in lines:
        cells = {str(name).strip(): (cell or "").strip() for name, cell in line.items()
                 if isinstance(cell, str | None)}  # fmt: skip
        seed = cells.get("seed", "")
        if "seed" in columns and not seed.isdecimal():
            raise ConfigError(
                f"seed of budget_lists must be a whole number from 0, got {seed!r} in {path}, "
                f"line {lines.line_num}"
            )
        fraction = _fraction(cells.get("fraction", ""), f"{path}, line {lines.line_num}")
        rows.append((cells.get("tile", ""), fraction, int(seed) if seed else None))
    return rows


def _fraction(given: object, where: str) -> float:
    try:
        fraction = float(str(given))
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        raise ConfigError(
            f"fraction of budget_lists must be a number in (0, 1], got {given!r} in {where}"
        )
    return fraction


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8"
        raise ConfigError(
            f"budget_lists must be files of this machine that can be read, got "
            f"{with_addresses(path)!r} ({reason})"
        ) from None
