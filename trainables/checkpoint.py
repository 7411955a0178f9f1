"""The complete state of a training loop in one file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from trainables.files import write_atomically


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """State written by `save_checkpoint`, or None where there is no file yet.

    Only tensors and plain values are unpickled, so a checkpoint from elsewhere runs no code.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
