import math

import numpy as np
import pandas as pd
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.tables.confusion.confusion_differences import ConfusionDifference
from analysis.tables.confusion.confusion_tables import ConfusionTable
from analysis.tables.table_findings import (
    comparison_finding,
    confusion_finding,
    difference_finding,
    otherwise_finding,
    per_class_finding,
)

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

NAN = math.nan
MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"


def compared(*arms: tuple[str, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(arms, columns=["model", "label_frac", "mean_f1_mean"])
    return frame.assign(reached_frac_mean=NAN)


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ([], "No arm has test scores yet"),
        ([("unet", 0.1, NAN)], "No arm has test scores yet"),
        ([("unet", 0.1, 0.5), ("urec", 0.1, 0.6)],
         f"With 10{NBSP}% of the labels, mean F1 is 0.500 for U-Net and 0.600 for U-REC"),
        ([("unet", 1.0, 0.7), ("unet", 0.1, 0.5), ("unet", 0.5, 0.9)],
         f"From 10{NBSP}% to 100{NBSP}% of the labels, mean F1 goes from 0.500 to 0.700 for U-Net"),
        ([("unet", 0.1, 0.5), ("unet", 1.0, 0.7), ("urec", 0.1, 0.6), ("urec", 1.0, NAN)],
         f"Mean F1 by share of the labels: U-Net 0.500 at 10{NBSP}% to 0.700 at 100{NBSP}%, "
         f"U-REC 0.600 at 10{NBSP}%"),
    ],
)  # fmt: skip
def test_comparison_is_summed_up_from_end_to_end(
    arms: list[tuple[str, float, float]], said: str
) -> None:
    assert comparison_finding(compared(*arms), STYLES) == said


def test_the_comparison_is_told_at_what_was_reached() -> None:
    frame = compared(("unet", 0.01, 0.5), ("urec", 0.01, 0.6), ("unet", 1.0, 0.7))
    frame["reached_frac_mean"] = [0.006, 0.006, 1.0]
    assert comparison_finding(frame, STYLES) == (
        f"Mean F1 by share of the labels: U-Net 0.500 at 0.6{NBSP}% to 0.700 at 100{NBSP}%, "
        f"U-REC 0.600 at 0.6{NBSP}%"
    )


def test_other_ways_of_counting_say_by_how_much() -> None:
    frame = pd.DataFrame(
        {
            "mean_f1_mean": [0.5, 0.6, NAN], "mean_f1_all_mean": [0.45, 0.58, NAN],
            "oa_mean": [0.7, 0.8, NAN], "oa_eroded_mean": [0.72, 0.82, NAN],
        }
    )  # fmt: skip
    assert otherwise_finding(frame, True) == (
        f"With every class in it, mean F1 changes by {MINUS}0.050 to {MINUS}0.020; against the "
        "eroded reference, OA changes by +0.020"
    )
    full = frame.drop(columns="oa_eroded_mean")
    assert otherwise_finding(full, False) == ""
    assert otherwise_finding(frame.iloc[2:], True) == ""
    assert otherwise_finding(frame, False).startswith("Against the eroded reference")


def test_best_and_worst_class_of_each_variant() -> None:
    frame = pd.DataFrame(
        [("a_b", "unet", 0.9), ("a_b", "urec", 0.8), ("c", "unet", 0.2), ("c", "urec", NAN)],
        columns=["class", "model", "f1"],
    ).assign(recall=0.5)
    assert per_class_finding(frame, STYLES) == (
        "U-Net maps a b best (F1 0.900) and c worst (0.200); U-REC maps a b best (F1 0.800)"
    )
    assert per_class_finding(frame.iloc[:0], STYLES) == ""


def test_a_class_without_reference_pixels_was_called_the_worst() -> None:
    """Its F1 is 0 where it is predicted somewhere, and says nothing of the model."""
    frame = pd.DataFrame(
        [("road", "unet", 0.9, 0.9), ("tree", "unet", 0.3, 0.2), ("pool", "unet", 0.0, NAN)],
        columns=["class", "model", "f1", "recall"],
    )
    assert per_class_finding(frame, STYLES) == (
        "U-Net maps road best (F1 0.900) and tree worst (0.300)"
    )
    assert per_class_finding(frame.iloc[2:], STYLES) == ""


MANY = styles_of(tried_variants([(f"unet-{place}", "unet") for place in range(5)]))


def test_models_that_agree_are_one_part_of_the_sentence() -> None:
    rows = [
        (name, f"unet-{place}", f1 + place / 100, 0.5)
        for place in range(5)
        for name, f1 in (("road", 0.8), ("tree", 0.5), ("car", 0.3))
    ]
    frame = pd.DataFrame(rows, columns=["class", "model", "f1", "recall"])
    assert per_class_finding(frame, MANY) == (
        "All 5 models map road best (F1 0.800 to 0.840) and car worst (0.300 to 0.340)"
    )
    frame.loc[frame["model"].eq("unet-4") & frame["class"].eq("car"), "f1"] = 0.99
    last = MANY["unet-4"].label
    assert per_class_finding(frame, MANY) == (
        "4 of 5 models map road best (F1 0.800 to 0.830) and car worst (0.300 to 0.330); "
        f"{last} maps car best (F1 0.990) and tree worst (0.540)"
    )


