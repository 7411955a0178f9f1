"""The workers of one trial: how they share its batches and tiles, and add up what they find.

A worker is known by its rank, from 0. Every method that talks to the others must be called by all
of them; with one worker alone it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """One worker's place among those of its trial; torch's process group is up where size > 1."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this worker writes the trial's files and reports its course."""
        return self.rank == 0

    def share(self, num: int) -> slice:
        """This worker's part of `num` things in order; shares differ by one at most."""
        return slice(num * self.rank // self.size, num * (self.rank + 1) // self.size)

    def assigned(self, costs: Sequence[int]) -> tuple[int, ...]:
        """Indices of the tasks that fall to this worker: all are done once, none twice.

        The costliest task goes first, to the worker that has least to do.

        Args:
            costs: What every task takes, in any unit.
        """
        loads = [0] * self.size
        mine = []
        for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
            least = loads.index(min(loads))
            loads[least] += costs[index]
            if least == self.rank:
                mine.append(index)
        return tuple(sorted(mine))

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum of the workers' tensors, which have one shape; takes the place of `tensor`."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first worker."""
        if self.size > 1:
            with torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def from_first(self, value: Value) -> Value:
        """The first worker's value; what the others pass does not matter."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Wait for all workers."""
        self.from_first(None)

    def synchronise_norms(self, model: Module, device: torch.device) -> Module:
        """Batch normalisation over the batch of all workers, where the device can (CUDA).

        On a CPU torch has none: each worker normalises by the patches of its own share.
        """
        if self.size == 1 or device.type != "cuda":
            return model
        converted: Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted

    def data_parallel(self, model: nn.Module, *, some_unused: bool = False) -> nn.Module:
        """The model with gradients that are averaged over the workers; itself for one worker.

        Args:
            model: What is trained.
            some_unused: Whether parameters get no gradient, which takes a look at every step.
        """
        if self.size == 1:
            return model
        return DistributedDataParallel(model, find_unused_parameters=some_unused)


ALONE: Final = ProcessGroup()
"""A trial in one process."""
