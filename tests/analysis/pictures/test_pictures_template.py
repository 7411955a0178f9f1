"""The part of the page that shows maps and budgets."""

import re
from pathlib import Path

import jinja2
import numpy as np
import pytest

import analysis
from analysis import wording
from analysis.pictures.crops import Crop
from analysis.pictures.disagreement import tile_disagreement
from analysis.pictures.picture_data import CropPictures, FractionPictures, PictureSection
from analysis.pictures.trial_pictures import BudgetPicture, Picture
from analysis.schema import MODELS
from analysis.statistics.scores import SCORE_LABELS

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


def render(**given) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(analysis.__file__).parent / "templates"),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    names = ("percent", "score", "mean_and_sd", "signed", "setting", "counted")
    environment.globals |= {"MODELS": MODELS, "SCORE_LABELS": SCORE_LABELS}
    environment.globals |= {name: getattr(wording, name) for name in names}
    nothing = {"section": None, "pictures": [], "budgets": [], "widest_px": 0}
    return environment.get_template("_pictures.html").render(nothing | given)


PICTURE = Picture(
    variant="unet", label_frac=0.1, seed=1, width_px=30, height_px=10, data_uri="data:,p"
)
BUDGET = BudgetPicture(
    label_frac=0.1, reached_frac=0.09, seed=1, width_px=30, height_px=10, data_uri="data:,b"
)


def test_nothing_to_show_is_nothing() -> None:
    assert not render().strip()


def test_pictures_of_trials_stand_in_where_there_are_no_maps() -> None:
    page = render(pictures=[PICTURE], widest_px=30)
    assert "What the maps look like" in page
    assert "data:,p" in page
    with_maps = render(pictures=[PICTURE], widest_px=30, section=make_section())
    assert "data:,p" not in with_maps


def test_budgets_are_shown_with_and_without_maps() -> None:
    for section in (None, make_section()):
        page = render(section=section, budgets=[BUDGET])
        assert "What was annotated" in page
        assert "data:,b" in page


@pytest.mark.parametrize("variants", [("unet", "urec"), ("unet", "urec-all", "urec-annotated")])
def test_headings_state_findings_and_every_picture_has_a_text(variants) -> None:
    section = make_section(variants=variants)
    page = render(section=section)
    (heading,) = re.findall("<h2>(.*?)</h2>", page)
    assert heading == section.fractions[0].heading
    images = re.findall("<img[^>]*>", page)
    assert len(images) == 1 + len(section.panels(section.fractions[0].crops[0]))
    assert all(re.search('alt="[^"]{8,}"', image) for image in images)
    assert "rows 16\N{EN DASH}23, columns 32\N{EN DASH}39" in page
    assert "No square for low vegetation" in page


def test_it_says_what_is_left_out() -> None:
    page = render(section=make_section(num_tiles=15))
    assert "over 15 test tiles" in page
    assert "the 12 with most disagreement" in page
    assert "n-th pixel" not in page
    large = make_section([], kinds=np.ones((600, 10), np.uint8))
    assert "n-th pixel" in render(section=large)


def test_tiles_without_reference_and_no_crops() -> None:
    page = render(section=make_section([], kinds=np.full((4, 4), 4, np.uint8)))
    assert "no reference" in page
    assert "nan" not in re.sub('"data:[^"]*"', "", page)
    assert "differ most" not in page


def test_names_are_escaped() -> None:
    tile = tile_disagreement("<b>x", np.ones((2, 2), np.uint8), 280)
    fraction = FractionPictures(
        label_frac=0.1, seed=1, variants=("unet", "urec"), pair=("unet", "urec"), tiles=(tile,),
        crops=(),
    )  # fmt: skip
    page = render(
        section=PictureSection(
            classes=CLASSES, colors=COLORS, fractions=(fraction,), num_left_out=3
        )
    )
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert "3 test tiles without maps" in page