def test_the_comparison_of_many_models_is_no_list_of_them() -> None:
    arms = [(f"unet-{i}", frac, 0.5 + frac / 5 + i / 100) for i in range(5) for frac in (0.1, 1.0)]
    assert comparison_finding(compared(*arms), MANY) == (
        f"From 10{NBSP}% to 100{NBSP}% of the labels, mean F1 of 5 models goes from between 0.520 "
        "and 0.560 to between 0.700 and 0.740"
    )
    assert comparison_finding(compared(*arms[:-1]), MANY) == (
        "Mean F1 of 5 models lies between 0.520 and 0.730, whatever their share of the labels"
    )
    at_one = [arm for arm in arms if arm[1] == 1.0]
    assert comparison_finding(compared(*at_one), MANY) == (
        f"With 100{NBSP}% of the labels, mean F1 of 5 models lies between 0.700 and 0.740"
    )


def test_most_frequent_mistake_of_each_variant() -> None:
    def table(variant: str, counts: list[list[int]]) -> ConfusionTable:
        return ConfusionTable.from_counts(
            np.array(counts, dtype=np.int64), variant=variant, label_frac=1.0, seeds=(0,),
            num_tiles=1, classes=("low_veg", "tree", "car"),
        )  # fmt: skip

    unet = table("unet", [[9, 1, 0], [4, 6, 0], [0, 0, 0]])
    perfect = table("urec", [[9, 0, 0], [0, 6, 0], [0, 0, 1]])
    assert confusion_finding([unet, perfect], STYLES) == (
        f"40{NBSP}% of tree pixels are called low veg by U-Net"
    )
    other = table("urec", [[9, 1, 0], [3, 7, 0], [0, 0, 0]])
    assert confusion_finding([unet, other], STYLES) == (
        f"40{NBSP}% of tree pixels are called low veg by U-Net, 30{NBSP}% by U-REC"
    )
    many = [table(f"unet-{i}", [[9, 1, 0], [2 + i, 8 - i, 0], [0, 0, 0]]) for i in range(5)]
    assert confusion_finding(many, MANY) == (
        f"20{NBSP}% to 60{NBSP}% of tree pixels are called low veg by all 5 models"
    )
    assert confusion_finding([perfect], STYLES) == ""
    assert confusion_finding([], STYLES) == ""


@pytest.mark.parametrize(
    ("f1", "said"),
    [
        ([0.076, 0.0, -0.02],
         f"U-REC: F1 up most on low veg (+0.076), down most on car ({MINUS}0.020)"),
        ([0.076, 0.03, 0.01],
         "U-REC: F1 up on every class, most on low veg (+0.076), least on car (+0.010)"),
        ([-0.01, -0.03, -0.02],
         f"U-REC: F1 down on every class, most on tree ({MINUS}0.030), least on low veg "
         f"({MINUS}0.010)"),
        ([0.02, 0.0, 0.0], "U-REC: F1 up most on low veg (+0.020), down on no class"),
        ([0.0, -0.02, 0.0],
         f"U-REC: F1 up on no class, down most on tree ({MINUS}0.020)"),
        ([0.0004, -0.0004, NAN], "U-REC and U-Net have the same F1 on every class"),
        ([NAN, 0.02, NAN], "U-REC: F1 up on tree (+0.020)"),
        ([NAN, -0.02, NAN], f"U-REC: F1 down on tree ({MINUS}0.020)"),
        ([NAN, NAN, NAN], "No class has an F1 on both sides"),
    ],
)  # fmt: skip
def test_difference_is_described_by_its_extremes(f1: list[float], said: str) -> None:
    nothing = np.zeros(3)
    table = ConfusionDifference(
        variant="urec", reference="unet", label_frac=1.0, seeds=(0,), reference_seeds=(0,),
        num_tiles=1, classes=("low_veg", "tree", "car"), normalised=np.zeros((3, 3)),
        precision=nothing, recall=nothing, f1=np.array(f1),
    )  # fmt: skip
    assert difference_finding(table, STYLES) == said


def test_a_class_without_reference_pixels_was_one_on_which_nothing_is_gained() -> None:
    nothing = np.zeros(3)
    table = ConfusionDifference(
        variant="urec", reference="unet", label_frac=1.0, seeds=(0,), reference_seeds=(0,),
        num_tiles=1, classes=("low_veg", "tree", "car"),
        normalised=np.array([[0.0] * 3, [0.0] * 3, [NAN] * 3]),
        precision=nothing, recall=nothing, f1=np.array([0.02, 0.01, 0.0]),
    )  # fmt: skip
    assert difference_finding(table, STYLES) == (
        "U-REC: F1 up on every class, most on low veg (+0.020), least on tree (+0.010)"
    )
