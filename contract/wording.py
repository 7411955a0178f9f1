"""Words that both sides say alike: lists, amounts of compute, and minutes of annotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_PREFIXES: Final = ("M", "G", "T", "P", "E", "Z")


def listed(parts: Sequence[str]) -> str:
    """Such as 'a', 'a and b', 'a, b and c'."""
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def flop_text(flop: float) -> str:
    """Floating-point operations with three digits: `95.4 GFLOP`; less than a million as 0.12 M."""
    value, place = flop / 1e6, 0
    while value >= 999.5 and place < len(_PREFIXES) - 1:
        value, place = value / 1e3, place + 1
    return f"{value:.3g} {_PREFIXES[place]}FLOP"


def minutes_text(minutes: float) -> str:
    """Minutes of annotation to three digits, whole ones from 100 on: `0.25`, `12.5`, `1234`."""
    return f"{minutes:.0f}" if minutes >= 100 else f"{minutes:.3g}"
