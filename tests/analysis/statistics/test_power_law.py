import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from analysis.statistics.power_law import extrapolate, fit_power_law

FRACS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


def law(fracs: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    return a - b * fracs**-c


def test_a_law_without_noise_is_recovered() -> None:
    fitted = fit_power_law(FRACS, law(FRACS, 0.8, 0.1, 0.3))
    assert (fitted.ceiling, fitted.scale, fitted.exponent) == pytest.approx(
        (0.8, 0.1, 0.3), rel=0.03
    )
    assert fitted(2.0) == pytest.approx(0.8 - 0.1 * 2.0**-0.3, abs=1e-4)


def test_fit_is_as_close_as_scipys() -> None:
    scores = law(FRACS, 0.75, 0.08, 0.4) + np.random.default_rng(0).normal(0, 0.01, len(FRACS))
    fitted = fit_power_law(FRACS, scores)
    (a, b, c), _ = curve_fit(law, FRACS, scores, p0=(0.7, 0.1, 0.5))
    ours = np.sum([(fitted(f) - s) ** 2 for f, s in zip(FRACS, scores, strict=True)])
    assert ours == pytest.approx(np.sum((law(FRACS, a, b, c) - scores) ** 2), rel=0.01)


def test_a_falling_curve_gets_a_flat_law() -> None:
    fitted = fit_power_law(FRACS, np.linspace(0.8, 0.5, len(FRACS)))
    assert fitted.scale == 0.0
    assert fitted(2.0) == pytest.approx(0.65)


def test_twice_the_annotations_with_an_interval() -> None:
    scores = law(FRACS, 0.8, 0.1, 0.3) + np.array([[0.0], [0.01], [-0.01]])
    told = extrapolate("unet", FRACS, scores)
    assert told.refused == ""
    assert told.label_frac == 2.0
    assert abs(told.held_out_error) < 0.001
    assert told.score.mean == pytest.approx(0.8 - 0.1 * 2.0**-0.3, abs=0.001)
    assert told.score.low < told.score.mean < told.score.high


def test_a_law_that_misses_the_held_out_fraction_is_refused() -> None:
    scores = law(FRACS, 0.8, 0.1, 0.3)
    scores[-1] += 0.1  # a jump that no smaller fraction foretells
    told = extrapolate("unet", FRACS, scores[None, :])
    assert math.isnan(told.score.mean)
    assert told.held_out_error == pytest.approx(-0.1, abs=0.001)
    assert "misses the score at 100" in told.refused


def test_few_fractions_are_refused() -> None:
    told = extrapolate("unet", FRACS[:4], law(FRACS[:4], 0.8, 0.1, 0.3)[None, :])
    assert told.refused == "a power law needs 5 fractions, there are 4"
    assert math.isnan(told.score.mean)


def test_a_score_above_one_or_a_short_step_is_refused() -> None:
    steep = extrapolate("unet", FRACS, law(FRACS, 1.3, 0.3, 0.3)[None, :])
    assert steep.refused == "a power law would pass a score of 1"
    assert math.isnan(steep.score.mean)
    close = np.array([0.6, 0.7, 0.8, 0.9, 1.0])
    short = extrapolate("unet", close, law(close, 0.8, 0.1, 0.3)[None, :])
    assert "too short a check" in short.refused
