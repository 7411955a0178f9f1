"""Random generators, one per purpose, all derived from a trial's seed.

A generator also takes the index of what it draws (the step, say), so a stream needs no state:
an interrupted run, or another number of workers, draws what an undisturbed one would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import torch

_PURPOSES: Final = {
    "budget": 0,
    "weights": 1,
    "patches": 2,
    "unannotated_patches": 3,
    "augmentation": 4,
    "unannotated_augmentation": 5,
    "dropout": 6,
    "val_budget": 7,
    "hidden": 8,
    "strong_views": 9,
    "noise": 10,
    "label_noise": 11,
    "splits": 20,
}


def numpy_generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """NumPy generator of one purpose; equal arguments give equal streams on every machine."""
    return np.random.default_rng(_sequence(seed, purpose, index))


def torch_generator(seed: int, purpose: str, *index: int) -> torch.Generator:
    """CPU generator of one purpose; equal arguments give equal streams on every machine."""
    import torch  # takes seconds, for which who only reads options or paints scenes need not wait

    state = _sequence(seed, purpose, index).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, _PURPOSES[purpose], *index])
