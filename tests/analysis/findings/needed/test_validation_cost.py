"""What validation costs stands beside what is saved."""

import dataclasses
import math

import pytest

from analysis.findings.needed.validation_cost import savings_with_validation, validation_note
from analysis.reading.budgets import BudgetInfo
from analysis.reading.sources.load import load_study
from analysis.statistics.label_efficiency.shares import Share, Shares


def shares(with_val: float = 1.0) -> Shares:
    """3 of 4 labels are of the training tiles; all of the others count."""
    return Shares(
        by_frac={
            one: Share(label_frac=one, reached=one, with_val=with_val * (3 * one + 1) / 4)
            for one in (0.1, 0.5, 1.0)
        }
    )


NONE = math.nan
"""No fraction with which the score is surely not reached."""


def say(known: Shares, *savings: tuple[float, float, float]) -> str:
    return savings_with_validation(known, savings).replace("\N{NO-BREAK SPACE}", " ")


def test_half_of_the_training_annotations_is_less_than_half_of_all() -> None:
    assert say(shares(), (0.5, 0.5, 1.0)) == (
        "With the validation tiles, that is 62.5 % of all labels instead of 100 %."
    )
    assert say(shares(), (0.1, 0.5, 1.0)) == (
        "With the validation tiles, that is 32.5 % to 62.5 % of all labels instead of 100 %."
    )


def test_several_savings_are_told_in_one_sentence_and_each_is_less_than_was_had() -> None:
    assert say(shares(), (0.5, 1.0, 1.0), (0.1, 0.1, 0.5), (NONE, 0.1, 0.1)) == (
        "With the validation tiles, that is more than 62.5 % but less than 100 % of all "
        "labels; 32.5 % instead of 62.5 %; less than 32.5 %."
    )


def test_without_a_lower_bound_of_training_annotations_there_is_none_with_validation() -> None:
    """`at most 50 %` was told as `32.5 % to 62.5 %`, as if less than the smallest measured were
    excluded."""
    assert say(shares(), (NONE, 0.5, 1.0)) == (
        "With the validation tiles, that is at most 62.5 % of all labels instead of 100 %."
    )


@pytest.mark.parametrize("known", [shares(math.nan), Shares(by_frac={})])
def test_what_is_not_on_record_comes_on_top(known: Shares) -> None:
    for lowest in (0.1, NONE):
        said = say(known, (lowest, 0.5, 1.0))
        assert said == "What validation costs is not on record, and comes on top."


def test_the_note_says_what_part_validation_is(store: str) -> None:
    record = load_study("validated", store)
    text = validation_note(record).replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "With validation: at every fraction all labels of the validation tiles choose weights and "
        "settings, 25 % of all labels of training and validation tiles. Test tiles are never "
        "counted."
    )
    drawn = (BudgetInfo(seed=1, label_frac=0.1, reached_frac=0.1, empty_classes=(), exceeds=False),)
    info = dataclasses.replace(record.info, val_budgets=drawn)
    assert "only annotated pixels choose" in validation_note(dataclasses.replace(record, info=info))


def test_an_older_record_says_that_validation_comes_on_top(store: str) -> None:
    note = validation_note(load_study("full", store))
    assert note.endswith("is not on record, and comes on top.")


def test_the_part_of_validation_is_told_from_the_lowest_to_the_highest(store: str) -> None:
    """It was told from the smallest fraction to the largest, whatever lay between."""
    record = load_study("validated", store)
    trials = record.trials.copy()
    for frac, px in ((0.01, 1e5), (0.1, 3e5), (1.0, 2e5)):
        trials.loc[trials["label_frac"] == frac, "val_annotated_px"] = px
    trials["annotated_px"] = 1e6 - trials["val_annotated_px"]
    trials["with_val_frac"] = 1.0
    text = validation_note(dataclasses.replace(record, trials=trials))
    assert "10 % to 30 % of all labels" in text.replace("\N{NO-BREAK SPACE}", " ")
