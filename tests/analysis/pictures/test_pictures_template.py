"""The part of the page that shows maps and budgets."""

import re

import numpy as np
import pytest

from analysis.page.html_page import environment
from analysis.pictures.maps.disagreement import tile_disagreement
from analysis.pictures.picture_data import FractionPictures, PictureSection
from analysis.pictures.trial_pictures import BudgetPicture, Picture
from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

CLASSES = ("low_vegetation", "car")
COLORS = np.array([[0, 255, 255], [255, 255, 0]], dtype=np.uint8)


def render(**given) -> str:
    nothing = {
        "rebuilding": ["U-REC"],
        "downloads": lambda stem: f"[{stem}]",
        "section": None,
        "pictures": [],
        "budgets": [],
        "widest_px": 0,
    }
    return environment(STYLES).get_template("sections/pictures.html").render(nothing | given)


PICTURE = Picture(
    variant="unet", label_frac=0.1, seed=1, width_px=30, height_px=10, data_uri="data:,p"
)
BUDGET = BudgetPicture(
    label_frac=0.1, reached_frac=0.09, seed=1, width_px=30, height_px=10, data_uri="data:,b"
)


def test_nothing_to_show_is_nothing() -> None:
    assert not render().strip()


def test_pictures_of_trials_stand_in_where_there_are_no_maps(make_section) -> None:
    page = render(pictures=[PICTURE], widest_px=30)
    assert "What the maps look like" in page
    assert "data:,p" in page
    with_maps = render(pictures=[PICTURE], widest_px=30, section=make_section())
    assert "data:,p" not in with_maps


def test_budgets_are_shown_with_and_without_maps(make_section) -> None:
    for section in (None, make_section()):
        page = render(section=section, budgets=[BUDGET])
        assert "Which pixels were annotated" in page
        assert "data:,b" in page


@pytest.mark.parametrize("variants", [("unet", "urec"), ("unet", "urec-all", "urec-annotated")])
def test_headings_state_findings_and_every_picture_has_a_text(variants, make_section) -> None:
    section = make_section(variants=variants)
    page = render(section=section)
    (heading,) = re.findall('<h2[^>]*>.*?<span class="said">(.*?)</span></h2>', page)
    assert re.sub("<[^>]*>", "", heading) == section.fractions[0].heading
    images = re.findall("<img[^>]*>", page)
    (fraction,) = section.fractions
    assert len(images) == 1 + len(section.panels(fraction.crops[0], fraction.styles))
    assert all(re.search('alt="[^"]{8,}"', image) for image in images)
    assert "rows 16\N{EN DASH}23, columns 32\N{EN DASH}39" in page
    assert "No square for low vegetation" in page


def test_it_says_what_is_left_out(make_section) -> None:
    page = render(section=make_section(num_tiles=15))
    assert "over 15 test tiles" in page
    assert "the 12 with most disagreement" in page
    assert "n-th pixel" not in page
    large = make_section([], kinds=np.ones((600, 10), np.uint8))
    assert "n-th pixel" in render(section=large)


def test_tiles_without_reference_and_no_crops(make_section) -> None:
    page = render(section=make_section([], kinds=np.full((4, 4), 4, np.uint8)))
    assert "no reference" in page
    assert "nan" not in re.sub('"data:[^"]*"', "", page)
    assert "differ most" not in page


def test_names_are_escaped() -> None:
    tile = tile_disagreement("<b>x", np.ones((2, 2), np.uint8), 280)
    fraction = FractionPictures(
        label_frac=0.1, reached_frac=0.1, seed=1, styles=STYLES, pair=("unet", "urec"),
        tiles=(tile,), crops=(),
    )  # fmt: skip
    page = render(
        section=PictureSection(
            classes=CLASSES, colors=COLORS, fractions=(fraction,), num_left_out=3
        )
    )
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert "3 test tiles without maps" in page
