from dataclasses import replace

import numpy as np
import pytest

CLASSES = ("low_vegetation", "car")


def test_the_heading_says_what_was_found(make_section) -> None:
    # 7 known pixels: 3 both right, 1 the first alone, 2 the second alone, 1 both wrong
    (fraction,) = make_section().fractions
    assert fraction.heading.replace("\u00a0", " ") == (
        "At 0.96 % (1 % asked for) of the labels, one model alone is right on 42.9 % of the test "
        "pixels: U-REC on 28.6 %, U-Net on 14.3 %"
    )
    legend = [(meaning, share.replace("\u00a0", " ")) for _, meaning, share in fraction.legend]
    assert legend == [
        ("both right", "42.9 %"), ("U-Net alone right", "14.3 %"),
        ("U-REC alone right", "28.6 %"), ("both wrong", "14.3 %"),
        ("no reference", "not counted"),
    ]  # fmt: skip


def test_the_legend_of_crops_has_no_reference_only_where_some_is_missing(make_section) -> None:
    """An entry for black stood where no crop had a black pixel, and none for right pixels."""
    section = make_section()
    (fraction,) = section.fractions
    classes = [("low vegetation", "#00FFFF"), ("car", "#FFFF00")]
    errors = [("errors: right", "#E6E9EC"), ("errors: wrong", "#30363D")]
    assert section.crop_legend(fraction) == [
        *classes, ("no reference", "#000000"), *errors, ("errors: no reference", "#A3ABB3"),
    ]  # fmt: skip
    crop = fraction.crops[0]
    known = replace(crop, reference=np.ones_like(crop.reference))
    assert section.crop_legend(replace(fraction, crops=(known,))) == [*classes, *errors]


@pytest.mark.parametrize(
    ("kind", "said"),
    [(0, "on the same test pixels"), (3, "on the same test pixels"), (4, "no test pixel has")],
)
def test_models_that_never_differ_get_a_sentence_without_numbers(
    kind: int, said: str, make_section
) -> None:
    (fraction,) = make_section([], kinds=np.full((4, 4), kind, np.uint8)).fractions
    assert said in fraction.heading
    texts = [fraction.heading, *(text for *_, text in fraction.legend)]
    assert "nan" not in " ".join([*texts, fraction.tile_panel(fraction.tiles[0]).alt])


def test_the_model_that_is_right_more_often_comes_first(make_section) -> None:
    (fraction,) = make_section(kinds=np.array([[1, 1, 2, 0]], np.uint8)).fractions
    assert fraction.heading.index("U-Net on") < fraction.heading.index("U-REC on")


def test_at_most_twelve_tiles_are_shown_and_all_are_counted(make_section) -> None:
    (fraction,) = make_section(num_tiles=15).fractions
    assert len(fraction.shown_tiles) == 12
    assert fraction.total.both_right == 15 * 3


def test_panels_of_a_crop_and_their_alternative_texts(make_section) -> None:
    section = make_section()
    panels = section.panels(section.fractions[0].crops[0], section.fractions[0].styles)
    assert [panel.title for panel in panels] == [
        "Original", "Reference", "U-Net", "U-REC", "Errors of U-Net", "Errors of U-REC",
        "Reconstruction",
    ]  # fmt: skip
    assert [panel.is_map for panel in panels] == [False, *[True] * 5, False]
    alts = {panel.title: panel.alt.replace("\u00a0", " ") for panel in panels}
    assert alts["Reference"] == "Reference of the crop for car: 87.5 % car"
    assert alts["U-Net"] == "U-Net of the crop for car: 0 % car"
    assert alts["Errors of U-Net"] == "Errors of U-Net of the crop for car: 56 pixels"
    assert alts["Errors of U-REC"] == "Errors of U-REC of the crop for car: 0 pixels"
    assert len(set(alts.values())) == len(panels)


def test_panels_of_three_variants_name_each_reconstruction(make_section) -> None:
    section = make_section(variants=("unet", "urec-all", "urec-annotated"))
    titles = [
        panel.title
        for panel in section.panels(section.fractions[0].crops[0], section.fractions[0].styles)
    ]
    assert titles[-2:] == [
        "Reconstruction, U-REC (all pixels)", "Reconstruction, U-REC (annotated pixels)",
    ]  # fmt: skip
    assert len(titles) == 10


def test_unknown_pixels_are_no_errors(make_crop) -> None:
    one = make_crop()
    assert (one.reference == 255).sum() == 8
    assert (one.num_wrong("unet"), one.num_wrong("urec")) == (56, 0)


def test_the_map_of_a_tile_says_its_numbers(make_section) -> None:
    (fraction,) = make_section().fractions
    panel = fraction.tile_panel(fraction.tiles[0])
    assert panel.title == "area0"
    assert panel.alt.replace("\u00a0", " ") == (
        "Test tile area0: U-Net alone is right on 14.3 % of the pixels, U-REC alone on 28.6 %"
    )


def test_classes_without_a_crop_are_named(make_section) -> None:
    (fraction,) = make_section().fractions
    assert fraction.classes_without_crop(CLASSES) == ["low_vegetation"]
