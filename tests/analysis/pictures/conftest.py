"""Crops and sections of pictures, made by hand."""

import numpy as np
import pytest

from analysis.pictures.crops import Crop
from analysis.pictures.maps.disagreement import tile_disagreement
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

CLASSES = ("low_vegetation", "car")
COLORS = np.array([[0, 255, 255], [255, 255, 0]], dtype=np.uint8)


def crop_of(index: int = 1, *, variants: tuple[str, ...] = ("unet", "urec"), side: int = 8):
    """A crop whose reference is of one class, got right by the second variant alone."""
    reference = np.full((side, side), index, np.uint8)
    reference[0] = 255
    wrong = np.full((side, side), 1 - index, np.uint8)
    maps = {v: wrong if i == 0 else reference % 255 for i, v in enumerate(variants)}
    maps = {v: np.where(reference == 255, 0, m).astype(np.uint8) for v, m in maps.items()}
    rebuilt = {v: np.full((side, side, 3), 9, np.uint8) for v in variants if v != "unet"}
    return CropPictures(
        crop=Crop(
            class_index=index, tile="area 1", top_px=16, left_px=32, side_px=side,
            num_first_px=0, num_second_px=side * (side - 1),
        ),
        class_name=CLASSES[index], num_class_px=side * (side - 1),
        image=np.full((side, side, 3), 200, np.uint8), reference=reference, predicted=maps,
        reconstructed=rebuilt,
    )  # fmt: skip


def section_of(crops=None, *, kinds=None, variants=("unet", "urec"), num_tiles: int = 1):
    if kinds is None:
        kinds = np.array([[0, 0, 0, 1], [2, 2, 3, 4]], np.uint8)
    tiles = [tile_disagreement(f"area{i}", np.roll(kinds, i), 280) for i in range(num_tiles)]
    fraction = FractionPictures(
        label_frac=0.01, reached_frac=0.0096, seed=1,
        styles={v: STYLES[v] for v in variants}, pair=variants[:2],
        tiles=tuple(tiles),
        crops=(crop_of(variants=variants),) if crops is None else tuple(crops),
    )  # fmt: skip
    return PictureSection(classes=CLASSES, colors=COLORS, fractions=(fraction,), num_left_out=0)


@pytest.fixture
def make_crop():
    return crop_of


@pytest.fixture
def make_section():
    return section_of
