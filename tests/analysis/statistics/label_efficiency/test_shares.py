"""What fractions reached, alone and with validation."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.reading.budgets import EqualBudgets
from analysis.reading.sources.load import load_study
from analysis.statistics.answer import answer_of
from analysis.statistics.label_efficiency.shares import (
    distinct_scores,
    seed_fractions,
    shares_of,
    shares_on_record,
)
from analysis.statistics.scores import score_trials


def frame(*rows: tuple[str, float, int, float, float]) -> pd.DataFrame:
    columns = ["variant", "label_frac", "seed", "reached_frac", "with_val_frac"]
    return pd.DataFrame(rows, columns=columns)


def test_every_seed_counts_once_whatever_variants_it_has() -> None:
    shares = shares_of(
        frame(
            ("unet", 0.1, 1, 0.06, 0.3), ("urec", 0.1, 1, 0.06, 0.3), ("unet", 0.1, 2, 0.10, 0.4),
            ("unet", 1.0, 1, 1.0, 1.0),
        )
    )  # fmt: skip
    assert list(shares.by_frac) == [0.1, 1.0]
    assert shares.reached(0.1) == pytest.approx(0.08)
    assert shares.of(0.1).with_val == pytest.approx(0.35)
    assert shares.of(0.1).text == "8\N{NO-BREAK SPACE}% (10\N{NO-BREAK SPACE}% asked for)"
    assert shares.of(1.0).text == "100\N{NO-BREAK SPACE}%"


def test_several_budgets_of_a_seed_count_once_each() -> None:
    """Variants may have units in another order; the first variant's budget stood for both."""
    shares = shares_of(
        frame(
            ("unet-random", 0.1, 1, 0.06, 0.3), ("unet-diverse", 0.1, 1, 0.08, 0.3),
            ("urec-diverse", 0.1, 1, 0.08, 0.3), ("unet-random", 0.1, 2, 0.1, 0.3),
        ).assign(annotation_minutes=[2.0, 4.0, 4.0, 5.0])
    )  # fmt: skip
    assert shares.reached(0.1) == pytest.approx(0.085)
    assert shares.of(0.1).minutes == pytest.approx(4.0)


def test_what_is_not_on_record_is_what_was_asked_for() -> None:
    asked = pd.DataFrame({"variant": ["unet"], "label_frac": [0.1], "seed": [1]})
    for scores in (asked, frame(("unet", 0.1, 1, math.nan, math.nan))):
        share = shares_of(scores).of(0.1)
        assert (share.reached, share.differs) == (0.1, False)
        assert math.isnan(share.with_val)
        np.testing.assert_array_equal(seed_fractions(scores), [0.1])
    assert shares_of(asked).reached(0.5) == 0.5


def test_blocks_at_1_percent_are_scored_at_what_each_seed_reached(store: str) -> None:
    """They reached 0.53 to 1.00 % of the labels, and stood at 1 %."""
    scores = score_trials(load_study("validated", store))
    lowest = scores[(scores["label_frac"] == 0.01) & (scores["variant"] == "urec")]
    assert lowest["reached_frac"].tolist() == [0.0053, 0.0070, 0.0100]
    np.testing.assert_array_equal(seed_fractions(lowest), [0.0053, 0.0070, 0.0100])
    share = shares_of(scores).of(0.01)
    assert share.reached == pytest.approx(0.0223 / 3)
    assert share.with_val == pytest.approx((3 * share.reached + 1) / 4)


def test_identical_trials_are_compared_with_nothing(store: str) -> None:
    """A saving was printed between two fractions whose budgets were the same pixels."""
    record = load_study("full", store)
    same = (EqualBudgets(asked=(0.02, 1.0), kept=1.0),)
    info = dataclasses.replace(record.info, equal_budgets=same)
    equal = dataclasses.replace(record, info=info)
    scores = score_trials(equal)
    assert set(distinct_scores(equal, scores)["label_frac"]) == {1.0}
    answer = answer_of(equal, scores)
    assert {one.label_frac for one in answer.main_differences} == {1.0}
    assert answer.needed == ()
    assert list(answer.shares.by_frac) == [1.0]


def test_what_the_record_says_is_that_of_confirmed_seeds_and_else_of_the_search() -> None:
    columns = ["phase", "status", "label_frac", "seed", "reached_frac"]
    rows = [
        ("confirm", "finished", 0.1, 1, 0.08), ("confirm", "finished", 0.1, 2, 0.10),
        ("confirm", "failed", 0.1, 3, 0.50), ("search", "finished", 0.1, 0, 0.50),
        ("search", "finished", 1.0, 0, 0.96),
    ]  # fmt: skip
    trials = pd.DataFrame(rows, columns=columns)
    shares = shares_on_record(SimpleNamespace(trials=trials))  # type: ignore[arg-type]
    assert shares.reached(0.1) == pytest.approx(0.09)
    assert shares.reached(1.0) == 0.96
    assert shares.reached(0.5) == 0.5
