"""Learning rates and plateaus, computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from trainables.settings.config import TrainingConfig
from trainables.training.schedule import has_converged, learning_rate

TINY = TrainingConfig(num_validations=3, steps=6)


def test_learning_rates_by_hand():
    flat = replace(TINY, steps=12, lr=0.8, warmup_steps=4)
    rates = [learning_rate(flat, step) for step in range(12)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8] + [0.8] * 8)
    cosine = replace(flat, schedule="cosine")
    rates = [learning_rate(cosine, step) for step in range(12)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert rates[8] == pytest.approx(0.4)
    assert rates[6] == pytest.approx(0.4 * (1 + math.sqrt(0.5)))
    assert rates[11] == pytest.approx(0.4 * (1 + math.cos(7 / 8 * math.pi)))
    assert all(a > b for a, b in pairwise(rates[4:]))
    assert learning_rate(cosine, 12) == pytest.approx(0)


def test_without_warm_up_the_first_step_has_the_full_rate():
    for schedule in ("constant", "cosine"):
        assert learning_rate(replace(TINY, schedule=schedule, lr=0.3), 0) == 0.3


@pytest.mark.parametrize(
    ("scores", "tolerance", "converged"),
    [
        ([], 1.0, False),
        ([0.5], 1.0, False),
        ([0.5, 0.5], 1.0, False),  # two points show no plateau
        ([0.1, 0.5, 0.5], 0.0, True),
        ([0.1, 0.5, 0.52], 0.01, False),
        ([0.1, 0.5, 0.505], 0.01, True),
        ([0.1, 0.5, 0.2], 0.01, True),  # falling is not climbing
        ([0.1, 0.5, 0.5, 0.6], 0.05, False),
        ([0.9, 0.5, 0.6, 0.7, 0.8, 0.89], 0.0, True),  # the best lies before
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5], 0.05, False),  # the last third is two of six
        ([0.1, 0.2, 0.3, 0.45, 0.46, 0.5], 0.06, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6], 0.0, True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.7, 0.6], 0.05, False),
    ],
)
def test_convergence_by_hand(scores, tolerance, converged):
    assert has_converged(scores, tolerance) is converged
