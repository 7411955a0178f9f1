"""What the page and the files show of predicted maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.pictures.crops import Crop
from analysis.pictures.maps.disagreement import (
    BOTH_RIGHT,
    BOTH_WRONG,
    FIRST_RIGHT,
    NOT_KNOWN,
    SECOND_RIGHT,
    Tally,
    TileDisagreement,
    most_disagreeing,
    summed,
)
from analysis.pictures.maps.maps import UNKNOWN, ClassMap, Picture
from analysis.pictures.maps.panels import (
    NO_REFERENCE,
    RIGHT,
    UNKNOWN_COLOR,
    WRONG,
    Panel,
    color_text,
    error_colors,
    errors,
    kind_colors,
    map_uri,
    picture_uri,
)
from analysis.reading.styles import Styles
from analysis.statistics.label_efficiency.shares import Share
from analysis.wording import MISSING, counted, percent

MAX_TILES = 12
"""Maps of disagreement on the page; those with most disagreement where there are more tiles."""
MAX_MAP_PX = 280
"""Longest side of such a map."""


@dataclass(frozen=True, kw_only=True)
class CropPictures:
    """One crop with everything that is shown of it; S is its side."""

    crop: Crop
    class_name: str
    num_class_px: int
    """Reference pixels of the class in the crop."""
    image: Picture | None
    """(S, S, 3); None where no image is kept."""
    reference: ClassMap
    """(S, S)."""
    predicted: Mapping[str, ClassMap]
    """(S, S) by variant."""
    reconstructed: Mapping[str, Picture]
    """(S, S, 3) by variant that reconstructs."""

    def num_wrong(self, variant: str) -> int:
        """Pixels of the crop, of any class, that a variant gets wrong."""
        return int((errors(self.reference, self.predicted[variant]) == 1).sum())


@dataclass(frozen=True, kw_only=True)
class FractionPictures:
    """Everything shown at one annotation fraction."""

    label_frac: float
    """As asked for."""
    reached_frac: float
    """Mean of what the budgets of the two reached, which are one budget in most studies."""
    seed: int
    """Seed of all its trials."""
    styles: Styles
    """Styles of the variants that have maps, in order."""
    pair: tuple[str, str]
    """The two of them that are compared pixel by pixel."""
    tiles: tuple[TileDisagreement, ...]
    """Every test tile with maps, in order."""
    crops: tuple[CropPictures, ...]
    """In the order of classes."""

    @property
    def pair_labels(self) -> tuple[str, str]:
        """Labels of the two."""
        first, second = (self.styles[name].label for name in self.pair)
        return first, second

    @property
    def kind_colors(self) -> Picture:
        """Colours of the kinds of pixels in the maps of disagreement, (5, 3)."""
        return kind_colors(*(self.styles[name].color for name in self.pair))

    @property
    def total(self) -> Tally:
        """Pixels of each kind over all tiles."""
        return summed([tile.tally for tile in self.tiles])

    @property
    def shown_tiles(self) -> list[TileDisagreement]:
        """At most MAX_TILES, the most disagreement first."""
        return most_disagreeing(self.tiles, MAX_TILES)

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Colour, meaning and share of every kind of pixel in the maps of disagreement."""
        total, (first, second) = self.total, self.pair_labels
        colors = [color_text(color) for color in self.kind_colors]
        entries = [
            (colors[BOTH_RIGHT], "both right", _share(total, total.both_right)),
            (colors[FIRST_RIGHT], f"{first} alone right", _share(total, total.first_right)),
            (colors[SECOND_RIGHT], f"{second} alone right", _share(total, total.second_right)),
            (colors[BOTH_WRONG], "both wrong", _share(total, total.both_wrong)),
        ]
        if total.unknown:
            entries.append((colors[NOT_KNOWN], "no reference", "not counted"))
        return entries

    def tile_panel(self, one: TileDisagreement) -> Panel:
        """The map of a tile."""
        first, second = self.pair_labels
        alt = (
            f"Test tile {one.tile}: {first} alone is right on "
            f"{_share(one.tally, one.tally.first_right)} of the pixels, {second} alone on "
            f"{_share(one.tally, one.tally.second_right)}"
        )
        uri = map_uri(one.kinds, self.kind_colors)
        return _panel(one.tile, uri, alt, is_map=True)

    @property
    def share(self) -> str:
        """Such as "1 %", or "0.86 % (1 % asked for)" where the two have one budget."""
        reached = self.reached_frac if self.has_one_budget else self.label_frac
        return Share(label_frac=self.label_frac, reached=reached, with_val=math.nan).text

    @property
    def has_one_budget(self) -> bool:
        """Whether the two models learned from the same annotations."""
        orders = {self.styles[name].variant.levels.get("budget_order") for name in self.pair}
        return len(orders) == 1

    @property
    def heading(self) -> str:
        """What was found, for a reader."""
        total, (first, second) = self.total, self.pair_labels
        at = f"At {self.share} of the labels"
        if not total.num_known:
            return f"{at}, no test pixel has a reference to compare with"
        if not total.num_deciding:
            return f"{at}, {first} and {second} are right on the same test pixels"
        larger, smaller = sorted(
            ((total.second_right, second), (total.first_right, first)), reverse=True
        )
        return (
            f"{at}, one model alone is right on {_share(total, total.num_deciding)} of the test "
            f"pixels: {larger[1]} on {_share(total, larger[0])}, {smaller[1]} on "
            f"{_share(total, smaller[0])}"
        )

    def classes_without_crop(self, classes: Sequence[str]) -> list[str]:
        """Classes about which the two differ nowhere, or only where other crops lie."""
        shown = {one.class_name for one in self.crops}
        return [name for name in classes if name not in shown]


