"""All statistics of a study, computed once: what findings, tables and charts speak from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.reading.looks import look_reached
from analysis.reading.planned import planned_arms
from analysis.reading.styles import Styles, against_baseline, baseline_label, pairs_in
from analysis.statistics.claims.failures import (
    ArmLosses,
    arm_losses,
    failed_as_worst,
    failed_trials,
    unseen_loss,
)
from analysis.statistics.claims.family import Family, tested
from analysis.statistics.differences import (
    AreaDifference,
    PairedDifference,
    area_difference,
    paired_differences,
)
from analysis.statistics.intervals import Interval, t_interval
from analysis.statistics.label_efficiency.doubling import Doubling, doubling
from analysis.statistics.label_efficiency.efficiency import ScoreGrid, area_under_curve, score_grid
from analysis.statistics.label_efficiency.needed import AnnotationNeeded, annotations_needed
from analysis.statistics.label_efficiency.shares import Shares, distinct_scores, shares_of
from analysis.statistics.tile_scores import resample_tiles
from analysis.wording import counted
from contract.methods import Method
from contract.protocol.power import LEVEL

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.load import StudyRecord
    from analysis.statistics.tile_scores import TileResamples

MEASURES = ("mean_f1", "oa", "miou")
"""Scores whose differences are given."""

RECONSTRUCTION = "what reconstruction does"
"""The question of a study whose other methods all reconstruct."""


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
    """By measure; those of `measure` alone are tested."""
    needed: tuple[AnnotationNeeded, ...]
    """For every other variant against its baselines, over the shared fractions of the measure."""
    areas: Mapping[str, Interval]
    """By variant: area under its curve, over the seeds that have all of its fractions."""
    heights: Mapping[str, Interval]
    """By variant: mean height of its curve, over the fractions that all variants have; its score
    where that is one fraction."""
    area_differences: tuple[AreaDifference, ...]
    """Differences of the areas of `measure`, which are tested."""
    losses: Mapping[tuple[str, float], ArmLosses]
    """Failed and collapsed trials, by variant and fraction."""
    level: float
    """Chance at most, over all tests, of calling a difference where there is none."""
    has_areas: bool
    """Whether the study planned two fractions or more, so that areas are tested first."""
    doublings: tuple[Doubling, ...]
    """For every variant: what twice the annotations would bring."""
    left_out: tuple[str, ...]
    """What areas leave out, in words."""
    shares: Shares
    """What the fractions reached, alone and with validation."""
    resamples: TileResamples | None
    """Resamples of the test tiles; None where they are too few or differ between trials."""
    closed: str = ""
    """Why nothing may be found yet, in words; "" where it may."""

    def claims(self, needed: AnnotationNeeded) -> bool:
        """Whether a saving may be claimed: a test shows the variant to score higher there."""
        return needed.saves

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
    """Computes all of it from the seeds of the look that the study has reached, at its level.

    Empty where nothing was confirmed, and where no look is complete.

    Args:
        record: The study.
        scores: As from `scores.score_trials(record)`.
    """
    look = look_reached(record)
    failed = distinct_scores(record, failed_trials(record.trials, scores))
    is_closed = look.is_closed and not scores.empty
    answer = compute_answer(
        look.within(distinct_scores(record, scores)),
        record.info.select_by,
        record.styles,
        resample_tiles(record, MEASURES),
        failed=look.within(failed),
        num_planned=len({frac for frac, _ in planned_arms(record.info)}),
        question=_question(record.info.methods),
        level=look.level,
    )
    return replace(answer, closed=look.sentence if is_closed else "")


def _question(methods: Sequence[Method]) -> str:
    uses = {method.unannotated for method in methods if not method.is_baseline}
    return RECONSTRUCTION if uses <= {"reconstruction"} else "what the methods do"


def compute_answer(
    scores: pd.DataFrame,
    measure: str,
    styles: Styles,
    resamples: TileResamples | None = None,
    measures: Sequence[str] = MEASURES,
    failed: pd.DataFrame | None = None,
    num_planned: int = 0,
    question: str = RECONSTRUCTION,
    level: float = LEVEL,
) -> Answer:
    """As `answer_of`, from scores alone.

    Args:
        scores: Columns trial_key, variant, label_frac, seed and `measures`, and what `shares_of`
            reads.
        measure: The one of them that findings rest on.
        styles: Of all variants, in order.
        resamples: Of the test tiles; None gives no intervals over tiles.
        measures: Scores whose differences are given.
        failed: As from `failures.failed_trials`; None where no trial failed.
        num_planned: Fractions that the study set out to measure: from two on it has areas, which
            are tested first. 0: those that there are.
        question: As in `Answer`.
        level: As in `Answer`.
    """
    if failed is None:
        failed = scores.iloc[:0][["variant", "label_frac", "seed"]]
    compared = pairs_in(styles, scores["variant"])
    pairs = {pair: score_grid(scores, measure, pair) for pair in compared}
    grids = {
        variant: score_grid(scores, measure, [variant])
        for variant in styles
        if (scores["variant"] == variant).any()
    }
    differences = {
        name: tuple(
            one
            for pair in compared
            for one in paired_differences(scores, name, *pair, resamples=resamples)
        )
        for name in measures
    }
    areas = tuple(area_difference(grid, *pair) for pair, grid in pairs.items())
    losses = arm_losses(scores, failed, measure)
    filled = failed_as_worst(scores, failed, [measure])
    complete = Family(areas=areas, fractions=differences[measure])
    has_areas = max(num_planned, scores["label_frac"].nunique()) > 1
    found = tested(
        complete,
        complete if failed.empty else _family(filled, measure, compared),
        losses,
        level=level,
        has_areas=has_areas,
    )
    return Answer(
        measure=measure,
        styles=styles,
        question=question,
        differences=differences | {measure: found.fractions},
        needed=tuple(
            one
            for pair, grid in pairs.items()
            if against_baseline(styles, pair)
            for one in annotations_needed(
                grid,
                *pair,
                as_worst=None if failed.empty else score_grid(filled, measure, pair),
                resamples=resamples.by_measure[measure] if resamples else None,
                num_tiles=resamples.worth[measure] if resamples else 0.0,
                directions=_directions(found.fractions, pair),
                losses={
                    frac: unseen_loss(losses, *pair, frac) for frac in grid.label_frac.tolist()
                },
            )
        ),
        areas={
            variant: t_interval(area_under_curve(grid.fractions, grid.scores[variant]))
            for variant, grid in grids.items()
        },
        heights=_heights(scores, measure, list(grids)),
        left_out=tuple(
            f"{styles[pair[0]].label} and {styles[pair[1]].label}: {text}"
            for pair, grid in pairs.items()
            if (text := _left_out(grid))
        ),
        area_differences=found.areas,
        losses=losses,
        level=level,
        has_areas=has_areas,
        doublings=tuple(
            doubling(variant, grid.measured, grid.scores[variant])
            for variant, grid in grids.items()
            if grid.seeds
        ),
        shares=shares_of(scores),
        resamples=resamples,
    )


def _heights(scores: pd.DataFrame, measure: str, variants: Sequence[str]) -> dict[str, Interval]:
    """How high each curve lies where all have one."""
    if not variants:
        return {}
    grid = score_grid(scores, measure, variants)
    if len(grid.label_frac) == 1:
        return {name: t_interval(grid.scores[name][:, 0]) for name in variants}
    return {
        name: t_interval(area_under_curve(grid.fractions, grid.scores[name])) for name in variants
    }


def _directions(family: Sequence[PairedDifference], pair: tuple[str, str]) -> dict[float, int]:
    """By fraction: 1 where the test shows the first of a pair to score higher, -1 lower."""
    return {one.label_frac: one.direction for one in family if (one.variant, one.reference) == pair}


def _left_out(grid: ScoreGrid) -> str:
    if not grid.num_incomplete:
        return ""
    missing = counted(grid.num_incomplete, "seed")
    return f"{missing} without a score at some fraction left out of the areas"


def _family(scores: pd.DataFrame, measure: str, compared: Sequence[tuple[str, str]]) -> Family:
    """The differences of scores in which failed trials have been filled in."""
    return Family(
        areas=tuple(area_difference(score_grid(scores, measure, pair), *pair) for pair in compared),
        fractions=tuple(
            one for pair in compared for one in paired_differences(scores, measure, *pair)
        ),
    )
