"""Savings told again in minutes."""

import math

from analysis.findings.needed.annotation_minutes import savings_in_minutes
from analysis.statistics.label_efficiency.shares import Share, Shares

MINUTES = {0.01: 2.0, 0.1: 24.0, 1.0: 1200.0}
SHARES = Shares(
    by_frac={
        frac: Share(label_frac=frac, reached=frac, with_val=frac, minutes=minutes)
        for frac, minutes in MINUTES.items()
    }
)


def test_savings_in_minutes_by_hand() -> None:
    assert savings_in_minutes(SHARES, [(math.nan, 0.1, 1.0)]) == (
        " Annotating them takes at most 24 minutes instead of 1200, without the validation tiles."
    )
    assert savings_in_minutes(SHARES, [(0.01, 0.1, 1.0), (0.01, 0.1, 0.1)]) == (
        " Annotating them takes 2 to 24 minutes instead of 1200; more than 2 but less than 24, "
        "without the validation tiles."
    )


def test_a_study_without_prices_says_nothing_of_minutes() -> None:
    shares = {one: Share(label_frac=one, reached=one, with_val=one) for one in (0.1, 1.0)}
    bare = Shares(by_frac=shares)
    assert savings_in_minutes(bare, [(math.nan, 0.1, 1.0)]) == ""
