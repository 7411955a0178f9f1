from typing import Any

import numpy as np
import pytest

from analysis.reading.schema import StudyInfo, parse_study
from analysis.tables.published import (
    AREAS,
    CLASSES,
    PUBLISHED,
    is_vaihingen,
    published_notes,
    published_oa,
    published_scores,
)
from contract.methods import METHODS

# Tables 1 and 2 as the paper prints them, typed from its text apart from the constants.
PAPER = {
    "unet": """
imp_surf 0.924 0.035 0.027 0.010 0.004 0.000
building 0.038 0.941 0.015 0.005 0.001 0.000
low_veg 0.049 0.017 0.773 0.161 0.000 0.000
tree 0.011 0.002 0.075 0.911 0.000 0.000
car 0.146 0.073 0.006 0.002 0.772 0.001
clutter 0.281 0.441 0.005 0.003 0.088 0.181
Precision/Correctness 0.905 0.933 0.851 0.843 0.782 0.939
Recall/Completeness 0.924 0.941 0.773 0.911 0.772 0.181
F1 0.915 0.937 0.810 0.876 0.777 0.303
""",
    "urec": """
imp_surf 0.927 0.027 0.033 0.011 0.002 0.000
building 0.042 0.936 0.015 0.006 0.000 0.000
low_veg 0.043 0.014 0.773 0.169 0.000 0.000
tree 0.008 0.002 0.058 0.932 0.000 0.000
car 0.204 0.062 0.007 0.005 0.716 0.006
clutter 0.369 0.315 0.014 0.010 0.035 0.257
Precision/Correctness 0.904 0.946 0.861 0.838 0.893 0.889
Recall/Completeness 0.927 0.936 0.773 0.932 0.716 0.257
F1 0.915 0.941 0.815 0.882 0.795 0.399
""",
}
NAMES = ("impervious_surfaces", "building", "low_vegetation", "tree", "car", "clutter")
HALF = 0.0005
"""What rounding to three digits can take from a figure, or add."""


@pytest.mark.parametrize("network", ["unet", "urec"])
def test_published_figures_are_the_printed_ones(network: str) -> None:
    result = PUBLISHED[METHODS[network].published_table]
    names = [*CLASSES, "Precision/Correctness", "Recall/Completeness", "F1"]
    rows = [*result.normalised, result.precision, result.recall, result.f1]
    assert [[name, *(f"{x:.3f}" for x in row)] for name, row in zip(names, rows, strict=True)] == [
        line.split() for line in PAPER[network].strip().split("\n")
    ]


@pytest.mark.parametrize("network", ["unet", "urec"])
def test_published_recall_is_the_diagonal_of_rows_that_sum_to_1(network: str) -> None:
    result = PUBLISHED[METHODS[network].published_table]
    normalised = np.array(result.normalised)
    np.testing.assert_array_equal(np.diag(normalised), result.recall)
    assert np.abs(normalised.sum(axis=1) - 1.0).max() <= len(CLASSES) * HALF


