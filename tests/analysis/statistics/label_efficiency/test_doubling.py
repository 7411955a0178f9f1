import math

import numpy as np
import pytest

from analysis.statistics.intervals import t_interval
from analysis.statistics.label_efficiency.doubling import doubling
from tests.analysis.statistics.worlds import NOISES, World

FRACS = np.array([0.25, 0.5, 1.0])
OWN = np.array([[0.0], [0.01], [-0.01]])


def test_bounds_by_hand() -> None:
    told = doubling("unet", FRACS, np.array([0.4, 0.6, 0.7]) + OWN)
    assert (told.refused, told.label_frac, told.num) == ("", 2.0, 3)
    assert told.low == pytest.approx(t_interval([0.7, 0.71, 0.69]).low)  # nothing more
    assert told.high == pytest.approx(t_interval([0.9, 0.91, 0.89]).high)  # 0.2, as from 25 to 50 %


def test_a_step_of_several_doublings_counts_per_doubling() -> None:
    told = doubling("unet", np.array([0.125, 0.5, 1.0]), np.array([0.4, 0.6, 0.65]) + OWN)
    assert told.high == pytest.approx(t_interval([0.75, 0.76, 0.74]).high)


def test_a_curve_that_still_bends_upwards_is_refused() -> None:
    told = doubling("unet", FRACS, np.array([0.4, 0.45, 0.6]) + OWN)
    assert told.refused == "the last step brought more per doubling than the one before"
    assert math.isnan(told.low)
    assert math.isnan(told.high)


def test_few_fractions_or_seeds_are_refused() -> None:
    scores = np.array([0.4, 0.6, 0.7]) + OWN
    few = doubling("unet", FRACS[1:], scores[:, 1:])
    assert few.refused == "that needs 3 fractions, this has 2"
    scores[0, 0] = np.nan
    gap = doubling("unet", FRACS, scores)
    assert (gap.refused, gap.num) == ("that needs 3 seeds with all fractions, this has 2", 2)


def test_a_falling_curve_is_told_to_bring_nothing_and_no_score_is_above_one() -> None:
    falling = doubling("unet", FRACS, np.array([0.7, 0.65, 0.6]) + OWN)
    assert falling.high == pytest.approx(t_interval([0.6, 0.61, 0.59]).high)
    assert doubling("unet", FRACS, np.array([0.5, 0.9, 0.98]) + OWN).high == 1.0


@pytest.mark.parametrize("curve", ["power law", "plateau", "S-shape", "flat"])
@pytest.mark.parametrize("noise", NOISES[:5])
def test_twice_the_annotations_is_covered_also_where_the_curve_saturates(
    curve: str, noise: str
) -> None:
    world = World(curve=curve, noise=noise, num_seeds=10)
    truth = float(world.expected("unet", np.array(2.0)))
    studies = world.draw(200, np.random.default_rng(4))["unet"]
    told = [one for s in studies if not (one := doubling("unet", world.fracs, s)).refused]
    assert len(told) > 40
    assert np.mean([one.low <= truth <= one.high for one in told]) >= 0.93


def test_fractions_that_are_one_are_no_step() -> None:
    """The step between them has no length: the bounds were NaN, and a doubling was told with it."""
    scores = np.array([0.4, 0.6, 0.7]) + OWN
    twice = np.insert(scores, 1, scores[:, 0], axis=1)
    assert doubling("unet", np.insert(FRACS, 1, FRACS[0]), twice) == doubling("unet", FRACS, scores)
    few = doubling("unet", np.array([0.25, 0.25, 1.0]), scores)
    assert few.refused == "that needs 3 fractions, this has 2"
