"""How much each term of the loss moves the weights that all terms train.

Measured at some validations, on a batch that is not learned from: a probe changes neither weights,
batch statistics nor random numbers of the training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

from trainables.settings.process_group import ProcessGroup

_STEPS_BETWEEN: Final = 200
"""Steps between probes at least: one takes as long as about one and a half steps."""


def probed_steps(validations: Sequence[int]) -> frozenset[int]:
    """The validations at which shares are measured.

    Args:
        validations: Steps of all validations, ascending.

    Returns:
        The last, and backwards from it each that lies far enough before the one after it.
    """
    probed: list[int] = []
    for step in reversed(validations):
        if not probed or probed[-1] - step >= _STEPS_BETWEEN:
            probed.append(step)
    return frozenset(probed)


def gradient_shares(
    terms: Mapping[str, Tensor],
    weights: Mapping[str, float],
    parameters: Sequence[Tensor],
    group: ProcessGroup,
) -> dict[str, float]:
    """Share of each weighted term in the gradient of the weights that every term trains.

    These shared weights are the ones that get a gradient from each term: U-REC's encoder and the
    decoder blocks of both its branches.

    Args:
        terms: Terms of the loss of a batch, scalars with their graph, by name.
        weights: What terms are multiplied by in the loss, by their names.
        parameters: The trained weights of the network.
        group: The workers; the mean of their gradients counts.

    Returns:
        By name of the term: the norm of its gradient over the sum of the norms of all, in [0, 1].
        Empty where the terms share no weight, or their gradients are all 0 or not finite.
    """
    squares, reached = [], []
    for name in weights:
        found = torch.autograd.grad(terms[name], parameters, retain_graph=True, allow_unused=True)
        reached.append(group.sum(torch.tensor([one is not None for one in found]).to(terms[name])))
        squares.append(
            torch.stack(
                [
                    _square(one, parameter, group)
                    for one, parameter in zip(found, parameters, strict=True)
                ]
            )
        )
    is_shared = torch.stack(reached).bool().all(dim=0)
    norms = [float(one[is_shared].sum().sqrt()) for one in squares]
    weighted = [weight * norm for weight, norm in zip(weights.values(), norms, strict=True)]
    total = sum(weighted)
    if not math.isfinite(total) or total == 0:
        return {}
    return {name: norm / total for name, norm in zip(weights, weighted, strict=True)}


def _square(gradient: Tensor | None, parameter: Tensor, group: ProcessGroup) -> Tensor:
    """Squared norm of one weight's gradient, summed over the workers; scalar, float64."""
    if gradient is None:  # another worker may have drawn layers that reach it, and waits
        gradient = torch.zeros_like(parameter)
    return group.sum(gradient.contiguous()).to(torch.float64).square().sum()


@contextmanager
def kept_buffers(network: nn.Module) -> Iterator[None]:
    """Put back what a forward pass changes of a network: running statistics, and all other buffers.

    Both what was written into buffers is undone and other tensors that took their place.
    """
    kept = [
        (part, name, buffer, buffer.detach().clone())
        for part in network.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, name, buffer, value in kept:
                buffer.copy_(value)
                if getattr(part, name) is not buffer:
                    setattr(part, name, buffer)
