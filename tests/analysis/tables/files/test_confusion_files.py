import csv
import io

import numpy as np

from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.statistics.label_efficiency.shares import Share, Shares
from analysis.tables.confusion.confusion_differences import confusion_differences
from analysis.tables.confusion.confusion_tables import ConfusionTable
from analysis.tables.files.confusion_files import (
    class_tables,
    confusion_table,
    difference_table,
    pooled_over,
)

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

ASKED = Shares(by_frac={})
"""Nothing is on record but what was asked for."""
CLASSES = ("road", "low_vegetation")


def table(variant: str, frac: float, right: int, num_seeds: int = 2) -> ConfusionTable:
    return ConfusionTable.from_counts(
        np.array([[right, 10 - right], [1, 9]], dtype=np.int64), variant=variant, label_frac=frac,
        seeds=tuple(range(num_seeds)), num_tiles=3, classes=CLASSES,
    )  # fmt: skip


TABLES = (
    table("unet", 0.1, 6), table("urec", 0.1, 7, num_seeds=1), table("unet", 1.0, 8),
    table("urec", 1.0, 9),
)  # fmt: skip
DIFFERENCES = confusion_differences(TABLES, [("urec", "unet")])


def test_confusion_is_laid_out_as_in_the_paper() -> None:
    text = confusion_table(TABLES[2], STYLES, ASKED)
    assert text.readable == [
        ["Reference / Predicted", "road", "low_vegetation"],
        ["road", "0.800", "0.200"],
        ["low_vegetation", "0.100", "0.900"],
        ["Precision/Correctness", "0.889", "0.818"],
        ["Recall/Completeness", "0.800", "0.900"],
        ["F1", "0.842", "0.857"],
    ]
    assert list(csv.reader(io.StringIO(text.csv)))[:2] == [
        ["label_frac", "num_seeds", "reference", "road", "low_vegetation"],
        ["1", "2", "road", "0.800000", "0.200000"],
    ]
    assert text.caption == (
        "Confusion matrix of U-Net at 100\N{NO-BREAK SPACE}% of the labels, row-normalised, pooled "
        "over 2 seeds and 3 test tiles"
    )


def test_diagonal_and_f1_are_bold_in_latex_and_nothing_else() -> None:
    lines = confusion_table(TABLES[2], STYLES, ASKED).latex.split("\n")
    bold = [line.strip() for line in lines if "textbf" in line]
    assert bold == [
        r"road & \textbf{0.800} & 0.200 \\",
        r"low\_vegetation & 0.100 & \textbf{0.900} \\",
        r"\textbf{F1} & \textbf{0.842} & \textbf{0.857} \\",
    ]
    assert lines[lines.index(r"    low\_vegetation & 0.100 & \textbf{0.900} \\") + 1] == (
        r"    \midrule"
    )


def test_difference_is_signed_and_says_what_it_is_of() -> None:
    text = difference_table(DIFFERENCES[0], STYLES, ASKED)
    assert text.readable[1] == ["road", "+0.100", "\N{MINUS SIGN}0.100"]
    assert text.readable[2] == ["low_vegetation", "0.000", "0.000"]
    assert text.readable[4][1:] == ["+0.100", "0.000"]
    assert text.caption.startswith("U-REC minus U-Net: difference of the row-normalised")
    assert "pooled over 1 and 2 seeds and 3 test tiles" in text.caption
    assert text.caption.endswith("no test is made per class")
    assert list(csv.reader(io.StringIO(text.csv)))[:2] == [
        ["label_frac", "num_seeds", "num_seeds_subtracted", "reference", *CLASSES],
        ["0.1", "1", "2", "road", "0.100000", "-0.100000"],
    ]
    assert pooled_over(DIFFERENCES[1]) == "2 seeds and 3 test tiles"


def test_every_fraction_has_its_files_and_the_largest_the_plain_name() -> None:
    texts = {text.stem: text for text in class_tables(TABLES, DIFFERENCES, STYLES, ASKED)}
    assert list(texts) == [
        "confusion_unet", "confusion_urec",
        "confusion_unet_f0.10", "confusion_urec_f0.10", "confusion_unet_f1.00",
        "confusion_urec_f1.00", "confusion_urec_minus_unet", "confusion_urec_minus_unet_f0.10",
        "confusion_urec_minus_unet_f1.00",
    ]  # fmt: skip
    assert texts["confusion_urec"].csv == texts["confusion_urec_f1.00"].csv
    assert texts["confusion_urec"].csv != texts["confusion_urec_f0.10"].csv
    plain = texts["confusion_urec_minus_unet"]
    assert plain.csv == texts["confusion_urec_minus_unet_f1.00"].csv
    assert list(class_tables((), (), STYLES, ASKED)) == []


def test_a_caption_says_what_was_reached_and_the_name_what_was_asked_for() -> None:
    reached = Shares(by_frac={0.1: Share(label_frac=0.1, reached=0.096, with_val=0.3)})
    texts = (
        confusion_table(TABLES[0], STYLES, reached, with_fraction=True),
        difference_table(DIFFERENCES[0], STYLES, reached, with_fraction=True),
    )
    for text in texts:
        assert "at 9.6 % (10 % asked for) of the labels" in text.caption.replace(
            "\N{NO-BREAK SPACE}", " "
        )
        assert text.stem.endswith("_f0.10")
