"""What a study can vary: each parameter's domain, its defaults, and the models that have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Value = float | str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A quantity that a study can vary."""

    name: str
    label: str
    """How a chart names it."""
    rule: str
    """Values it can take, in words."""
    holds: Callable[[Any], bool]
    """Whether a value obeys the rule."""
    models: tuple[str, ...]
    """Models that have it."""
    is_number: bool = True
    levels: tuple[Value, ...] | None = None
    """Default levels of a factor, which is never searched: every level is an arm."""
    low: float = 0.0
    high: float = 0.0
    """Default search range, on a logarithmic scale."""

    @property
    def is_factor(self) -> bool:
        """Whether every level is an arm of its own rather than something to optimise."""
        return self.levels is not None


PARAMETERS: Final = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            name="w1",
            label="w\N{SUBSCRIPT ONE}",
            rule="in [0, 1)",
            holds=lambda value: 0 <= value < 1,
            models=("urec",),
            low=0.01,
            high=0.5,
        ),
        Parameter(
            name="lr",
            label="learning rate",
            rule="in (0, 1]",
            holds=lambda value: 0 < value <= 1,
            models=("urec", "unet"),
            low=1e-4,
            high=1e-2,
        ),
        Parameter(
            name="label_frac",
            label="annotation fraction",
            rule="in (0, 1]",
            holds=lambda value: 0 < value <= 1,
            models=("urec", "unet"),
            levels=(0.01, 0.1, 1.0),
        ),
        Parameter(
            name="reconstruct_on",
            label="pixels that are reconstructed",
            rule="all or annotated",
            holds=lambda value: value in ("all", "annotated"),
            models=("urec",),
            is_number=False,
            levels=("all", "annotated"),
        ),
    )
}

SEARCHED: Final = tuple(one.name for one in PARAMETERS.values() if not one.is_factor)
"""Parameters that are tuned inside an arm, in the order of rows."""
