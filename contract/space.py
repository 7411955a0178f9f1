"""The grammar of `--space`: read and written here alone.

Comma-separated parameters, each by name (`w1`), as levels (`label_frac=0.01/0.1/1`) or as a range
(`w1=0.01..0.5`).
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.parameters import PARAMETERS, Parameter, Value


class SpaceError(ValueError):
    """A text that is no space, or names what cannot be varied so; one line."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """One parameter as it is written, whatever it may be; nothing of it is checked."""

    name: str
    levels: tuple[str, ...] = ()
    """Empty for a range, and for a name alone."""
    ends: tuple[str, ...] = ()
    """Two of a sound range; empty without one."""


def split_space(text: str) -> tuple[Written, ...]:
    """The parts of a space, as a reader of records needs them."""
    parts = []
    for part in text.split(","):
        name, equals, domain = (piece.strip() for piece in part.partition("="))
        if ".." in domain:
            ends = tuple(end.strip() for end in domain.split(".."))
            parts.append(Written(name=name, ends=ends))
        else:
            levels = tuple(level.strip() for level in domain.split("/")) if equals else ()
            parts.append(Written(name=name, levels=levels))
    return tuple(parts)


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
    """Read `--space`, with nothing left to a default.

    Raises:
        SpaceError: For an unknown or repeated name, a value outside its domain, a range of a
            factor, or an empty text.
    """
    varied = tuple(map(_checked, split_space(text)))
    names = [one.name for one in varied]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"--space must name each parameter once, got {name!r} twice")
    return varied


def _value_text(value: Value) -> str:
    """Shortest text that reads back as the same value: 1.0 -> `1`."""
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def _checked(written: Written) -> Varied:
    name = written.name
    if name not in PARAMETERS:
        raise SpaceError(
            f"--space must name parameters among {', '.join(PARAMETERS)}, got {name!r}"
        )
    parameter = PARAMETERS[name]
    if written.ends:
        return _range(parameter, written.ends)
    if not written.levels:
        if parameter.levels is not None:
            return Varied(name=name, levels=parameter.levels)
        return Varied(name=name, levels=None, low=parameter.low, high=parameter.high)
    levels = tuple(_value(parameter, level) for level in written.levels)
    if len(set(levels)) < len(levels):
        shown = "/".join(written.levels)
        raise SpaceError(f"levels of {name} must differ, got {shown!r} in --space")
    return Varied(name=name, levels=tuple(sorted(levels)))


def _range(parameter: Parameter, ends: tuple[str, ...]) -> Varied:
    shown = "..".join(ends)
    if parameter.is_factor:
        raise SpaceError(
            f"{parameter.name} must be given as levels, got the range {shown!r} in --space; "
            f"write {parameter.name}={'/'.join(map(_value_text, parameter.levels or ()))}"
        )
    if len(ends) != 2:
        raise SpaceError(f"a range must be LOW..HIGH, got {shown!r} in --space")
    low, high = (_number(parameter, end) for end in ends)
    if not 0 < low < high:
        raise SpaceError(
            f"range of {parameter.name} must have 0 < low < high (it is searched on a "
            f"logarithmic scale), got {shown!r} in --space"
        )
    return Varied(name=parameter.name, levels=None, low=low, high=high)


def _value(parameter: Parameter, text: str) -> Value:
    if parameter.is_number:
        return _number(parameter, text)
    if not parameter.holds(text):
        raise SpaceError(f"{parameter.name} must be {parameter.rule}, got {text!r} in --space")
    return text


def _number(parameter: Parameter, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise SpaceError(f"{parameter.name} must be a number, got {text!r} in --space") from None
    if not parameter.holds(value):
        raise SpaceError(f"{parameter.name} must be {parameter.rule}, got {value:g} in --space")
    return value
