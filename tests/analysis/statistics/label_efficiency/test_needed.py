import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.intervals import NUM_TILE_RESAMPLES, draw_tiles, t_interval
from analysis.statistics.label_efficiency.efficiency import ScoreGrid, score_grid
from analysis.statistics.label_efficiency.needed import (
    AnnotationNeeded,
    Bounds,
    Differences,
    annotations_needed,
    measured_bounds,
    t_bounds,
)
from tests.analysis.statistics.worlds import GRIDS, World, frame_of

SEEDS = np.array([0.0, 0.01, 0.02, 0.03])[:, None]
"""What a seed does to both models, (S, 1)."""


def grid(
    unet: list[float], urec: list[float], fracs: tuple[float, ...], noise: float = 0.0005
) -> ScoreGrid:
    """Curves without noise but for a little that is U-REC's own."""
    own = np.array([0.0, 1.0, -1.0, 0.0])[:, None] * noise
    return ScoreGrid(
        label_frac=np.array(fracs),
        seeds=(0, 1, 2, 3),
        scores={"unet": np.array(unet) + SEEDS, "urec": np.array(urec) + SEEDS + own},
        num_incomplete=0,
    )


def bounds_of(made: ScoreGrid) -> list[tuple[float, float]]:
    found = annotations_needed(made, "urec", "unet")
    return [(one.bounds.low, one.bounds.high) for one in found]


def test_bounds_are_the_measured_fractions_around_what_is_needed() -> None:
    # both rise; U-REC has at 20 % what U-Net has between 50 % and 100 %
    made = grid([0.4, 0.5, 0.6, 0.7], [0.45, 0.55, 0.65, 0.75], (0.1, 0.2, 0.5, 1.0))
    assert bounds_of(made) == [(0.0, 0.1), (0.1, 0.2), (0.2, 0.5), (0.5, 1.0)]


def test_what_is_reached_at_the_smallest_fraction_has_no_low_bound() -> None:
    made = grid([0.4, 0.5, 0.7], [0.71, 0.75, 0.8], (0.1, 0.5, 1.0))
    assert bounds_of(made) == [(0.0, 0.1), (0.0, 0.1), (0.0, 0.1)]


def test_never_reached_has_no_high_bound() -> None:
    made = grid([0.4, 0.6], [0.2, 0.3], (0.1, 1.0))
    assert bounds_of(made) == [(1.0, math.inf), (1.0, math.inf)]


def test_a_score_reached_with_more_than_the_reference_had_has_a_bound_beyond() -> None:
    made = grid([0.4, 0.5, 0.6], [0.35, 0.45, 0.55], (0.1, 0.5, 1.0))
    assert bounds_of(made) == [(0.1, 0.5), (0.5, 1.0), (1.0, math.inf)]


def test_a_curve_that_falls_back_is_not_walked_past() -> None:
    # U-REC reaches 0.7 at 20 %, misses it at 50 % and has it again at 100 %
    made = grid([0.4, 0.5, 0.6, 0.7], [0.5, 0.75, 0.65, 0.76], (0.1, 0.2, 0.5, 1.0))
    assert bounds_of(made)[-1] == (0.1, 1.0)


def test_a_flat_reference_curve_saves_nothing_that_it_would_not_save_itself() -> None:
    made = grid([0.4, 0.7, 0.7, 0.7], [0.5, 0.72, 0.72, 0.72], (0.1, 0.2, 0.5, 1.0))
    assert bounds_of(made)[-1] == (0.1, 1.0)  # U-Net itself reaches it with 20 %


def test_a_fraction_that_is_not_sure_ends_the_walk() -> None:
    differences = Differences(
        surely=np.array([-0.5, -0.4, -0.3, -0.2, 0.1]),
        high=np.array([-0.4, 0.1, -0.2, -0.1, 0.2]),  # the second may reach it
    )
    low, high = measured_bounds(np.array([0.1, 0.2, 0.4, 0.8, 1.0]), 4, differences, differences)
    assert (low, high) == (0.1, 1.0)


def test_t_bounds_are_those_of_scipy_and_skip_missing_pairs() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.05, (6, 3))
    values[:2, 1] = np.nan
    values[:4, 2] = np.nan
    found = t_bounds(values)
    for column in (0, 1):
        sample = values[~np.isnan(values[:, column]), column]
        args = (len(sample) - 1, sample.mean(), stats.sem(sample))
        assert found.high[column] == pytest.approx(stats.t.ppf(0.975, *args))
        assert found.surely[column] == pytest.approx(stats.t.ppf(0.005, *args))
    assert found.high[0] == pytest.approx(t_interval(values[:, 0]).high)
    assert np.isnan([found.high[2], found.surely[2]]).all()  # two pairs


