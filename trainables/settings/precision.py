"""Which devices multiply in bf16, and which only emulate it."""

from __future__ import annotations

from typing import Final

import torch

_WITH_BF16: Final = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions of processors, x86 and ARM, by torch's names."""


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16; others emulate it, slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    instructions = torch.cpu.get_capabilities()
    return any(bool(instructions.get(name)) for name in _WITH_BF16)
