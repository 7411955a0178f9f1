"""What is printed of the annotations needed must be true as often as it claims, in every world."""

from itertools import combinations

import numpy as np
import pytest

from analysis.reading.compared import tried_variants
from analysis.reading.styles import styles_of
from analysis.statistics.answer import compute_answer
from contract.protocol.looks import plan_looks
from contract.protocol.power import LEVEL
from tests.analysis.statistics.claims.study_claims import family_of
from tests.analysis.statistics.many_studies import (
    adjusted,
    false_findings,
    read_often,
    said,
    said_of,
)
from tests.analysis.statistics.worlds import CURVES, GRIDS, NOISES, World, covered, frame_of

STYLES = styles_of(tried_variants([("unet", "unet"), ("urec", "urec")]))

BOTH_ALIKE = NOISES[:7]


@pytest.mark.parametrize(
    "world",
    [
        World(share=0.5, num_seeds=8, noise_sd=0.01, noise="collapses in one"),
        World(curve="crossing", num_seeds=7, noise="collapses", fractions=GRIDS[5]),
        World(curve="plateau", num_seeds=5, share=0.25, fractions=GRIDS[3]),
    ],
)
def test_many_at_a_time_are_said_what_each_is_alone(world: World) -> None:
    drawn = world.draw(15, np.random.default_rng(6))
    together = said(world, drawn)
    for index in range(15):
        frame = frame_of({name: scores[index] for name, scores in drawn.items()}, world.fractions)
        answer = compute_answer(frame, "mean_f1", STYLES, measures=("mean_f1",))
        alone = answer.main_differences
        assert [one.direction for one in alone] == together.direction[index].tolist()
        np.testing.assert_allclose([one.p_adjusted for one in alone], together.p_fraction[index])
        np.testing.assert_allclose(answer.area_differences[0].p_adjusted, together.p_area[index])
        bounds = [(one.bounds.low, one.bounds.high) for one in answer.needed]
        assert bounds == [*zip(together.low[index], together.high[index], strict=True)]
        assert [answer.claims(one) for one in answer.needed] == together.saves[index].tolist()


@pytest.mark.parametrize("num_seeds", [5, 10])
@pytest.mark.parametrize("curve", CURVES)
def test_annotations_needed_are_covered_in_every_world_also_where_a_saving_was_printed(
    curve: str, num_seeds: int
) -> None:
    generator = np.random.default_rng(num_seeds)
    printed, true = 0, 0
    for place, noise in enumerate(BOTH_ALIKE):
        share = (1.0, 0.8, 0.5, 0.25)[place % 4]
        world = World(
            curve=curve, noise=noise, share=share, num_seeds=num_seeds,
            fractions=GRIDS[(3, 5, 7)[place % 3]],
        )  # fmt: skip
        found = said_of(world, 200, generator)
        hits = covered(found.low, found.high, world.needed())
        assert (hits.mean(axis=0) >= 0.93).all(), (world, hits.mean(axis=0))
        printed += int(found.saves.sum())
        true += int((found.saves & hits).sum())
    assert printed > 0 if num_seeds == 10 and curve != "flat" else printed < 30
    assert true >= 0.9 * printed


def test_a_coarse_grid_does_not_miss_an_s_shape() -> None:
    # interpolated bounds covered 48 % here with 5 seeds and 8 % with 10
    for num_seeds in (5, 10):
        world = World(curve="S-shape", share=0.5, fractions=GRIDS[3], num_seeds=num_seeds)
        found = said_of(world, 300, np.random.default_rng(num_seeds))
        assert (covered(found.low, found.high, world.needed()).mean(axis=0) >= 0.93).all()


@pytest.mark.parametrize("share", [0.9, 0.8])
def test_a_small_saving_that_is_printed_because_it_came_out_large_is_still_covered(
    share: float,
) -> None:
    # interpolated and printed only where significant: 30 % and 77 %
    world = World(share=share, num_seeds=10)
    found = said_of(world, 2000, np.random.default_rng(3))
    hits = covered(found.low, found.high, world.needed())
    assert found.saves.sum() > 100
    assert hits[found.saves].mean() >= 0.9


@pytest.mark.parametrize("noise", BOTH_ALIKE)
def test_equal_models_save_nothing_in_19_of_20_studies(noise: str) -> None:
    world = World(noise=noise, num_seeds=8, curve="plateau")
    found = said_of(world, 300, np.random.default_rng(2))
    assert found.saves.any(axis=1).mean() <= 0.055
    assert (found.direction != 0).any(axis=1).mean() <= 0.055


def test_collapses_of_one_model_that_a_few_seeds_did_not_show_save_nothing() -> None:
    # U-REC's typical run leads by 0.02 and one in ten collapses; its mean is U-Net's or below
    world = World(curve="crossing", noise="collapses in one", num_seeds=10, share=0.8)
    found = said_of(world, 500, np.random.default_rng(1))
    hits = covered(found.low, found.high, world.needed())
    assert (hits.mean(axis=0) >= 0.93).all()
    assert hits[found.saves].mean() >= 0.9


def test_several_variants_at_a_time_have_the_p_values_of_one_study() -> None:
    world = World(noise="skewed", fractions=GRIDS[3], num_seeds=8)
    generator = np.random.default_rng(5)
    drawn = {name: world.draw(5, generator)["unet"] for name in ("a", "b", "c")}
    pairs = [*combinations(drawn, 2)]
    areas, fractions = adjusted([drawn[one] - drawn[other] for one, other in pairs], world.fracs)
    for index in range(5):
        scores = {name: values[index] for name, values in drawn.items()}
        family = family_of(scores, world.fractions, 0.05, pairs)
        np.testing.assert_allclose([p[index] for p in areas], [a.p_adjusted for a in family.areas])
        np.testing.assert_allclose(fractions[index], [one.p_adjusted for one in family.fractions])


@pytest.mark.parametrize(("noise", "num_variants"), [("skewed", 3), ("collapses", 4)])
def test_several_equal_variants_are_told_apart_in_one_of_twenty_studies_at_most(
    noise: str, num_variants: int
) -> None:
    """All pairs, in one family; a second, uncorrected p made 6 to 9 %."""
    world = World(noise=noise, fractions=GRIDS[3], num_seeds=8)
    found = false_findings(world, num_variants, 600, np.random.default_rng(4))
    assert found <= 0.05 + 0.015  # 1.7 standard errors of 600 studies


@pytest.mark.parametrize("noise", ["Gaussian", "collapses"])
def test_a_study_that_is_read_after_every_seed_errs_no_more_often_than_its_level(
    noise: str,
) -> None:
    # read openly after every trial: 9 to 13 %
    world = World(noise=noise, num_seeds=10)
    planned = {look.seeds: look.level for look in plan_looks([7, 8, 10])}
    assert read_often(world, planned, 1000, np.random.default_rng(1)) <= 0.055
    opened = dict.fromkeys(range(1, 11), LEVEL)
    assert read_often(world, opened, 1000, np.random.default_rng(1)) >= 0.08
