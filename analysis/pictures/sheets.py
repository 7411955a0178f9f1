"""What stands in the sheets of pictures, after figures 2 and 3 of the paper."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.pictures.maps.maps import Picture
from analysis.pictures.maps.panels import (
    class_colors,
    error_colors,
    errors,
)
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.wording import percent

_NUM_TILE_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture of a sheet and the words above it."""

    pixels: Picture
    """(H, W, 3)."""
    title: str
    subtitle: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Rows of pictures with a title above and a legend below."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]
    captions: tuple[str, ...]
    """A line above each row; '' for none."""
    legend: tuple[tuple[str, str], ...]
    """'#RRGGBB' and meaning."""


def prediction_sheet(section: PictureSection, fraction: FractionPictures) -> Sheet:
    """Original, reference, one map per variant, and which pixels each gets wrong (figure 2)."""

    def cells(one: CropPictures) -> tuple[Cell, ...]:
        shown = [] if one.image is None else [Cell(title="Original", pixels=one.image)]
        shown.append(Cell(title="Reference", pixels=class_colors(one.reference, section.colors)))
        shown += [_predicted(one, variant, section, fraction) for variant in one.predicted]
        shown += [
            Cell(
                title=f"Errors, {fraction.styles[variant].label}",
                pixels=class_colors(errors(one.reference, classes), error_colors()),
            )
            for variant, classes in one.predicted.items()
        ]
        return tuple(shown)

    return Sheet(
        title=f"Where the models differ most, at {fraction.share} of the labels",
        rows=tuple(cells(one) for one in fraction.crops),
        captions=tuple(_caption(one, fraction) for one in fraction.crops),
        legend=tuple((color, name) for name, color in section.crop_legend(fraction)),
    )


def reconstruction_sheet(section: PictureSection, fraction: FractionPictures) -> Sheet | None:
    """Original, reconstructions, maps (figure 3); None where nothing is reconstructed."""
    rows, captions = [], []
    for one in fraction.crops:
        if not one.reconstructed:
            continue
        shown = [] if one.image is None else [Cell(title="Original", pixels=one.image)]
        several = len(one.reconstructed) > 1
        shown += [
            Cell(
                title="Reconstruction",
                subtitle=fraction.styles[variant].label if several else "",
                pixels=pixels,
            )
            for variant, pixels in one.reconstructed.items()
        ]
        ordered = [*one.reconstructed, *(v for v in one.predicted if v not in one.reconstructed)]
        rows.append((*shown, *(_predicted(one, variant, section, fraction) for variant in ordered)))
        captions.append(_caption(one, fraction))
    if not rows:
        return None
    return Sheet(
        title=f"Reconstruction and maps, at {fraction.share} of the labels",
        rows=tuple(rows),
        captions=tuple(captions),
        legend=tuple(_classes(section)),
    )


def disagreement_sheet(fraction: FractionPictures) -> Sheet:
    """A small map per test tile, those with most disagreement first."""
    colors = fraction.kind_colors
    cells = [
        Cell(
            title=one.tile,
            subtitle=f"one alone right: {percent(one.tally.share(one.tally.num_deciding))}"
            if one.tally.num_known
            else "no reference",
            pixels=class_colors(one.kinds, colors),
        )
        for one in fraction.shown_tiles
    ]
    rows = [
        tuple(cells[first : first + _NUM_TILE_COLUMNS])
        for first in range(0, len(cells), _NUM_TILE_COLUMNS)
    ]
    return Sheet(
        title=fraction.heading,
        rows=tuple(rows),
        captions=("",) * len(rows),
        legend=tuple((color, f"{meaning}: {share}") for color, meaning, share in fraction.legend),
    )


def _predicted(
    one: CropPictures, variant: str, section: PictureSection, fraction: FractionPictures
) -> Cell:
    pixels = class_colors(one.predicted[variant], section.colors)
    return Cell(title=fraction.styles[variant].label, pixels=pixels)


def _caption(one: CropPictures, fraction: FractionPictures) -> str:
    first, second = fraction.pair_labels
    crop = one.crop
    return (
        f"{one.class_name.replace('_', ' ')}: {second} alone right on {crop.num_second_px}, "
        f"{first} alone on {crop.num_first_px} of {one.num_class_px} px "
        f"({crop.tile}, row {crop.top_px}, column {crop.left_px})"
    )


def _classes(section: PictureSection) -> list[tuple[str, str]]:
    return [(color, name.replace("_", " ")) for name, color in section.legend]
