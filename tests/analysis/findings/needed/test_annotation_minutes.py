"""Savings told again in minutes."""

import math

import pandas as pd

from analysis.findings.needed.annotation_minutes import savings_in_minutes
from analysis.statistics.label_efficiency.shares import Share, Shares, shares_of

PAIR = ("urec", "unet")
MINUTES = {0.01: 2.0, 0.1: 24.0, 1.0: 1200.0}
SHARES = Shares(
    by_frac={
        frac: Share(label_frac=frac, reached=frac, with_val=frac, minutes=minutes)
        for frac, minutes in MINUTES.items()
    }
)


def test_savings_in_minutes_by_hand() -> None:
    assert savings_in_minutes(SHARES, [(math.nan, 0.1, 1.0)], PAIR) == (
        " Annotating them takes at most 24 minutes instead of 1200, without the validation tiles."
    )
    assert savings_in_minutes(SHARES, [(0.01, 0.1, 1.0), (0.01, 0.1, 0.1)], PAIR) == (
        " Annotating them takes 2 to 24 minutes instead of 1200; more than 2 but less than 24, "
        "without the validation tiles."
    )


def test_a_study_without_prices_says_nothing_of_minutes() -> None:
    shares = {one: Share(label_frac=one, reached=one, with_val=one) for one in (0.1, 1.0)}
    bare = Shares(by_frac=shares)
    assert savings_in_minutes(bare, [(math.nan, 0.1, 1.0)], PAIR) == ""


def test_diverse_units_that_cost_thrice_were_said_to_halve_the_minutes() -> None:
    """Both orders were told by the mean of their minutes, 10 of 20, whoever had which."""
    minutes = {"random": {0.05: 5.0, 0.1: 10.0}, "diverse": {0.05: 15.0, 0.1: 30.0}}
    rows = [
        {"label_frac": frac, "seed": seed, "variant": order, "annotation_minutes": one}
        for order, by_frac in minutes.items()
        for frac, one in by_frac.items()
        for seed in (1, 2)
    ]
    shares, pair = shares_of(pd.DataFrame(rows)), ("diverse", "random")
    assert savings_in_minutes(shares, [(math.nan, 0.05, 0.1), (0.05, 0.1, 0.1)], pair) == (
        " Annotating them takes at most 15 minutes instead of 10; 15 to 30 instead of 10, without "
        "the validation tiles."
    )


def test_a_seed_that_one_variant_lacks_gives_it_no_minutes_of_its_own() -> None:
    rows = [
        {"label_frac": 0.1, "seed": seed, "variant": variant, "annotation_minutes": 10.0 * seed}
        for seed, variant in ((1, "unet"), (2, "unet"), (1, "urec"))
    ]
    share = shares_of(pd.DataFrame(rows)).of(0.1)
    assert share.minutes_of("urec") == share.minutes_of("unet") == 15.0
