"""Adam, without the import of torch's compiler that goes with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final

import torch
from torch.optim import Adam, Optimizer

_MARKED: Final = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods of every optimizer that torch marks as not to be compiled."""


class UncompiledAdam(Adam):
    """Adam as torch has it, bit for bit; nothing is differentiated through its steps.

    The first call of a method that torch marks as not to be compiled imports `torch._dynamo`,
    which is used for nothing here: 2 to 3 s of CPU time and some 75 MiB of every process that
    trains. These are the same methods without the mark. Workers of a group import it all the same,
    by `DistributedDataParallel`, and so does a trial that is traced.
    """

    @torch.no_grad()  # as the mark on `step` has it where nothing is differentiated through it
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Change the parameters by their gradients; returns what the closure does."""
        return _STEP(self, closure)  # type: ignore[no-any-return]


_STEP: Final = inspect.unwrap(Adam.step)
for _name in _MARKED:
    setattr(UncompiledAdam, _name, inspect.unwrap(getattr(Optimizer, _name)))
