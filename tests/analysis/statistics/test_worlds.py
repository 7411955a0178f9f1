import math

import numpy as np
import pytest

from tests.analysis.statistics.worlds import CURVES, GRIDS, NOISES, World, frame_of


@pytest.mark.parametrize("curve", ["power law", "plateau", "S-shape"])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.25])
def test_a_moved_curve_needs_its_share(curve: str, share: float) -> None:
    world = World(curve=curve, share=share)
    np.testing.assert_allclose(world.needed(), share * world.fracs, rtol=1e-6)


def test_the_least_annotation_is_enough_on_a_flat_curve() -> None:
    assert World(curve="flat", share=0.5).needed().tolist() == [0.0] * 7


def test_curves_that_cross_need_fewer_before_and_more_beyond() -> None:
    world = World(curve="crossing")
    needed = world.needed()
    np.testing.assert_allclose(world.gained[[0, 3, 6]], [0.03, 0.0, -0.03], atol=1e-9)
    assert (needed[:3] < world.fracs[:3]).all()
    assert needed[3] == pytest.approx(0.1)
    assert (needed[4:] > world.fracs[4:]).all()


def test_a_score_out_of_reach_needs_infinitely_many() -> None:
    assert World(gain=-0.2).needed()[-1] == math.inf


def test_collapses_at_few_labels_count_in_the_mean_that_is_to_be_reached() -> None:
    world = World(noise="collapses at few labels", curve="plateau", gain=0.01)
    at_2 = world.expected("unet", np.array(0.02))
    assert at_2 == pytest.approx(CURVES["plateau"](np.array(0.02)) - 0.2 * 0.02 / math.sqrt(0.02))
    assert world.needed()[-1] > World(curve="plateau", gain=0.01).needed()[-1]


@pytest.mark.parametrize("noise", NOISES)
def test_noise_leaves_the_expected_scores_as_they_are(noise: str) -> None:
    world = World(noise=noise, share=0.5, num_seeds=10)
    drawn = world.draw(4000, np.random.default_rng(3))
    for model, scores in drawn.items():
        assert scores.shape == (4000, 10, 7)
        expected = world.expected(model, world.fracs)
        np.testing.assert_allclose(scores.mean(axis=(0, 1)), expected, atol=0.004)


def test_the_same_seed_draws_the_same_studies_and_another_others() -> None:
    first, again, other = (
        World().draw(2, np.random.default_rng(seed))["urec"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_study_as_a_frame_leaves_out_what_is_missing() -> None:
    scores = {"unet": np.array([[0.1, 0.2, 0.3]]), "urec": np.array([[0.4, np.nan, 0.6]])}
    frame = frame_of(scores, GRIDS[3])
    assert frame["mean_f1"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.6]
    assert frame["label_frac"].tolist() == [0.01, 0.1, 1.0, 0.01, 1.0]
