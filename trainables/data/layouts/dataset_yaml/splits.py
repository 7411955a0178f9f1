"""Reads `splits` of a dataset.yaml: names, a table, shares of contiguous blocks, or polygons."""

from __future__ import annotations

import csv
import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import shapely
from rasterio.crs import CRS

from trainables.data.access.fetched_files import on_this_machine
from trainables.data.layouts.dataset_yaml.document import is_nothing
from trainables.data.layouts.dataset_yaml.fields import YamlFields
from trainables.data.layouts.file_names import shown
from trainables.data.layouts.spec import SPLITS
from trainables.data.places.blocks import contiguous_blocks
from trainables.data.places.footprints import Footprint
from trainables.data.places.held_tiles import held_tiles
from trainables.data.places.vector_files import VectorFile, areas_of, read_features, text_of
from trainables.errors import DataError

_TABLE: Final = ("tile", "split")
_AREA_KEYS: Final = ("file", "layer", "field")
_WRITTEN: Final = (
    "name their tiles, e.g. {train: [a*], val: [b], test: [c]}, give a table, {file: splits.csv}, "
    "polygons, {file: areas.gpkg, field: split}, or shares, {train: 0.6, val: 0.1, test: 0.3}"
)

PlaceOf = Callable[[str], Footprint | None]
"""Where the tile of a name lies; None where nothing says it."""


@dataclass(frozen=True, kw_only=True)
class SplitTiles:
    """The tiles of each split."""

    names: Mapping[str, Sequence[str]]
    """Names of the tiles, sorted; tiles may be in no split."""
    notes: tuple[str, ...] = ()
    """What a person should know although nothing is wrong, a line each."""


class SplitRule(Protocol):
    """How tiles are put into splits."""

    @property
    def wanted(self) -> Sequence[str]:
        """Names and globs that a person asks for: a mask alone is a tile only if asked for."""

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> SplitTiles:
        """The tiles of each split."""


def read_rule(fields: YamlFields) -> SplitRule:
    """What `splits` says.

    Raises:
        DataError: If it says none of the four.
    """
    given = fields.values["splits"]
    if isinstance(given, dict) and "file" in given:
        return _read_areas(fields, given) if "field" in given else _read_table(fields, given)
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
    ) -> SplitTiles:
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
        return SplitTiles(names=splits)


@dataclass(frozen=True, kw_only=True)
class _ByShare:
    """Contiguous blocks of tiles."""

    shares: Mapping[str, float]
    seed: int
    wanted: Sequence[str] = ()

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> SplitTiles:
        places = [place_of_tile(tile) for tile in tiles]
        found = contiguous_blocks(tiles, places, self.shares, seed=self.seed)
        if empty := [split for split, of_split in found.items() if not of_split]:
            raise fields.error(
                f"splits must each have a tile, got none for {', '.join(empty)} of {len(tiles)} "
                "tiles, of which those that share ground stay together",
                "give more tiles, or name them",
            )
        return SplitTiles(names=found)


@dataclass(frozen=True, kw_only=True)
class _ByTable:
    """Tiles and their splits, as somebody has listed them."""

    split_of: Mapping[str, str]
    wanted: Sequence[str] = field(default=())

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> SplitTiles:
        if missing := sorted({*self.split_of} - {*tiles}):
            raise _unmatched(fields, ", ".join(map(repr, missing[:5])), tiles)
        return SplitTiles(
            names={
                split: sorted(tile for tile, one in self.split_of.items() if one == split)
                for split in SPLITS
            }
        )


