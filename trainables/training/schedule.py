"""The course of a run: its learning rate, and whether it had reached a plateau."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainables.settings.config import TrainingConfig


def learning_rate(training: TrainingConfig, step: int) -> float:
    """Learning rate of the step with this index, counted from 0."""
    warmup = training.warmup_steps
    if step < warmup:
        return training.lr * (step + 1) / warmup
    if training.schedule == "constant":
        return training.lr
    progress = (step - warmup) / (training.steps - warmup)
    return training.lr * 0.5 * (1 + math.cos(math.pi * progress))


def has_converged(scores: Sequence[float], tolerance: float) -> bool:
    """Whether the best score of the last third exceeds the best before by at most `tolerance`.

    Args:
        scores: The selected measure at every validation, in order.
        tolerance: Rise that still counts as flat.

    Returns:
        False also for fewer than three validations, which cannot show a plateau.
    """
    if len(scores) < 3:
        return False
    before = len(scores) - len(scores) // 3
    return max(scores[before:]) - max(scores[:before]) <= tolerance
