"""What the trials of a study have in common: `--equal`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EQUAL: Final = ("steps", "compute")
"""Optimiser steps, or floating-point operations of training."""


@dataclass(frozen=True, kw_only=True)
class ComputeBudget:
    """What every trial of a study spends in training, where that is equal."""

    flop: int
    """Floating-point operations of a trial."""
    num_bands: int
    """Of the images, which decide what a step takes, like the classes."""
    num_classes: int