def test_studies_drawn_many_at_a_time_have_the_bounds_of_each_alone() -> None:
    world = World(share=0.4, num_seeds=8, noise_sd=0.008, noise="correlated")
    drawn = world.draw(12, np.random.default_rng(2))
    for place in range(7):
        target = drawn["unet"][..., place : place + 1]
        low, high = measured_bounds(
            world.fracs, place, t_bounds(drawn["urec"] - target), t_bounds(drawn["unet"] - target)
        )
        for index in range(12):
            one_study = {model: scores[index] for model, scores in drawn.items()}
            made = score_grid(frame_of(one_study, world.fractions), "mean_f1", ("urec", "unet"))
            one = annotations_needed(made, "urec", "unet")[place]
            assert one.over_seeds == Bounds(low=float(low[index]), high=float(high[index]))
            assert not one.over_tiles.is_known


def test_a_failed_trial_does_not_drop_the_lowest_fraction() -> None:
    world = World(share=0.2, num_seeds=4, noise_sd=0.001, fractions=GRIDS[3])
    scores = {name: one[0] for name, one in world.draw(1, np.random.default_rng(1)).items()}
    for model, seed, place in (("urec", 0, 0), ("unet", 1, 1), ("urec", 2, 2)):
        scores[model][seed, place] = np.nan  # every seed but one lacks something
    made = score_grid(frame_of(scores, GRIDS[3]), "mean_f1", ("urec", "unet"))
    assert made.label_frac.tolist() == [0.01, 0.1, 1.0]
    assert made.num_incomplete == 3
    *_, last = annotations_needed(made, "urec", "unet")
    assert last.measured == (0.01, 0.1, 1.0)
    assert (last.bounds, last.num) == (Bounds(low=0.1, high=1.0), 3)


def test_identical_trials_of_equal_budgets_are_one_fraction_and_save_nothing() -> None:
    # tiles as units: 1, 2 and 5 % are the same tile, so the same trials
    made = grid([0.5, 0.5, 0.5, 0.7], [0.6, 0.6, 0.6, 0.75], (0.01, 0.02, 0.05, 1.0))
    reached = np.tile([0.1, 0.1, 0.1, 1.0], (4, 1))
    found = annotations_needed(
        replace(made, reached=reached), "urec", "unet", directions=dict.fromkeys((0.01, 0.02), 1)
    )
    assert [(one.label_frac, one.reached) for one in found] == [(0.01, 0.1), (1.0, 1.0)]
    assert not any(one.saves for one in found)


def test_bounds_are_what_the_budgets_reached_not_what_was_asked() -> None:
    made = grid([0.4, 0.5, 0.6, 0.7], [0.45, 0.55, 0.65, 0.75], (0.1, 0.2, 0.5, 1.0))
    reached = np.array([[0.06, 0.2, 0.5, 1.0], [0.1, 0.2, 0.5, 1.0]] * 2)
    second = annotations_needed(replace(made, reached=reached), "urec", "unet")[1]
    assert (second.bounds.low, second.bounds.high) == (pytest.approx(0.08), pytest.approx(0.2))


def test_two_seeds_have_no_bounds() -> None:
    made = ScoreGrid(
        label_frac=np.array([0.25, 1.0]), seeds=(0, 1), num_incomplete=0,
        scores={"unet": np.array([[0.4, 0.6]] * 2), "urec": np.array([[0.5, 0.7]] * 2)},
    )  # fmt: skip
    *_, last = annotations_needed(made, "urec", "unet", directions={1.0: 1})
    assert not last.bounds.is_known
    assert not last.saves
    assert math.isnan(last.next_frac)


def test_one_fraction_or_no_seed_gives_nothing() -> None:
    made = grid([0.5], [0.6], (1.0,))
    assert annotations_needed(made, "urec", "unet") == ()
    empty = ScoreGrid(
        label_frac=np.array([0.1, 1.0]), seeds=(), num_incomplete=0,
        scores={"unet": np.empty((0, 2)), "urec": np.empty((0, 2))},
    )  # fmt: skip
    assert annotations_needed(empty, "urec", "unet") == ()


def test_what_may_be_lost_by_failures_elsewhere_is_not_reached() -> None:
    made = grid([0.4, 0.5, 0.6], [0.5, 0.55, 0.65], (0.1, 0.5, 1.0))
    kept = annotations_needed(made, "urec", "unet", losses={1.0: 0.02})[-1]
    lost = annotations_needed(made, "urec", "unet", losses={1.0: 0.06})[-1]
    assert (kept.bounds.high, lost.bounds.high) == (1.0, math.inf)


