"""What the trials of a study had in common: steps, or the compute of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.wording import listed
from contract.wording import flop_text

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord


def equal_fact(record: StudyRecord) -> str:
    """In a few words, for the line below the title; "" where it is not on record."""
    compute, steps = _compute(record), _steps(record)
    if compute:
        return f"equal compute, {_unbroken(flop_text(compute['flop']))} a trial"
    return f"equal steps, {steps:,} a trial" if steps else ""


def equal_note(record: StudyRecord) -> str:
    """In a sentence or two; "" where it is not on record."""
    compute, steps = _compute(record), _steps(record)
    if not compute:
        return f"Every trial took {steps:,} optimiser steps." if steps else ""
    parts = []
    for one in compute["variants"]:
        name, flop = str(one["name"]), _unbroken(flop_text(one["flop_per_step"]))
        label = record.styles[name].label if name in record.styles else name
        parts.append(f"{label} {int(one['steps']):,} steps of {flop}")
    return (
        f"Every trial spent {_unbroken(flop_text(compute['flop']))} in training, forward and "
        f"backward, as the costliest variant takes in {steps:,} steps: {listed(parts)}. Validation "
        "and test come on top."
    )


def _compute(record: StudyRecord) -> dict[str, Any]:
    return record.info.document.get("compute") or {}


def _steps(record: StudyRecord) -> int:
    return int((record.info.document.get("config") or {}).get("steps") or 0)


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")
