"""Reads `splits` of a dataset.yaml: names, a table, polygons, or shares of contiguous blocks."""

from __future__ import annotations

import csv
import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from trainables.data.layouts.dataset_yaml.fields import YamlFields
from trainables.data.layouts.file_names import shown
from trainables.data.layouts.spec import SPLITS
from trainables.data.places.blocks import contiguous_blocks
from trainables.data.places.footprints import Footprint
from trainables.errors import DataError

_TABLE: Final = ("tile", "split")
_WRITTEN: Final = (
    "name their tiles, e.g. {train: [a*], val: [b], test: [c]}, give a table, {file: splits.csv}, "
    "or shares, {train: 0.6, val: 0.1, test: 0.3}"
)

PlaceOf = Callable[[str], Footprint | None]
"""Where the tile of a name lies; None where nothing says it."""


class SplitRule(Protocol):
    """How tiles are put into splits."""

    @property
    def wanted(self) -> Sequence[str]:
        """Names and globs that a person asks for: a mask alone is a tile only if asked for."""

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> dict[str, list[str]]:
        """The names of the tiles of each split, sorted; tiles may be in none."""


def read_rule(fields: YamlFields) -> SplitRule:
    """What `splits` says.

    Raises:
        DataError: If it says none of the three.
    """
    given = fields.values["splits"]
    if isinstance(given, dict) and "file" in given:
        return _read_table(fields, given)
    has_seed = isinstance(given, dict) and "seed" in given
    if not isinstance(given, dict) or {*given} - {"seed"} != {*SPLITS}:
        got = ", ".join(map(str, given)) if isinstance(given, dict) else given
        raise fields.error(
            f"splits must be {', '.join(SPLITS)}, got {got!r}", f"name all three: {_WRITTEN}"
        )
    inner = YamlFields(
        file=fields.file, values={f"splits.{key}": value for key, value in given.items()}
    )
    if has_seed or not any(isinstance(given[split], list) for split in SPLITS):
        return _read_shares(inner)
    patterns = {split: inner.texts(f"splits.{split}") for split in given}
    return _ByName(patterns=patterns)


@dataclass(frozen=True, kw_only=True)
class _ByName:
    """Tiles that are named, or match a glob."""

    patterns: Mapping[str, Sequence[str]]

    @property
    def wanted(self) -> list[str]:
        return [pattern for of_split in self.patterns.values() for pattern in of_split]

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> dict[str, list[str]]:
        splits, unmatched = {}, []
        for split, patterns in self.patterns.items():
            names: set[str] = set()
            for pattern in patterns:
                exact = [pattern] if pattern in tiles else []
                matches = exact or [tile for tile in tiles if fnmatch.fnmatchcase(tile, pattern)]
                names.update(matches)
                if not matches:
                    unmatched.append(f"{pattern!r} ({split})")
            splits[split] = sorted(names)
        if unmatched:
            raise _unmatched(fields, ", ".join(unmatched), tiles)
        return splits


@dataclass(frozen=True, kw_only=True)
class _ByShare:
    """Contiguous blocks of tiles."""

    shares: Mapping[str, float]
    seed: int
    wanted: Sequence[str] = ()

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> dict[str, list[str]]:
        places = [place_of_tile(tile) for tile in tiles]
        found = contiguous_blocks(tiles, places, self.shares, seed=self.seed)
        if empty := [split for split, of_split in found.items() if not of_split]:
            raise fields.error(
                f"splits must each have a tile, got none for {', '.join(empty)} of {len(tiles)} "
                "tiles, of which those that share ground stay together",
                "give more tiles, or name them",
            )
        return found


@dataclass(frozen=True, kw_only=True)
class _ByTable:
    """Tiles and their splits, as somebody has listed them."""

    split_of: Mapping[str, str]
    wanted: Sequence[str] = field(default=())

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> dict[str, list[str]]:
        if missing := sorted({*self.split_of} - {*tiles}):
            raise _unmatched(fields, ", ".join(map(repr, missing[:5])), tiles)
        return {
            split: sorted(tile for tile, one in self.split_of.items() if one == split)
            for split in SPLITS
        }


def _read_table(fields: YamlFields, given: Mapping[str, Any]) -> _ByTable:
    inner = YamlFields(
        file=fields.file, values={f"splits.{key}": value for key, value in given.items()}
    )
    if {*given} != {"file"}:
        others = ", ".join(sorted({*given} - {"file"}))
        raise fields.error(f"splits must have a file alone, got {others} besides", _WRITTEN)
    file = fields.file.parent / inner.text("splits.file")
    try:
        with file.open(newline="", encoding="utf-8-sig") as source:
            rows = csv.DictReader(source)
            names = rows.fieldnames or []
            listed = [(row.get("tile") or "", row.get("split") or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fields.error(
            f"splits.file must be a CSV file in UTF-8, got: {error} for {file}", "mend it"
        ) from None
    if not {*_TABLE} <= {*names}:
        raise fields.error(
            f"columns of splits.file must be tile and split, got {', '.join(names)} in {file}",
            "begin it with the line tile,split",
        )
    split_of: dict[str, str] = {}
    for tile, split in listed:
        if split not in SPLITS:
            raise fields.error(
                f"split of {tile!r} must be one of {', '.join(SPLITS)}, got {split!r} in {file}",
                "mend it, or leave the tile out",
            )
        if split_of.setdefault(tile, split) != split:
            raise fields.error(
                f"a tile must be in one split, got {tile!r} in two in {file}", "mend it"
            )
    return _ByTable(split_of=split_of, wanted=tuple(split_of))


def _read_shares(inner: YamlFields) -> _ByShare:
    shares = {}
    for split in SPLITS:
        value = inner.number(f"splits.{split}")
        if value is None or not 0 < value < 1:
            raise inner.error(f"splits.{split} must be a share in (0, 1), got {value}", _WRITTEN)
        shares[split] = value
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        raise inner.error(
            f"shares of splits must sum to 1, got {sum(shares.values()):g}", "mend them"
        )
    seed = 0
    if inner.values.get("splits.seed") is not None:
        seed = inner.integer("splits.seed", inner.values["splits.seed"])
    if seed < 0:
        raise inner.error(f"splits.seed must be 0 or more, got {seed}", "mend it")
    return _ByShare(shares=shares, seed=seed)


def _unmatched(fields: YamlFields, missing: str, tiles: Sequence[str]) -> DataError:
    names_shown = ", ".join(map(shown, sorted(tiles)[:5]))
    more = f" and {len(tiles) - 5} more" if len(tiles) > 5 else ""
    return fields.error(
        f"splits must match tiles, got no tile for {missing}",
        f"looked among the {len(tiles)} tiles of {fields.values['images']!r}: {names_shown}{more}",
    )
