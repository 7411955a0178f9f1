"""All statistics of a study, computed once: what findings, tables and charts speak from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.reading.planned import planned_arms
from analysis.reading.styles import Styles, against_baseline, baseline_label, pairs_in
from analysis.statistics.differences import PairedDifference, all_differences
from analysis.statistics.efficiency import (
    AnnotationNeeded,
    ScoreGrid,
    annotations_needed,
    area_under_curve,
    score_grid,
)
from analysis.statistics.intervals import Interval, t_interval
from analysis.statistics.power_law import Extrapolation, extrapolate
from analysis.statistics.shares import Shares, distinct_scores, shares_of
from analysis.statistics.significance import sign_flip_p
from analysis.statistics.tile_scores import resample_tiles
from analysis.wording import counted, listed, percent
from contract.methods import Method
from contract.variants import variant_pairs

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.load import StudyRecord
    from analysis.statistics.tile_scores import TileResamples

MEASURES = ("mean_f1", "oa", "miou")
"""Scores whose differences are given."""

RECONSTRUCTION = "what reconstruction does"
"""The question of a study whose other methods all reconstruct."""

_SEED = 17


@dataclass(frozen=True, kw_only=True)
class AreaDifference:
    """One variant's area under the label-scarcity curve minus another's."""

    variant: str
    reference: str
    area: Interval
    """Mean difference over log2 of the fraction, in units of the score, over seeds."""
    p: float
    """The p value of a sign-flip test; NaN with too few seeds for the test."""
    smallest: float
    """Fractions between which the area lies."""
    largest: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study says about its question."""

    measure: str
    """The score that findings rest on: the one that the study selects by, fixed beforehand."""
    styles: Styles
    """Styles of all variants of the study, in order."""
    question: str
    """What the study is about, to follow "nothing can be said about"."""
    differences: Mapping[str, tuple[PairedDifference, ...]]
    """By measure."""
    needed: tuple[AnnotationNeeded, ...]
    """For every other variant against its baselines, over the shared fractions of the measure."""
    areas: Mapping[str, Interval]
    """By variant: area under its curve, over the seeds that have all of its fractions."""
    area_differences: tuple[AreaDifference, ...]
    extrapolations: tuple[Extrapolation, ...]
    left_out: tuple[str, ...]
    """What areas and annotations needed leave out, in words."""
    shares: Shares
    """What the fractions reached, alone and with validation."""
    resamples: TileResamples | None
    """Resamples of the test tiles; None where they are too few or differ between trials."""

    def claims(self, needed: AnnotationNeeded) -> bool:
        """Whether a saving may be claimed: interval and test of the difference both say so."""
        return needed.saves and any(
            one.is_shown and one.difference.mean > 0.0
            for one in self.main_differences
            if (one.variant, one.reference) == (needed.variant, needed.reference)
            and one.label_frac == needed.label_frac
        )

    @property
    def baseline_label(self) -> str:
        """What the annotations needed are compared with, by its label where it is one."""
        return baseline_label(self.styles[name] for name in self.references)

    @property
    def references(self) -> tuple[str, ...]:
        """The baselines whose scores are to be reached."""
        return tuple(dict.fromkeys(one.reference for one in self.needed))

    @property
    def main_differences(self) -> tuple[PairedDifference, ...]:
        """Those of `measure`."""
        return self.differences[self.measure]


def answer_of(record: StudyRecord, scores: pd.DataFrame) -> Answer:
    """Computes all of it; empty where nothing was confirmed.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.
    """
    fracs = {frac for frac, _ in planned_arms(record.info)}
    return compute_answer(
        distinct_scores(record, scores),
        record.info.select_by,
        record.styles,
        resample_tiles(record, MEASURES),
        num_planned=len(fracs) * len(variant_pairs(record.info.variants)),
        question=_question(record.info.methods),
    )


def _question(methods: Sequence[Method]) -> str:
    uses = {method.unannotated for method in methods if not method.is_baseline}
    return RECONSTRUCTION if uses <= {"reconstruction"} else "what the methods do"


def compute_answer(
    scores: pd.DataFrame,
    measure: str,
    styles: Styles,
    resamples: TileResamples | None = None,
    measures: Sequence[str] = MEASURES,
    num_planned: int = 0,
    question: str = RECONSTRUCTION,
) -> Answer:
    """As `answer_of`, from scores alone.

    Args:
        scores: Columns trial_key, variant, label_frac, seed and `measures`, and what `shares_of`
            reads.
        measure: The one of them that findings rest on.
        styles: Of all variants, in order.
        resamples: Of the test tiles; None gives no intervals over tiles.
        measures: Scores whose differences are given.
        num_planned: As in `differences.all_differences`.
        question: As in `Answer`.
    """
    compared = pairs_in(styles, scores["variant"])
    pairs = {pair: score_grid(scores, measure, pair) for pair in compared}
    grids = {
        variant: score_grid(scores, measure, [variant])
        for variant in styles
        if (scores["variant"] == variant).any()
    }
    return Answer(
        measure=measure,
        styles=styles,
        question=question,
        differences={
            name: all_differences(scores, name, compared, resamples, num_planned)
            for name in measures
        },
        needed=tuple(
            one
            for pair, grid in pairs.items()
            if against_baseline(styles, pair)
            for one in annotations_needed(grid, *pair)
        ),
        areas={
            variant: t_interval(area_under_curve(grid.label_frac, grid.scores[variant]))
            for variant, grid in grids.items()
        },
        left_out=tuple(
            f"{styles[pair[0]].label} and {styles[pair[1]].label}: {text}"
            for pair, grid in pairs.items()
            if (text := _left_out(grid))
        ),
        area_differences=tuple(_area_difference(grid, *pair) for pair, grid in pairs.items()),
        extrapolations=tuple(
            extrapolate(variant, grid.label_frac, grid.scores[variant])
            for variant, grid in grids.items()
            if grid.seeds
        ),
        shares=shares_of(scores),
        resamples=resamples,
    )


def _left_out(grid: ScoreGrid) -> str:
    parts = []
    if grid.num_incomplete:
        missing = counted(grid.num_incomplete, "seed")
        parts.append(f"{missing} without a score at some fraction left out")
    if grid.dropped:
        fracs = listed([percent(frac) for frac in grid.dropped])
        parts.append(f"{fracs} left out, where too few seeds have scores")
    return ", ".join(parts)


def _area_difference(grid: ScoreGrid, variant: str, reference: str) -> AreaDifference:
    gained = area_under_curve(grid.label_frac, grid.scores[variant] - grid.scores[reference])
    known = gained[~np.isnan(gained)].tolist()
    fracs = grid.label_frac.tolist() or [float("nan")]
    return AreaDifference(
        variant=variant,
        reference=reference,
        area=t_interval(known),
        p=sign_flip_p(known, np.random.default_rng(_SEED)),
        smallest=fracs[0],
        largest=fracs[-1],
    )
