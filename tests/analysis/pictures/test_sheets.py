import numpy as np

from analysis.pictures.sheets import disagreement_sheet, prediction_sheet, reconstruction_sheet

COLORS = np.array([[0, 255, 255], [255, 255, 0]], dtype=np.uint8)


def titles(sheet) -> list[list[str]]:
    return [[cell.title for cell in row] for row in sheet.rows]


def test_columns_of_figure_2(make_section) -> None:
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


def test_columns_of_figure_3(make_section) -> None:
    section = make_section()
    sheet = reconstruction_sheet(section, section.fractions[0])
    assert titles(sheet) == [["Original", "Reconstruction", "U-REC", "U-Net"]]
    assert (sheet.rows[0][1].pixels == 9).all()


def test_every_variant_has_its_columns(make_section) -> None:
    section = make_section(variants=("unet", "urec-all", "urec-annotated"))
    assert len(titles(prediction_sheet(section, section.fractions[0]))[0]) == 8
    sheet = reconstruction_sheet(section, section.fractions[0])
    assert titles(sheet) == [[
        "Original", "Reconstruction", "Reconstruction", "U-REC (all pixels)",
        "U-REC (annotated pixels)", "U-Net",
    ]]  # fmt: skip
    assert [cell.subtitle for cell in sheet.rows[0][1:3]] == [
        "U-REC (all pixels)", "U-REC (annotated pixels)",
    ]  # fmt: skip


def test_nothing_reconstructed_nothing_drawn(make_section) -> None:
    section = make_section([])
    assert reconstruction_sheet(section, section.fractions[0]) is None


def test_maps_of_disagreement_in_rows_of_four(make_section) -> None:
    (fraction,) = make_section(num_tiles=6).fractions
    sheet = disagreement_sheet(fraction)
    assert [len(row) for row in sheet.rows] == [4, 2]
    assert sheet.title == fraction.heading
    assert sheet.rows[0][0].subtitle.replace("\u00a0", " ") == "one alone right: 42.9 %"


def test_a_tile_without_reference_says_so(make_section) -> None:
    (fraction,) = make_section([], kinds=np.full((4, 4), 4, np.uint8)).fractions
    assert disagreement_sheet(fraction).rows[0][0].subtitle == "no reference"
