"""The grammar of `--space` and `--compare`: read and written here alone.

Comma-separated parameters, each by name (`w1`), as levels (`label_frac=0.01/0.1/1`) or as a range
(`w1=0.01..0.5`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.parameters import PARAMETERS, Parameter, Value, value_text


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

    parameter: Parameter
    levels: tuple[Value, ...] | None = None
    """Ascending; None for a range."""
    low: float = 0.0
    high: float = 0.0

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.parameter.name

    @property
    def domain(self) -> str:
        """Its levels or range as the option would spell them: `0/0.1`, `0.01..0.5`."""
        if self.levels is not None:
            return "/".join(map(value_text, self.levels))
        return f"{value_text(self.low)}..{value_text(self.high)}"

    @property
    def text(self) -> str:
        """As the option would spell it, with nothing left to a default."""
        return f"{self.name}={self.domain}"

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values for which a rule that ties parameters together is checked."""
        if self.levels is None:
            return (self.low, self.high)
        return (
            self.levels[:: max(1, len(self.levels) - 1)]
            if self.parameter.is_number
            else self.levels
        )


def parse_space(text: str, parameters: Mapping[str, Parameter] = PARAMETERS) -> tuple[Varied, ...]:
    """Read `--space`, with nothing left to a default.

    Args:
        text: As written.
        parameters: What can be named.

    Raises:
        SpaceError: For an unknown or repeated name, a value outside its domain, a range of a
            factor, or an empty text.
    """
    return _parse(text, parameters, "--space")


def parse_compare(
    text: str, parameters: Mapping[str, Parameter] = PARAMETERS
) -> tuple[Varied, ...]:
    """Read `--compare`: parameters whose levels become variants.

    Args:
        text: As written; blank for none.
        parameters: What can be named.

    Raises:
        SpaceError: As `parse_space`, for a range, and for `label_frac`, whose levels are the axis
            of the curves.
    """
    if not text.strip():
        return ()
    compared = _parse(text, parameters, "--compare")
    for one in compared:
        if one.name == "label_frac":
            raise SpaceError(
                "label_frac must be given in --space, got it in --compare: it is the axis of the "
                "curves, not a variant"
            )
        if one.levels is None or len(one.levels) < 2:
            raise SpaceError(
                f"{one.name} must be given as two levels or more in --compare, got {one.text!r}; "
                f"write --compare {one.name}=A/B"
            )
    return compared


def _parse(text: str, parameters: Mapping[str, Parameter], option: str) -> tuple[Varied, ...]:
    varied = tuple(_checked(written, parameters, option) for written in split_space(text))
    names = [one.name for one in varied]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"{option} must name each parameter once, got {name!r} twice")
    return varied


def _checked(written: Written, parameters: Mapping[str, Parameter], option: str) -> Varied:
    name = written.name
    if name not in parameters:
        raise SpaceError(
            f"{option} must name parameters among {', '.join(parameters)}, got {name!r}"
        )
    parameter = parameters[name]
    if written.ends:
        return _range(parameter, written.ends, option)
    if not written.levels:
        if parameter.levels:
            return Varied(parameter=parameter, levels=parameter.levels)
        assert parameter.low is not None
        assert parameter.high is not None
        return Varied(parameter=parameter, low=parameter.low, high=parameter.high)
    levels = tuple(_value(parameter, level, option) for level in written.levels)
    if len(set(levels)) < len(levels):
        shown = "/".join(written.levels)
        raise SpaceError(f"levels of {name} must differ, got {shown!r} in {option}")
    return Varied(parameter=parameter, levels=tuple(sorted(levels)))


def _range(parameter: Parameter, ends: tuple[str, ...], option: str) -> Varied:
    shown = "..".join(ends)
    if parameter.is_factor or not parameter.is_number:
        raise SpaceError(
            f"{parameter.name} must be given as levels, got the range {shown!r} in {option}; "
            f"write {parameter.name}={'/'.join(map(value_text, parameter.levels))}"
        )
    if len(ends) != 2:
        raise SpaceError(f"a range must be LOW..HIGH, got {shown!r} in {option}")
    low, high = (float(_value(parameter, end, option)) for end in ends)
    if parameter.log and not 0 < low < high:
        raise SpaceError(
            f"range of {parameter.name} must have 0 < low < high (it is searched on a "
            f"logarithmic scale), got {shown!r} in {option}"
        )
    if not low < high:
        raise SpaceError(
            f"range of {parameter.name} must have low < high, got {shown!r} in {option}"
        )
    if parameter.kind == "integer":
        low, high = int(low), int(high)
    return Varied(parameter=parameter, low=low, high=high)


def _value(parameter: Parameter, text: str, option: str) -> Value:
    try:
        return parameter.read(text)
    except ValueError as error:
        raise SpaceError(f"{error} in {option}") from None
