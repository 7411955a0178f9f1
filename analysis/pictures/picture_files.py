"""Writes the sheets of pictures and their numbers beside the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.pictures.maps.maps import Picture
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.pictures.sheet_drawing import draw_sheet
from analysis.pictures.sheets import (
    Sheet,
    disagreement_sheet,
    prediction_sheet,
    reconstruction_sheet,
)
from contract.names import fraction_text


def write_pictures(section: PictureSection, folder: Path) -> tuple[Path, ...]:
    """Writes one sheet of each kind per annotation fraction, and two tables.

    `pictures_f0.01.png` (original, reference, maps, errors), `reconstructions_f0.01.png`,
    `disagreement_f0.01.png`, `crops.csv` (a row per crop and variant) and `disagreement.csv` (a
    row per test tile).

    Args:
        section: As from `picture_section.picture_section`.
        folder: Made if it does not exist.

    Returns:
        The paths written; a sheet without any picture is not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for fraction in section.fractions:
        sheets: dict[str, Sheet | None] = {
            "pictures": prediction_sheet(section, fraction) if fraction.crops else None,
            "reconstructions": reconstruction_sheet(section, fraction),
            "disagreement": disagreement_sheet(fraction),
        }
        for name, sheet in sheets.items():
            if sheet is not None:
                path = folder / f"{name}_f{fraction_text(fraction.label_frac)}.png"
                path.write_bytes(_png(draw_sheet(sheet)))
                paths.append(path)
    for stem, text in picture_csvs(section).items():
        path = folder / f"{stem}.csv"
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)


def picture_csvs(section: PictureSection) -> dict[str, str]:
    """The numbers behind the pictures by the names of their files: crops, disagreement."""
    tables = {"crops": _crop_rows(section), "disagreement": _tile_rows(section)}
    return {stem: _csv(rows) for stem, rows in tables.items() if rows}


def _crop_rows(section: PictureSection) -> list[dict[str, object]]:
    """One row per fraction, crop and variant."""
    return [
        _crop_row(fraction, one, variant)
        for fraction in section.fractions
        for one in fraction.crops
        for variant in fraction.styles
    ]


def _crop_row(fraction: FractionPictures, one: CropPictures, variant: str) -> dict[str, object]:
    alone = dict(zip(fraction.pair, (one.crop.num_first_px, one.crop.num_second_px), strict=True))
    return {
        "label_frac": fraction.label_frac,
        "seed": fraction.seed,
        "class": one.class_name,
        "tile": one.crop.tile,
        "top_px": one.crop.top_px,
        "left_px": one.crop.left_px,
        "side_px": one.crop.side_px,
        "class_px": one.num_class_px,
        "variant": variant,
        "alone_right_px": alone.get(variant, ""),
        "wrong_px": one.num_wrong(variant),
    }


def _tile_rows(section: PictureSection) -> list[dict[str, object]]:
    """One row per fraction and test tile, in order; shares are left to the reader."""
    return [
        {
            "label_frac": fraction.label_frac,
            "seed": fraction.seed,
            "tile": one.tile,
            "first": fraction.pair[0],
            "second": fraction.pair[1],
            "both_right_px": one.tally.both_right,
            "first_alone_right_px": one.tally.first_right,
            "second_alone_right_px": one.tally.second_right,
            "both_wrong_px": one.tally.both_wrong,
            "no_reference_px": one.tally.unknown,
        }
        for fraction in section.fractions
        for one in fraction.tiles
    ]


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _png(pixels: Picture) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()
