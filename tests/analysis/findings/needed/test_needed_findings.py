import math
import re

import pandas as pd
import pytest

from analysis.findings.needed.needed_findings import annotation_finding, bounds_text
from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.statistics.answer import Answer, compute_answer
from analysis.statistics.label_efficiency.needed import Bounds

STYLES = styles_of(tried_variants([("unet", "unet"), ("urec", "urec")]))
PAIR = ("urec", "unet")


def answer_of(curves: dict[float, tuple[float, float]], num_seeds: int = 8) -> Answer:
    """What is said of these scores of U-Net and U-REC by fraction, almost without noise."""
    rows = []
    for seed in range(num_seeds):
        for frac, (unet, urec) in curves.items():
            common, own = seed / 100, (-1) ** seed / 5000
            rows += [("unet", frac, seed, unet + common), ("urec", frac, seed, urec + common + own)]
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    return compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))


def say(answer: Answer) -> list[str]:
    found = annotation_finding(answer, PAIR, answer.main_differences)
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in found]


def test_a_coarse_grid_is_said_to_be_so_with_the_fraction_to_add() -> None:
    (text,) = say(answer_of({0.01: (0.4, 0.35), 0.1: (0.5, 0.45), 1.0: (0.6, 0.65)}))
    assert "more than 10 % but less than 100 % where U-Net had 100 %" in text
    assert text.endswith(
        "Nothing was measured between 10 % and 100 %: for the score at 100 % only a fraction "
        "there, such as 30 %, could tell more. What validation costs is not on record, and comes "
        "on top."
    )


def test_a_saving_between_measured_fractions_names_both() -> None:
    curves = {0.1: (0.4, 0.45), 0.2: (0.5, 0.55), 0.5: (0.55, 0.65), 1.0: (0.6, 0.7)}
    (text,) = say(answer_of(curves))
    assert text.startswith(
        "U-REC needs fewer labels than U-Net for the same test mean F1: between 20 % and "
        "50 % where U-Net had 100 %; more than 10 % but less than 50 % where U-Net had 50 %;"
    )


def test_what_the_smallest_fraction_reaches_is_at_most_that_and_never_an_interval_of_itself() -> None:  # fmt: skip  # noqa: E501
    (text,) = say(answer_of({0.2: (0.4, 0.75), 0.5: (0.5, 0.8), 1.0: (0.6, 0.85)}))
    assert "at most 20 %, the fewest measured, where U-Net had 100 %" in text
    assert "Nothing was measured below 20 %" in text
    assert not re.search(r"at most \d+ % to at most", text)


def test_a_saving_at_few_labels_alone_leaves_the_rest_open_and_not_lower() -> None:
    curves = {0.1: (0.4, 0.45), 0.5: (0.5, 0.55), 1.0: (0.6, 0.6)}
    saving, rest = say(answer_of(curves))
    assert "more than 10 % but less than 50 % where U-Net had 50 %" in saving
    assert "where U-Net had 100 %" not in saving
    assert rest.startswith("Whether U-REC needs fewer labels than U-Net for the score that")
    assert "cannot be told from these data: no test shows" in rest
    assert "needs more" not in rest


def test_a_score_reached_and_lost_again_saves_nothing_at_full_annotation() -> None:
    curves = {0.25: (0.4, 0.5), 0.5: (0.5, 0.72), 1.0: (0.7, 0.66)}
    saving, rest = say(answer_of(curves))
    assert "more than 25 % but less than 50 % where U-Net had 50 %" not in saving
    assert "less than 50 % where U-Net had 50 %" in saving
    assert rest == (
        "U-REC does not reach the score that U-Net has with 100 % of the labels: with as many "
        "it scores lower."
    )


def test_models_without_two_shared_fractions_are_told_apart_from_no_saving() -> None:
    rows = [("unet", 0.1, 0, 0.5), ("urec", 0.1, 1, 0.9), ("unet", 1.0, 0, 0.5),
            ("urec", 1.0, 1, 0.9)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))
    (text,) = say(answer)
    assert "cannot be told" in text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.1, 0.5, "10 % to 50 %"),
        (0.0, 0.01, "≤ 1 %"),
        (0.1, math.inf, "> 10 %"),
        (0.0, math.inf, "anything"),
        (math.nan, math.nan, "\N{EN DASH}"),
    ],
)
def test_bounds_as_a_cell(low: float, high: float, text: str) -> None:
    shown = bounds_text(Bounds(low=low, high=high))
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == text