def needed(low: float, high: float, direction: int = 0, **others: object) -> AnnotationNeeded:
    unknown = Bounds(low=math.nan, high=math.nan)
    return replace(
        AnnotationNeeded(
            variant="urec", reference="unet", label_frac=1.0, reached=1.0, num=8,
            over_seeds=Bounds(low=low, high=high), over_tiles=unknown,
            measured=(0.01, 0.1, 1.0), asked=(0.02, 0.2, 1.0), direction=direction,
        ),
        **others,
    )  # fmt: skip


def test_a_bound_is_told_by_what_was_asked_for_it() -> None:
    """What it costs with validation stands at the arm; interpolated by what was reached, it was
    called not on record where two means of the same shares differed by rounding."""
    assert needed(0.01, 0.1).asked_of(0.1) == 0.2
    for no_fraction in (0.0, 0.05, math.inf, math.nan):
        assert math.isnan(needed(0.0, 0.1).asked_of(no_fraction))


def test_a_saving_is_what_the_test_shows_and_its_interval_is_closed() -> None:
    one = needed(0.1, math.inf, 1)
    assert one.saves
    assert one.bounds == Bounds(low=0.1, high=1.0)  # it scores higher with all of them
    assert not needed(0.1, 0.1, 0).saves
    assert not needed(0.0, 0.01, 1, label_frac=0.01, reached=0.01).saves  # nothing below measured


def test_a_claim_speaks_from_the_wider_of_both_intervals() -> None:
    one = needed(0.1, 0.1, 1, over_tiles=Bounds(low=0.01, high=1.0))
    assert one.bounds == Bounds(low=0.01, high=1.0)


@pytest.mark.parametrize(
    ("low", "high", "measured", "expected"),
    [
        (0.1, 1.0, (0.01, 0.1, 1.0), 0.3),
        (0.1, 0.2, (0.1, 0.2, 1.0), 0.14),  # 0.1 would be the low bound itself
        # 10 % lies between, and is what was asked for where 9.6 % was reached
        (0.0962, 0.2319, (0.0468, 0.0962, 0.2319), 0.15),
        (0.01, 1.0, (0.01, 0.1, 1.0), math.nan),  # more seeds could tell
        (0.0, 0.01, (0.01, 0.1, 1.0), 0.003),
        (0.8, 1.0, (0.8, 1.0), math.nan),  # close enough
        (0.1, math.inf, (0.01, 0.1, 1.0), math.nan),
    ],
)
def test_a_grid_too_coarse_names_the_fraction_to_add(
    low: float, high: float, measured: tuple[float, ...], expected: float
) -> None:
    assert needed(low, high, measured=measured).next_frac == pytest.approx(expected, nan_ok=True)


def test_bounds_over_tiles_are_wider_where_tiles_differ() -> None:
    generator = np.random.default_rng(5)
    num_tiles, fracs = 8, np.array([0.1, 0.2, 0.5, 1.0])
    drawn = draw_tiles(num_tiles, generator)
    own = {"unet": np.array([0.4, 0.5, 0.6, 0.7]), "urec": np.array([0.45, 0.55, 0.65, 0.75])}
    scores, keys, resamples = {}, {}, {}
    for model, means in own.items():
        by_tile = generator.normal(0.0, 0.06, (1, 4, num_tiles))  # of the arm
        by_tile = means[:, None] - by_tile + by_tile.mean(axis=2, keepdims=True)
        by_tile = by_tile + generator.normal(0.0, 0.001, (6, 4, 1))
        scores[model] = by_tile.mean(axis=2)
        keys[model] = {(s, f): f"{model}-{s}-{f}" for s in range(6) for f in range(4)}
        for (s, f), key in keys[model].items():
            resamples[key] = drawn @ by_tile[s, f] / drawn.sum(axis=1)
            assert resamples[key].shape == (NUM_TILE_RESAMPLES,)
    made = ScoreGrid(
        label_frac=fracs, seeds=tuple(range(6)), scores=scores, num_incomplete=0, trial_keys=keys
    )
    found = annotations_needed(made, "urec", "unet", resamples=resamples, num_tiles=num_tiles)
    assert found[-1].over_seeds == Bounds(low=0.5, high=1.0)
    assert found[-1].over_tiles.low < 0.5
    assert found[-1].bounds.low == found[-1].over_tiles.low
    assert all(one.over_tiles.is_known for one in found)
