"""The complete state of a training loop on disk: the last two states, each with its checksum."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from trainables.networks.network import Network
from trainables.settings.process_group import ALONE, ProcessGroup
from trainables.storage.atomic_files import remove_partials, write_atomically

Row = dict[str, float]
"""Measurements after one step: `step`, and `split/name` for each measure."""

_MAGIC: Final = b"urec-checkpoint-1\n"
_DIGEST_BYTES: Final = 32
_PLAIN_STATE: Final = (
    "step",
    "best_step",
    "best_score",
    "best_weights",
    "history",
    "train_s",
    "eval_s",
    "seconds",
    "damaged",
)


@dataclass(kw_only=True)
class LoopState:
    """Everything that a continued run needs."""

    model: Network
    optimizer: torch.optim.Optimizer
    averaged: AveragedModel | None
    teacher: Network | None = None
    """What labels patches, for a method that learns such labels."""
    step: int = 0
    best_step: int = 0
    best_score: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    train_s: float = 0.0
    eval_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each part, if they are measured; see `trainables.training.stopwatch`."""
    damaged: list[str] = field(default_factory=list)
    """Saved states of this run that could not be used, in words."""

    @property
    def evaluated(self) -> Network:
        """The network that is validated and kept: the weight average where there is one."""
        return self.model if self.averaged is None else cast(Network, self.averaged.module)

    def save(self, path: Path) -> None:
        """Write the complete state, whole or not at all; the state before it stays beside it."""
        plain = {name: getattr(self, name) for name in _PLAIN_STATE}
        plain["seconds"] = dict(self.seconds)
        buffer = io.BytesIO()
        torch.save(
            plain
            | {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averaged": None if self.averaged is None else self.averaged.state_dict(),
                "teacher": None if self.teacher is None else self.teacher.state_dict(),
            },
            buffer,
        )
        state = buffer.getbuffer()
        new, previous = _beside(path, "new"), _beside(path, "previous")
        write_atomically(new, b"".join((_MAGIC, hashlib.sha256(state).digest(), state)))
        if path.exists():
            path.replace(previous)
        new.replace(path)

    def restore(self, path: Path, device: torch.device, group: ProcessGroup = ALONE) -> None:
        """Take over the newest saved state that is whole; nothing happens where there is none.

        Only tensors and plain values are unpickled: a checkpoint from elsewhere runs no code.
        States that had to be passed over are removed and noted in `damaged`. If there are several
        workers, the first reads the file, whose folder the others need not see.
        """
        content, damaged = _newest_whole(path) if group.is_first else (None, [])
        content = group.from_first(content)
        if content is not None:
            self._take_over(_load(content, device))
        self.damaged += damaged

    def _take_over(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(saved["averaged"])
        if self.teacher is not None:
            self.teacher.load_state_dict(saved["teacher"])  # of every state of such a method
        saved = {"seconds": {}} | saved  # states of before these were measured have none
        for name in _PLAIN_STATE:
            setattr(self, name, saved[name])


def read_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What a checkpoint holds, or None where its checksum does not fit: cut off, or changed."""
    content = _read_whole(path)
    return None if content is None else _load(content, device)


def _newest_whole(path: Path) -> tuple[bytes | None, list[str]]:
    """The newest saved state that is whole, and what was wrong with those passed over."""
    damaged: list[str] = []
    for file in (path, _beside(path, "previous")):
        if not file.exists():
            continue
        content = _read_whole(file)
        if content is not None:
            return content, damaged
        damaged.append(f"{file.name} was damaged and not used")
        file.unlink()  # or the next save would put it in the place of the whole one
    return None, damaged


def _read_whole(path: Path) -> bytes | None:
    content = path.read_bytes()
    head, state = content[: len(_MAGIC) + _DIGEST_BYTES], content[len(_MAGIC) + _DIGEST_BYTES :]
    return state if head == _MAGIC + hashlib.sha256(state).digest() else None


def _load(state: bytes, device: torch.device) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(io.BytesIO(state), map_location=device, weights_only=True)
    return saved


def remove_checkpoints(path: Path) -> None:
    """Remove the saved states of a run that needs them no more, and what crashes left beside."""
    for file in (path, _beside(path, "previous"), _beside(path, "new")):
        file.unlink(missing_ok=True)
    remove_partials(path.parent)


def _beside(path: Path, which: str) -> Path:
    return path.with_name(f"{path.stem}-{which}{path.suffix}")