def f1_of(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2.0 * precision * recall / (precision + recall)


@pytest.mark.parametrize("network", ["unet", "urec"])
def test_published_f1_lies_within_what_rounding_allows(network: str) -> None:
    # F1 grows with P and with R, so their rounding intervals bound the F1 before its rounding.
    result = PUBLISHED[METHODS[network].published_table]
    precision, recall, f1 = map(np.array, (result.precision, result.recall, result.f1))
    lowest = f1_of(precision - HALF, recall - HALF) - HALF
    highest = f1_of(precision + HALF, recall + HALF) + HALF
    assert (lowest <= f1).all()
    assert (f1 <= highest).all()
    assert (highest - lowest).max() < 0.004  # narrow enough to notice a wrong digit


def test_f1_from_rounded_figures_can_differ_in_the_last_digit() -> None:
    result = PUBLISHED[1]
    computed = f1_of(np.array(result.precision[:1]), np.array(result.recall[:1]))[0]
    assert f"{computed:.3f}" == "0.914"
    assert result.f1[0] == 0.915


@pytest.mark.parametrize(("network", "oa"), [("unet", 0.8860), ("urec", 0.8902)])
def test_published_accuracy_follows_from_the_published_matrix(network: str, oa: float) -> None:
    # precision_c sum_r s_r N_rc = s_c N_cc gives the shares s of the classes, and OA = s . recall
    result = PUBLISHED[METHODS[network].published_table]
    matrix, precision = np.array(result.normalised), np.array(result.precision)
    equations = (matrix * precision).T - np.diag(np.diag(matrix))
    shares = np.linalg.svd(equations)[2][-1]
    assert (shares / shares.sum() > 0.0).all()
    assert result.oa == oa
    assert shares @ np.diag(matrix) / shares.sum() == pytest.approx(oa, abs=HALF)


def info(
    name: str = "vaihingen",
    classes: tuple[str, ...] = NAMES,
    areas: dict[str, tuple[int, ...]] | None = None,
    config: dict[str, Any] | None = None,
) -> StudyInfo:
    dataset: dict[str, Any] = {"name": name, "classes": [{"name": one} for one in classes]}
    if areas is not None:
        dataset["splits"] = {
            split: [f"area{number}" for number in numbers] for split, numbers in areas.items()
        }
    document = {"config": config or {"data": "/data/vaihingen"}, "dataset": dataset}
    return parse_study(document, name="s", status="finished")


SCENES = {
    "train": (1, 3, 5, 7, 11, 13, 21, 23, 26, 28, 30, 32), "val": (15, 17),
    "test": (2, 4, 6, 8, 10, 12),
}  # fmt: skip


@pytest.mark.parametrize(
    "found",
    [
        info(),
        info(areas=AREAS),
        info("Vaihingen"),
        info("ISPRS Vaihingen"),
        info("isprs_vaihingen_2d"),
        info(classes=("Clutter/Background", "Car", "Tree", "Low Vegetation", "Building",
                      "Impervious surfaces")),
        info(classes=CLASSES),
        info(areas={"train": (1, 3), "val": (7,), "test": (15, 17)}),
        info(config={"space": "label_frac=1"}),
    ],
)  # fmt: skip
def test_vaihingen_is_recognised(found: StudyInfo) -> None:
    assert is_vaihingen(found)


@pytest.mark.parametrize(
    "found",
    [
        info("built-in scenes", areas=SCENES, config={"data": None}),
        info("built-in scenes"),
        info("vaihingen", areas=SCENES),  # the folder of the scenes, given as --data
        info("vaihingen", config={"data": None}),
        info("potsdam"),
        info("vaihingen-like scenes"),
        info("not vaihingen"),
        info("vaihingen2"),
        info(classes=NAMES[:5]),
        info(classes=(*NAMES[:5], "water")),
        info(classes=(*NAMES[:5], "cars")),  # car twice, no clutter
        info(areas={"train": (1,), "val": (15,), "test": (99,)}),
        parse_study({}, name="s", status="finished"),
        parse_study({"dataset": {}}, name="s", status="finished"),
    ],
)
def test_other_data_is_not_taken_for_vaihingen(found: StudyInfo) -> None:
    assert not is_vaihingen(found)
    assert published_notes(found) == ()
    assert published_scores(found, "unet", NAMES) == {}


def test_tiles_that_are_no_areas_are_not_the_benchmark() -> None:
    document = {
        "dataset": {
            "name": "vaihingen", "classes": [{"name": one} for one in NAMES],
            "splits": {"train": ["north"], "val": ["east"], "test": ["south"]},
        }
    }  # fmt: skip
    assert not is_vaihingen(parse_study(document, name="s", status="finished"))


def test_published_scores_follow_the_classes_of_the_study() -> None:
    found = published_scores(info(), "urec", ("clutter", "impervious_surfaces"))
    assert found["precision"].tolist() == [0.889, 0.904]
    assert found["recall"].tolist() == [0.257, 0.927]
    assert found["f1"].tolist() == [0.399, 0.915]


def test_a_method_that_the_paper_does_not_have_has_no_published_figures() -> None:
    assert published_scores(info(), "fixmatch", NAMES) == {}
    assert np.isnan(published_oa("fixmatch"))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (info(areas=AREAS), "has the same areas in each part."),
        (info(areas=AREAS, config={"downsample": 2}),
         "has the same areas in each part and reduces the images 2 times: its scores"),
        (info(), "does not record its tiles"),
        (info(areas={**AREAS, "test": (2, 4)}), "has 2 areas to test instead of 17: its scores"),
        (info(areas={**AREAS, "val": (30, 17)}), "has other areas to validate: its scores"),
    ],
)  # fmt: skip
def test_notes_say_what_the_paper_leaves_open_and_how_the_data_differ(
    found: StudyInfo, said: str
) -> None:
    source, open_questions, differs = published_notes(found)
    assert "IGARSS 2019" in source
    assert "does not say whether it scored against the complete or the eroded" in open_questions
    assert said in differs
    assert differs.endswith("What it measured is against the full reference.")
