"""What a study varies: the parameters, their domains and levels; reads `--space`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from trainables.errors import ConfigError

Value = float | str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A quantity that a study can vary."""

    name: str
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
            rule="in [0, 1)",
            holds=lambda value: 0 <= value < 1,
            models=("urec",),
            low=0.01,
            high=0.5,
        ),
        Parameter(
            name="lr",
            rule="in (0, 1]",
            holds=lambda value: 0 < value <= 1,
            models=("urec", "unet"),
            low=1e-4,
            high=1e-2,
        ),
        Parameter(
            name="label_frac",
            rule="in (0, 1]",
            holds=lambda value: 0 < value <= 1,
            models=("urec", "unet"),
            levels=(0.01, 0.1, 1.0),
        ),
        Parameter(
            name="reconstruct_on",
            rule="all or annotated",
            holds=lambda value: value in ("all", "annotated"),
            models=("urec",),
            is_number=False,
            levels=("all", "annotated"),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Varied:
    """One parameter as a study varies it: over levels, or over a range."""

    name: str
    levels: tuple[Value, ...] | None
    low: float = 0.0
    high: float = 0.0

    @property
    def text(self) -> str:
        """As `--space` would spell it, with nothing left to a default."""
        if self.levels is not None:
            return f"{self.name}={'/'.join(_value_text(level) for level in self.levels)}"
        return f"{self.name}={_value_text(self.low)}..{_value_text(self.high)}"


def parse_space(text: str) -> tuple[Varied, ...]:
    """Read `--space`.

    Args:
        text: Comma-separated parameters, each by name (`w1`), as levels (`label_frac=0.01/0.1/1`)
            or as a range (`w1=0.01..0.5`).

    Raises:
        ConfigError: For an unknown or repeated name, a value outside its domain, a range of a
            factor, or an empty text.
    """
    varied = tuple(_parse_one(part.strip()) for part in text.split(","))
    names = [one.name for one in varied]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--space must name each parameter once, got {name!r} twice")
    return varied


def _value_text(value: Value) -> str:
    """Shortest text that reads back as the same value: 1.0 -> `1`."""
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def _parse_one(text: str) -> Varied:
    name, has_domain, domain = (part.strip() for part in text.partition("="))
    if name not in PARAMETERS:
        raise ConfigError(
            f"--space must name parameters among {', '.join(PARAMETERS)}, got {name!r}"
        )
    parameter = PARAMETERS[name]
    if not has_domain:
        if parameter.levels is not None:
            return Varied(name=name, levels=parameter.levels)
        return Varied(name=name, levels=None, low=parameter.low, high=parameter.high)
    if ".." in domain:
        return _parse_range(parameter, domain)
    levels = tuple(_parse_value(parameter, part.strip()) for part in domain.split("/"))
    if len(set(levels)) < len(levels):
        raise ConfigError(f"levels of {name} must differ, got {domain!r} in --space")
    return Varied(name=name, levels=tuple(sorted(levels)))


def _parse_range(parameter: Parameter, domain: str) -> Varied:
    if parameter.is_factor:
        raise ConfigError(
            f"{parameter.name} must be given as levels, got the range {domain!r} in --space; "
            f"write {parameter.name}={'/'.join(map(_value_text, parameter.levels or ()))}"
        )
    ends = domain.split("..")
    if len(ends) != 2:
        raise ConfigError(f"a range must be LOW..HIGH, got {domain!r} in --space")
    low, high = (_parse_number(parameter, end) for end in ends)
    if not 0 < low < high:
        raise ConfigError(
            f"range of {parameter.name} must have 0 < low < high (it is searched on a "
            f"logarithmic scale), got {domain!r} in --space"
        )
    return Varied(name=parameter.name, levels=None, low=low, high=high)


def _parse_value(parameter: Parameter, text: str) -> Value:
    if parameter.is_number:
        return _parse_number(parameter, text)
    if not parameter.holds(text):
        raise ConfigError(f"{parameter.name} must be {parameter.rule}, got {text!r} in --space")
    return text


def _parse_number(parameter: Parameter, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(
            f"{parameter.name} must be a number, got {text.strip()!r} in --space"
        ) from None
    if not parameter.holds(value):
        raise ConfigError(f"{parameter.name} must be {parameter.rule}, got {value:g} in --space")
    return value
