"""Which devices multiply in bf16, and which only emulate it."""

from __future__ import annotations

import os
from typing import Final

import torch

_WITH_BF16: Final = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Instructions of processors, x86 and ARM, by torch's names."""
_LIMIT: Final = "ONEDNN_MAX_CPU_ISA"
"""Variable that keeps oneDNN, which computes convolutions, from newer instructions."""
_LIMITS_WITH_BF16: Final = ("", "ALL", "DEFAULT")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16; others emulate it, slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    limit = os.environ.get(_LIMIT, "").upper()
    is_free = limit in _LIMITS_WITH_BF16 or "BF16" in limit or "AMX" in limit
    instructions = torch.cpu.get_capabilities()
    has_instructions = any(bool(instructions.get(name)) for name in _WITH_BF16)
    has_onednn = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return is_free and has_instructions and has_onednn
