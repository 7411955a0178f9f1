import numpy as np

from analysis.pictures.crops import Crop
from analysis.pictures.disagreement import tile_disagreement
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.pictures.sheets import disagreement_sheet, prediction_sheet, reconstruction_sheet
from analysis.schema import MODELS

CLASSES = ("low_vegetation", "car")
COLORS = np.array([[0, 255, 255], [255, 255, 0]], dtype=np.uint8)


def make_crop(index: int = 1, *, variants: tuple[str, ...] = ("unet", "urec"), side: int = 8):
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


def make_section(crops=None, *, kinds=None, variants=("unet", "urec"), num_tiles: int = 1):
    if kinds is None:
        kinds = np.array([[0, 0, 0, 1], [2, 2, 3, 4]], np.uint8)
    tiles = [tile_disagreement(f"area{i}", np.roll(kinds, i), 280) for i in range(num_tiles)]
    fraction = FractionPictures(
        label_frac=0.01, seed=1, variants=variants, pair=variants[:2], tiles=tuple(tiles),
        crops=(make_crop(variants=variants),) if crops is None else tuple(crops),
    )  # fmt: skip
    return PictureSection(classes=CLASSES, colors=COLORS, fractions=(fraction,), num_left_out=0)


def titles(sheet) -> list[list[str]]:
    return [[cell.title for cell in row] for row in sheet.rows]


def test_columns_of_figure_2() -> None:
    section = make_section()
    sheet = prediction_sheet(section, section.fractions[0])
    assert titles(sheet) == [
        ["Original", "Reference", "U-Net", "U-REC", "Errors, U-Net", "Errors, U-REC"]
    ]
    reference, unet, urec = (cell.pixels for cell in sheet.rows[0][1:4])
    assert (reference[1:] == COLORS[1]).all()
    assert (reference[0] == 0).all()
    assert (unet[1:] == COLORS[0]).all()
    assert (urec[1:] == COLORS[1]).all()
    assert sheet.captions == (
        "car: U-REC alone right on 56, U-Net alone on 0 of 56 px (area 1, row 16, column 32)",
    )
    assert ("#FFFF00", "car") in sheet.legend


def test_columns_of_figure_3() -> None:
    section = make_section()
    sheet = reconstruction_sheet(section, section.fractions[0])
    assert titles(sheet) == [["Original", "Reconstruction", "U-REC", "U-Net"]]
    assert (sheet.rows[0][1].pixels == 9).all()


def test_every_variant_has_its_columns() -> None:
    section = make_section(variants=("unet", "urec-all", "urec-annotated"))
    assert len(titles(prediction_sheet(section, section.fractions[0]))[0]) == 8
    sheet = reconstruction_sheet(section, section.fractions[0])
    assert titles(sheet) == [[
        "Original", "Reconstruction", "Reconstruction", MODELS["urec-all"].label,
        MODELS["urec-annotated"].label, "U-Net",
    ]]  # fmt: skip
    assert [cell.subtitle for cell in sheet.rows[0][1:3]] == [
        MODELS["urec-all"].label, MODELS["urec-annotated"].label,
    ]  # fmt: skip


def test_nothing_reconstructed_nothing_drawn() -> None:
    section = make_section([])
    assert reconstruction_sheet(section, section.fractions[0]) is None


def test_maps_of_disagreement_in_rows_of_four() -> None:
    (fraction,) = make_section(num_tiles=6).fractions
    sheet = disagreement_sheet(fraction)
    assert [len(row) for row in sheet.rows] == [4, 2]
    assert sheet.title == fraction.heading
    assert sheet.rows[0][0].subtitle.replace("\u00a0", " ") == "one alone right: 42.9 %"


def test_a_tile_without_reference_says_so() -> None:
    (fraction,) = make_section([], kinds=np.full((4, 4), 4, np.uint8)).fractions
    assert disagreement_sheet(fraction).rows[0][0].subtitle == "no reference"
