"""Random generators, one per purpose, all derived from a trial's seed.

A generator also takes the index of what it draws (the step, say), so a stream needs no state:
an interrupted run, or another number of workers, draws what an undisturbed one would have.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

_PURPOSES: Final = {
    "budget": 0,
    "weights": 1,
    "patches": 2,
    "unannotated_patches": 3,
    "augmentation": 4,
    "unannotated_augmentation": 5,
    "dropout": 6,
    "hidden": 7,
}


def numpy_generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """NumPy generator of one purpose; equal arguments give equal streams on every machine."""
    return np.random.default_rng(_sequence(seed, purpose, index))


def torch_generator(seed: int, purpose: str, *index: int) -> torch.Generator:
    """CPU generator of one purpose; equal arguments give equal streams on every machine."""
    state = _sequence(seed, purpose, index).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, _PURPOSES[purpose], *index])
