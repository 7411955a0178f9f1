"""The complete state of a training loop, written to one file."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from trainables.files import write_atomically

Row = dict[str, float]
"""Measurements after one step: `step`, and `split/name` for each measure."""

_PLAIN_STATE: Final = (
    "step",
    "best_step",
    "best_score",
    "best_weights",
    "history",
    "train_s",
    "eval_s",
)


@dataclass(kw_only=True)
class LoopState:
    """Everything that a continued run needs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: AveragedModel | None
    step: int = 0
    best_step: int = 0
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    train_s: float = 0.0
    eval_s: float = 0.0

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and kept: the weight average where there is one."""
        return self.model if self.averaged is None else self.averaged.module

    def save(self, path: Path) -> None:
        """Write the complete state, whole or not at all."""
        plain = {name: getattr(self, name) for name in _PLAIN_STATE}
        buffer = io.BytesIO()
        torch.save(
            plain
            | {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averaged": None if self.averaged is None else self.averaged.state_dict(),
            },
            buffer,
        )
        write_atomically(path, buffer.getvalue())

    def restore(self, path: Path, device: torch.device) -> None:
        """Take over a saved state; nothing happens where there is none.

        Only tensors and plain values are unpickled: a checkpoint from elsewhere runs no code.
        """
        if not path.exists():
            return
        saved = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(saved["averaged"])
        for name in _PLAIN_STATE:
            setattr(self, name, saved[name])