@dataclass(frozen=True, kw_only=True)
class PictureSection:
    """Everything that the page shows of predicted maps."""

    classes: tuple[str, ...]
    """Names (K)."""
    colors: Picture
    """Colours of the classes (K, 3)."""
    fractions: tuple[FractionPictures, ...]
    """One or two, the smallest fraction first."""
    num_left_out: int
    """Test tiles without maps: they were too large to be kept."""

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Name and '#RRGGBB' of every class."""
        return [
            (name, color_text(color)) for name, color in zip(self.classes, self.colors, strict=True)
        ]

    def crop_legend(self, fraction: FractionPictures) -> list[tuple[str, str]]:
        """Name and colour of all that the crops of a fraction show."""
        others = [("errors: right", RIGHT), ("errors: wrong", WRONG)]
        if any((one.reference == UNKNOWN).any() for one in fraction.crops):
            others = [
                ("no reference", UNKNOWN_COLOR),
                *others,
                ("errors: no reference", NO_REFERENCE),
            ]
        return [*((_words(name), color) for name, color in self.legend), *others]

    def panels(self, one: CropPictures, styles: Styles) -> list[Panel]:
        """The pictures of a crop: what is there, what was predicted, errors, reconstructions.

        Titles are the same for all crops of a fraction.

        Args:
            one: The crop.
            styles: Of its variants.
        """
        where = f"of the crop for {_words(one.class_name)}"
        panels = []
        if one.image is not None:
            panels.append(_panel("Original", picture_uri(one.image), f"Image {where}"))
        maps = {"Reference": one.reference}
        maps |= {styles[v].label: classes for v, classes in one.predicted.items()}
        for title, classes in maps.items():
            share = percent(float(np.mean(classes == one.crop.class_index)))
            alt = f"{title} {where}: {share} {_words(one.class_name)}"
            panels.append(_panel(title, map_uri(classes, self.colors), alt, is_map=True))
        for variant, classes in one.predicted.items():
            title = f"Errors of {styles[variant].label}"
            uri = map_uri(errors(one.reference, classes), error_colors())
            alt = f"{title} {where}: {counted(one.num_wrong(variant), 'pixel')}"
            panels.append(_panel(title, uri, alt, is_map=True))
        for variant, pixels in one.reconstructed.items():
            several = len(one.reconstructed) > 1
            title = "Reconstruction" + (f", {styles[variant].label}" if several else "")
            panels.append(_panel(title, picture_uri(pixels), f"{title} {where}"))
        return panels


def _share(of: Tally, num: int) -> str:
    """Such as '2.9 %' of the pixels with a reference; MISSING where there are none."""
    share = of.share(num)
    return MISSING if math.isnan(share) else percent(share)


def _words(class_name: str) -> str:
    return class_name.replace("_", " ")


def _panel(title: str, uri: str, alt: str, *, is_map: bool = False) -> Panel:
    return Panel(title=title, data_uri=uri, alt=alt, is_map=is_map)
