"""One optimiser step: forward, losses, backward, alone or as one of several workers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from trainables.data.patches.sampler import Batch
from trainables.methods import METHODS
from trainables.networks.network import Network, Output, trained_part
from trainables.settings.config import TrialConfig
from trainables.settings.precision import has_bf16
from trainables.settings.process_group import ProcessGroup
from trainables.settings.seeds import torch_generator
from trainables.training.checkpoint import LoopState, Row
from trainables.training.gradient_shares import gradient_shares, kept_buffers
from trainables.training.schedule import learning_rate
from trainables.training.teacher import follow


class Step:
    """One optimiser step after the other."""

    def __init__(
        self, state: LoopState, config: TrialConfig, device: torch.device, group: ProcessGroup
    ) -> None:
        """Wrap the network for the workers.

        Args:
            state: What is trained.
            config: The trial.
            device: Where.
            group: The workers.
        """
        self._state = state
        self._config = config
        self._group = group
        self._objective = METHODS[config.unannotated]
        part = trained_part(state.model, self._objective.needs_reconstruction)
        self._part = part
        self._network = group.data_parallel(part, some_unused=part is not state.model)
        # A processor without bf16 emulates it, so that a trial goes on anywhere as it began.
        self.bf16 = config.training.precision == "bf16" and (
            device.type == "cpu" or has_bf16(device)
        )
        """Whether forward and backward run in bf16."""

    def take(self, batch: Batch) -> dict[str, Tensor]:
        """Learn from a batch; returns the loss and its terms, see `Objective.terms`."""
        state, training = self._state, self._config.training
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(training, state.step) * group.get("lr_factor", 1.0)
        terms = self.terms(batch)
        state.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        if state.averaged is not None:
            state.averaged.update_parameters(state.model)
        if state.teacher is not None:
            follow(state.teacher, state.model, training.teacher_decay, state.step)
            self._group.copy_first(state.teacher.buffers())  # all workers have one teacher
        return terms

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch and its terms, from which nothing is learned yet."""
        return self._terms(self._network, batch)

    def gradient_shares(self, batch: Batch) -> dict[str, float]:
        """How much a method's terms beside the segmentation move the weights that all terms train.

        Nothing of the training is changed. All workers call it, each with its share of the batch.

        Args:
            batch: A batch, which is not learned from.

        Returns:
            `train/grad_share_NAME` by term `loss_NAME`, see `gradient_shares`; empty for a method
            of one term.
        """
        weights = self._objective.weights(self._config.training, batch.step)
        if len(weights) == 1:
            return {}
        self._state.optimizer.zero_grad(set_to_none=True)  # as a step begins; it frees memory
        parameters = [one for one in self._part.parameters() if one.requires_grad]
        with kept_buffers(self._part):
            # Past the wrapper for several workers, which would count on a backward pass to follow.
            terms = self._terms(self._part, batch)
            shares = gradient_shares(terms, weights, parameters, self._group)
        return {
            f"train/grad_share_{name.removeprefix('loss_')}": share
            for name, share in list(shares.items())[1:]
        }

    def _terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch and its terms, of the network in training mode."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        batch = replace(batch, images=images)
        self._state.model.train()
        with (
            self._drawn_from_seed(images.device),
            torch.autocast(images.device.type, torch.bfloat16) if self.bf16 else nullcontext(),
        ):
            if self._state.teacher is not None:
                batch = replace(batch, taught=_taught(self._state.teacher, batch))
            inputs = batch.inputs.contiguous(memory_format=torch.channels_last)
            output: Output = network(inputs, num_segment=batch.num_segmented)
        return self._objective.terms(
            output.logits, output.reconstruction, batch, self._config.training, self._group
        )

    @contextmanager
    def _drawn_from_seed(self, device: torch.device) -> Iterator[None]:
        """What layers such as dropout draw follows from the trial's seed, the step and the worker.

        They draw from the global generators, which are put back as they were.
        """
        if not self._state.model.draws:
            yield
            return
        seeded = torch_generator(
            self._config.seed, "dropout", self._state.step, self._group.rank
        ).initial_seed()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seeded)
            yield


@torch.no_grad()
def _taught(teacher: Network, batch: Batch) -> Tensor:
    """Class scores that the teacher gives the patches that are viewed strongly."""
    assert batch.views is not None  # `Objective.num_views`
    return teacher.segment(batch.views.patches.contiguous(memory_format=torch.channels_last))


class Terms:
    """Loss terms of the steps since the last row, summed on the device."""

    def __init__(self, group: ProcessGroup) -> None:
        """Begin with none."""
        self._group = group
        self._sums: dict[str, Tensor] = {}
        self._num = 0

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Take in the terms of one step."""
        for name, term in terms.items():
            value = term.detach().to(torch.float64)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._num += 1

    def mean(self, step: int) -> Row:
        """`train/name` of every term, averaged over steps and workers.

        Raises:
            FloatingPointError: If one is not finite.
        """
        num = self._num * self._group.size
        sums = {name: self._group.sum(total) for name, total in self._sums.items()}
        row = {f"train/{name}": float(total) / num for name, total in sums.items()}
        if not all(math.isfinite(value) for value in row.values()):
            raise FloatingPointError(f"loss must be finite, got {row} at step {step}; lower lr")
        return row
