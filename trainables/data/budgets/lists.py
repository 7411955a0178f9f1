"""Published lists of labelled tiles or blocks: what each budget holds, where nobody draws it."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from trainables.data.access.remote_files import with_addresses
from trainables.data.budgets.units import Place
from trainables.errors import ConfigError

_MOST_SHOWN: Final = 20

UnitLists: TypeAlias = Mapping[tuple[int, float], tuple[Place, ...]]
"""The annotated tiles or blocks by seed and fraction; those of a smaller fraction come first."""
_Rows: TypeAlias = list[tuple[Place, float, int | None]]
"""Tile or block, fraction and seed, None where the lists serve every seed."""


def read_lists(
    given: str | Mapping[float, str],
    known: Sequence[Place],
    *,
    kind: Literal["tile", "block"] = "tile",
    seeds: Sequence[int],
    fractions: Sequence[float],
) -> UnitLists:
    """The lists of a study, for each of its seeds and fractions.

    A fraction of 1 needs no list: it is every labelled tile, or block.

    Args:
        given: A CSV file with the columns tile, fraction and perhaps seed, and of blocks row and
            column; or, of tiles, by fraction a file with a name a line.
        known: Training tiles, or their blocks, that have labels.
        kind: What is listed.
        seeds: All that need budgets.
        fractions: Of the study, ascending.

    Raises:
        ConfigError: For a file that is no list, unknown tiles or blocks, a seed or fraction without
            a list, and lists that do not contain those of smaller fractions.
    """
    rows, where = _read(given, kind)
    unknown = sorted({place for place, _, _ in rows} - set(known))
    if unknown:
        has = ", ".join(_text_of(place, kind) for place in known[:_MOST_SHOWN])
        more = f" and {len(known) - _MOST_SHOWN} more" if len(known) > _MOST_SHOWN else ""
        raise ConfigError(
            f"{kind}s of budget_lists must be training {kind}s with labels, got "
            f"{_shown(unknown, kind)} in {where}; the data set has {has}{more}"
        )
    found: dict[tuple[int, float], tuple[Place, ...]] = {}
    for seed in seeds:
        places: tuple[Place, ...] = ()
        for fraction in fractions:
            listed = [place for place, asked, of_seed in rows
                      if asked == fraction and of_seed in (None, seed)]  # fmt: skip
            if fraction == 1 and not listed:
                listed = [*known]
            places = _nested(places, listed, fraction, seed, where, kind)
            found[seed, fraction] = places
    return found


def _text_of(place: Place, kind: str) -> str:
    name, row, column = place
    return name if kind == "tile" else f"{name} ({row}, {column})"


def _shown(places: Sequence[Place], kind: str) -> str:
    shown = [repr(name) + ("" if kind == "tile" else f" ({row}, {column})")
             for name, row, column in places[:_MOST_SHOWN]]  # fmt: skip
    more = f" and {len(places) - _MOST_SHOWN} more" if len(places) > _MOST_SHOWN else ""
    return ", ".join(shown) + more


def _nested(
    smaller: tuple[Place, ...],
    listed: Sequence[Place],
    fraction: float,
    seed: int,
    where: str,
    kind: str,
) -> tuple[Place, ...]:
    """The list of a fraction, that of the fraction before it in front."""
    if not listed:
        raise ConfigError(
            f"budget_lists must have {kind}s for every fraction and seed of the study, got none "
            f"for label_frac {fraction:g} with seed {seed} in {where}; add them, or leave the "
            "fraction out of --space (seeds are --seed, for the search, and the numbers after it; "
            "--search-seeds above 1 adds some from a million after it on)"
        )
    twice = sorted(place for place, count in Counter(listed).items() if count > 1)
    if twice:
        raise ConfigError(
            f"{kind}s of budget_lists must be named once, got {_shown(twice, kind)} twice "
            f"for label_frac {fraction:g} with seed {seed} in {where}; remove one"
        )
    now, before = {*listed}, {*smaller}
    missing = [place for place in smaller if place not in now]
    if missing:
        raise ConfigError(
            f"budget_lists must be nested, got {_shown(missing, kind)} of a smaller "
            f"fraction missing for label_frac {fraction:g} with seed {seed} in {where}; a larger "
            "budget of a seed contains the smaller ones"
        )
    return (*smaller, *(place for place in listed if place not in before))


def _read(given: str | Mapping[float, str], kind: str) -> tuple[_Rows, str]:
    """The rows of one table, or of a file of names for each fraction; and where they stand."""
    if isinstance(given, str):
        return _read_table(given, kind), given
    rows: _Rows = []
    for fraction, file in given.items():
        names = [line.strip() for line in _text(file).splitlines()]
        rows += [((name, 0, 0), _fraction(fraction, file), None) for name in names if name]
    return rows, ", ".join(given.values())


def _read_table(path: str, kind: str) -> _Rows:
    lines = csv.DictReader(_text(path).splitlines())
    columns = {name.strip() for name in lines.fieldnames or ()}
    needed = ("tile", "fraction") if kind == "tile" else ("tile", "row", "column", "fraction")
    if not {*needed} <= columns <= {*needed, "seed"}:
        raise ConfigError(
            f"budget_lists of {kind}s must have the columns {', '.join(needed)} and, if wanted, "
            f"seed, got {', '.join(sorted(columns)) or 'none'} in {path}"
        )
    rows: _Rows = []
    for line in lines:
        cells = {str(name).strip(): (cell or "").strip() for name, cell in line.items()
                 if isinstance(cell, str | None)}  # fmt: skip
        where = f"{path}, line {lines.line_num}"
        whole = {
            name: _whole(name, cells.get(name, ""), where)
            for name in ("row", "column", "seed")
            if name in columns
        }
        fraction = _fraction(cells.get("fraction", ""), where)
        place = (cells.get("tile", ""), whole.get("row", 0), whole.get("column", 0))
        rows.append((place, fraction, whole.get("seed")))
    return rows


def _whole(name: str, given: str, where: str) -> int:
    if not (given.isascii() and given.isdecimal()):
        raise ConfigError(
            f"{name} of budget_lists must be a whole number from 0, got {given!r} in {where}"
        )
    return int(given)


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
