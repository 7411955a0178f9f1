from dataclasses import replace

import pytest

from analysis.reading.sources.load import load_study
from analysis.statistics.class_differences import ClassDifference
from analysis.statistics.intervals import t_interval
from analysis.statistics.label_efficiency.shares import Shares
from analysis.statistics.scores import score_trials
from analysis.tables.files.class_files import (
    class_differences_finding,
    class_differences_table,
    paper_claim,
)
from analysis.tables.study_tables import study_tables

ASKED = Shares(by_frac={})
"""Nothing is on record but what was asked for."""
CLEAR = "The one interval leaves out 0: car +0.103 for U-REC beside U-Net at 2 %"


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def one(name: str, frac: float, *values: float) -> ClassDifference:
    return ClassDifference(
        variant="urec",
        reference="unet",
        class_name=name,
        label_frac=frac,
        difference=t_interval(values),
    )


def test_rows_are_ordered_by_class_then_whole_curve_and_fractions(store: str) -> None:
    record = load_study("full", store)
    tables = study_tables(record, score_trials(record))
    table = class_differences_table(tables.class_differences, record.styles, ASKED)
    assert table.machine[0] == [
        "class", "model", "minus", "label_frac", "num_pairs", "difference", "low", "high",
    ]  # fmt: skip
    assert [row[0] for row in table.machine[1:7]] == ["impervious_surfaces"] * 3 + ["building"] * 3
    assert [row[3] for row in table.machine[1:4]] == ["", "0.02", "1"]
    assert [plain(row[3]) for row in table.readable[1:4]] == ["whole curve", "2 %", "100 %"]
    assert "class_differences" in tables.csvs()


def test_the_paper_s_claim_about_clutter_and_cars_gets_its_sentence(store: str) -> None:
    record = load_study("full", store)
    found = [
        one("car", 0.02, 0.2, 0.2, 0.2),
        one("car", 1.0, -0.02, -0.03, -0.025),
        one("clutter", 1.0, 0.1, -0.2, 0.1),
        one("building", 1.0, 0.5, 0.5, 0.5),
    ]
    assert plain(paper_claim(record, found, ASKED)) == (
        "Papadomanolaki et al. (2019) find reconstruction better on clutter and worse on cars, in "
        "one run. Here U-REC minus U-Net is 0.000 F1 (-0.430 to +0.430: not told from 0) on "
        "clutter and -0.025 F1 (-0.037 to -0.013) on cars with 100 % of the labels."
    )
    assert paper_claim(record, [one("building", 1.0, 0.5, 0.5, 0.5)], ASKED) == ""
    assert paper_claim(record, [replace(found[1], variant="unet", reference="urec")], ASKED) == ""


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            (0.1, 0.11, 0.1),
            CLEAR,
        ),
        ((0.1, -0.11, 0.1), "The one interval holds 0: no class is told apart"),
        ((0.1, 0.11), "Too few seeds for intervals"),
    ],
)
def test_the_heading_counts_what_is_clear(store: str, values: tuple[float, ...], said: str) -> None:
    styles = load_study("full", store).styles
    assert plain(class_differences_finding([one("car", 0.02, *values)], styles, ASKED)) == said
