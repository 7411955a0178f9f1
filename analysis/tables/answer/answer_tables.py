"""The statistics of a study as tables for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.reading.styles import arms_of, own_effect
from analysis.statistics.intervals import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    seeds_and_tiles_interval,
    t_interval,
)
from analysis.statistics.scores import SCORE_LABELS
from contract.variants import effect_between

if TYPE_CHECKING:
    import pandas as pd

    from analysis.statistics.answer import Answer
    from analysis.statistics.differences import Difference

_SEED = 19
_TEST_FIELDS = (
    "p_adjusted",
    "level",
    "worst_mean",
    "pairs_needed",
    "num_higher",
    "num_untied",
    "higher_low",
    "higher_high",
)


def interval_table(scores: pd.DataFrame, answer: Answer) -> pd.DataFrame:
    """Every score of every arm with its 95 % intervals.

    Returns:
        Columns model (the variant), label_frac, reached_frac, with_val_frac (see
        `shares.Share`), measure, num_seeds; mean, low, high (t, over
        seeds); iqm, iqm_low, iqm_high (interquartile mean, bootstrap over the arm's seeds);
        tiles_low, tiles_high (of the mean, over seeds and test tiles together). NaN where there
        are too few seeds or tiles.
    """
    import pandas as pd

    rows = []
    tried = zip(scores["label_frac"], scores["variant"], strict=True)
    for frac, variant in arms_of(tried, answer.styles):
        arm = scores[(scores["variant"] == variant) & (scores["label_frac"] == frac)]
        for measure in SCORE_LABELS:
            values = arm[measure].to_numpy(np.float64)
            generator = np.random.default_rng(_SEED)
            iqm = bootstrap_interval(values, interquartile_mean, generator)
            tiles = _over_tiles(arm, measure, answer)
            rows.append(
                {
                    "model": variant,
                    "label_frac": frac,
                    **_shares(answer, frac),
                    "measure": measure,
                    **_named(t_interval(values), "mean", "low", "high"),
                    **_named(iqm, "iqm", "iqm_low", "iqm_high"),
                    "tiles_low": np.nan if tiles is None else tiles.low,
                    "tiles_high": np.nan if tiles is None else tiles.high,
                }
            )
    return pd.DataFrame(rows)


def _over_tiles(arm: pd.DataFrame, measure: str, answer: Answer) -> Interval | None:
    if answer.resamples is None or measure not in answer.resamples.by_measure:
        return None
    drawn = answer.resamples.by_measure[measure]
    resampled = np.stack([drawn[key] for key in arm["trial_key"]], axis=1)
    by_seed = arm[measure].to_numpy(np.float64)
    return seeds_and_tiles_interval(by_seed, resampled, answer.resamples.worth[measure])


def _shares(answer: Answer, label_frac: float) -> dict[str, float]:
    """What was annotated: of the training tiles, and of all with validation."""
    share = answer.shares.of(label_frac)
    return {"reached_frac": share.reached, "with_val_frac": share.with_val}


def _named(interval: Interval, mean: str, low: str, high: str) -> dict[str, Any]:
    return {"num_seeds": interval.num, mean: interval.mean, low: interval.low, high: interval.high}


def difference_table(answer: Answer) -> pd.DataFrame:
    """Every paired difference, interval and test.

    Returns:
        Columns model, minus, label_frac, reached_frac, with_val_frac (see `shares.Share`),
        measure, num_pairs, difference, low, high (over seeds), tiles_low, tiles_high (over seeds
        and test tiles), p_adjusted, level (that p is held against, which looks share),
        worst_mean, pairs_needed, num_higher, num_untied, higher_low, higher_high; see
        `differences.PairedDifference`. Only the score that findings rest on is tested. own_effect:
        what the reference, its control, lacks; "" for other pairs.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "model": one.variant,
                "minus": one.reference,
                "label_frac": one.label_frac,
                **_shares(answer, one.label_frac),
                "measure": one.measure,
                "num_pairs": one.difference.num,
                "difference": one.difference.mean,
                "low": one.difference.low,
                "high": one.difference.high,
                "tiles_low": one.over_tiles.low,
                "tiles_high": one.over_tiles.high,
                **{name: getattr(one, name) for name in _TEST_FIELDS},
                "own_effect": _effect(answer, one),
            }
            for family in answer.differences.values()
            for one in family
        ]
    )


def _effect(answer: Answer, one: Difference) -> str:
    return effect_between(*(answer.styles[name].variant for name in (one.variant, one.reference)))


def needed_table(answer: Answer) -> pd.DataFrame:
    """The annotations needed for the reference's score at every fraction.

    Returns:
        Columns model, reference, label_frac (as asked), reached_frac (by the budgets),
        with_val_frac (of all annotations, validation included), num_seeds; low, high: measured
        fractions of the labelled training pixels between which the score is reached, by the wider
        of the intervals over seeds (seeds_low, seeds_high) and over seeds and test tiles
        (tiles_low, tiles_high); low 0: nothing measured surely falls short; high inf: nothing
        measured surely reaches it; NaN: too few seeds or tiles. share_low, share_high: low and high
        over reached_frac. saves: 1 where a saving may be claimed. next_frac: a fraction to add
        where only that could narrow the bounds; smallest_measured, largest_measured.
        low_with_val, high_with_val: the bounds as shares of all annotations, validation included;
        empty where a bound is no measured fraction, or validation is not on record.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "model": one.variant,
                "reference": one.reference,
                "label_frac": one.label_frac,
                **_shares(answer, one.label_frac),
                "num_seeds": one.num,
                "low": one.bounds.low,
                "high": one.bounds.high,
                "seeds_low": one.over_seeds.low,
                "seeds_high": one.over_seeds.high,
                "tiles_low": one.over_tiles.low,
                "tiles_high": one.over_tiles.high,
                "share_low": one.bounds.low / one.reached,
                "share_high": one.bounds.high / one.reached,
                "saves": int(answer.claims(one)),
                "next_frac": one.next_frac,
                "smallest_measured": one.measured[0],
                "largest_measured": one.measured[-1],
                "low_with_val": answer.shares.of(one.asked_of(one.bounds.low)).with_val,
                "high_with_val": answer.shares.of(one.asked_of(one.bounds.high)).with_val,
            }
            for one in answer.needed
        ]
    )


def curve_table(answer: Answer) -> pd.DataFrame:
    """Area under each curve, differences of areas, and what twice the annotations would give.

    Returns:
        Columns what (area, area_difference, twice), model, minus, num_seeds, value (none for
        twice), low, high, p, level, note (why nothing is said; the name of a difference from a
        control). p is adjusted over all tests of the study, and held against the level.
    """
    import pandas as pd

    rows = [_curve_row("area", variant, "", area) for variant, area in answer.areas.items()]
    rows += [
        _curve_row(
            "area_difference",
            one.variant,
            one.reference,
            one.area,
            own_effect(answer.styles, (one.variant, one.reference)),
        )
        | {"p": one.p_adjusted, "level": one.level}
        for one in answer.area_differences
    ]
    rows += [
        _curve_row(
            "twice",
            one.variant,
            "",
            Interval(mean=np.nan, low=one.low, high=one.high, num=one.num),
        )
        | {"note": one.refused}
        for one in answer.doublings
    ]
    return pd.DataFrame(rows)


def _curve_row(
    what: str, variant: str, minus: str, interval: Interval, note: str = ""
) -> dict[str, Any]:
    return {
        "what": what,
        "model": variant,
        "minus": minus,
        **_named(interval, "value", "low", "high"),
        "p": np.nan,
        "level": np.nan,
        "note": note,
    }