@dataclass(frozen=True, kw_only=True)
class _ByArea:
    """Tiles that lie wholly in the polygons of one split, and in those of no other."""

    source: VectorFile
    field: str
    wanted: Sequence[str] = ()

    def splits(
        self, fields: YamlFields, tiles: Sequence[str], place_of_tile: PlaceOf
    ) -> SplitTiles:
        areas, crs = self._areas(fields)
        placed = [(tile, place) for tile in tiles if (place := place_of_tile(tile)) is not None]
        unplaced = sorted({*tiles} - {tile for tile, place in placed if place.crs is not None})
        if unplaced:
            raise fields.error(
                "tiles must say where they lie, since splits are polygons, got no place on the "
                f"ground of {_some(unplaced)}",
                "georeference the images, or name the tiles of each split",
            )
        found = held_tiles([place for _, place in placed], areas, crs)
        notes = [
            f"{len(indices)} of {len(tiles)} tiles are in no split, since they lie in {where} of "
            f"{self.source.file}: {_some([tiles[index] for index in indices])}"
            for indices, where in (
                (found.shared, "the polygons of two splits"),
                (found.outside, "no polygon, or only in part in one,"),
            )
            if indices
        ]
        if empty := [split for split in SPLITS if not found.held[split]]:
            raise fields.error(
                f"splits must each have a tile, got none for {', '.join(empty)}"
                + "".join(f"; {note}" for note in notes),
                "draw polygons that hold whole tiles, or cut the images into smaller ones",
            )
        names = {split: sorted(tiles[index] for index in found.held[split]) for split in SPLITS}
        return SplitTiles(names=names, notes=tuple(notes))

    def _areas(self, fields: YamlFields) -> tuple[dict[str, shapely.Geometry], CRS]:
        """All polygons of each split, and their reference system."""
        frame = read_features(self.source, self.field, "splits", "splits.field")
        values = frame[self.field]
        texts = [text_of(value) for value in values.where(values.notna(), "nothing")]
        if unknown := sorted({*texts} - {*SPLITS}):
            raise fields.error(
                f"{self.field} of splits must be one of {', '.join(SPLITS)}, got "
                f"{', '.join(map(repr, unknown[:5]))} in {self.source.file}",
                "mend it, or remove those polygons",
            )
        geometries = areas_of(frame, None, "splits")
        areas = {
            split: shapely.union_all([
                one for one, text in zip(geometries, texts, strict=True) if text == split
            ])
            for split in SPLITS
        }  # fmt: skip
        return areas, CRS.from_user_input(frame.crs.to_wkt())


def _read_areas(fields: YamlFields, given: Mapping[str, Any]) -> _ByArea:
    if not {*given} <= {*_AREA_KEYS}:
        others = ", ".join(sorted({*given} - {*_AREA_KEYS}))
        raise fields.error(
            f"splits by polygons must have {', '.join(_AREA_KEYS)} alone, got {others} besides",
            _WRITTEN,
        )
    inner = YamlFields(
        file=fields.file, values={f"splits.{key}": value for key, value in given.items()}
    )
    layer = None if is_nothing(given.get("layer")) else inner.text("splits.layer")
    source = VectorFile(file=inner.path("splits.file"), layer=layer)
    return _ByArea(source=source, field=inner.text("splits.field"))


def _some(tiles: Sequence[str]) -> str:
    """The first tiles by name, and how many more there are."""
    more = f" and {len(tiles) - 5} more" if len(tiles) > 5 else ""
    return f"{', '.join(map(shown, sorted(tiles)[:5]))}{more}"


def _read_table(fields: YamlFields, given: Mapping[str, Any]) -> _ByTable:
    inner = YamlFields(
        file=fields.file, values={f"splits.{key}": value for key, value in given.items()}
    )
    if {*given} != {"file"}:
        others = ", ".join(sorted({*given} - {"file"}))
        raise fields.error(f"splits must have a file alone, got {others} besides", _WRITTEN)
    file = inner.path("splits.file")
    try:
        with (
            on_this_machine(file, "splits.file") as copy,
            copy.open(newline="", encoding="utf-8-sig") as source,
        ):
            rows = csv.DictReader(source)
            names = rows.fieldnames or []
            listed = [(row.get("tile") or "", row.get("split") or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fields.error(
            f"splits.file must be a CSV file in UTF-8, got: {error} for {file}",
            "mend it; of polygons, give the field besides, field: split",
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
    return fields.error(
        f"splits must match tiles, got no tile for {missing}",
        f"looked among the {len(tiles)} tiles of {fields.values['images']!r}: {_some(tiles)}",
    )
