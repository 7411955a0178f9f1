"""The grammar of `--space` and `--compare`: read and written here alone.

Comma-separated parameters, each by name (`w1`), as levels (`label_frac=0.01/0.1/1`) or as a range
(`w1=0.01..0.5`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    _refuse_commas(text, parameters, option)
    _refuse_percent(text, parameters, option)
    varied = tuple(_checked(written, parameters, option) for written in split_space(text))
    names = [one.name for one in varied]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"{option} must name each parameter once, got {name!r} twice")
    return varied


def _refuse_commas(text: str, parameters: Mapping[str, Parameter], option: str) -> None:
    """Refuse commas between levels, or in numbers, with the text that was meant.

    Raises:
        SpaceError: If a part has no name of its own and is a level of the parameter before it.
    """
    groups: list[list[str]] = []
    for part in text.split(","):
        name, _, domain = groups[-1][0].partition("=") if groups else ("", "", "")
        parameter = parameters.get(name.strip())
        if parameter is not None and domain.strip() and _are_levels(part, parameter):
            groups[-1].append(part.strip())
        else:
            groups.append([part])
    if any(len(group) > 1 for group in groups):
        meant = ",".join(_without_commas(group, parameters) for group in groups)
        raise SpaceError(
            f"levels must be separated by slashes, got {text!r} in {option}; write {option} {meant}"
        )


def _refuse_percent(text: str, parameters: Mapping[str, Parameter], option: str) -> None:
    """Refuse fractions in percent, with the text that was meant.

    Raises:
        SpaceError: If the levels of a fraction are above 1 or have a percent sign, and all could
            be percent.
    """
    parts = text.split(",")
    meant = [_with_fractions(part, parameters) for part in parts]
    for part, fractions in zip(parts, meant, strict=True):
        if part != fractions:
            name, _, domain = (piece.strip() for piece in part.partition("="))
            raise SpaceError(
                f"{name} must be {parameters[name].rule}, got {domain!r} in {option}, which is "
                f"percent; write {option} {','.join(meant)}"
            )


def _are_levels(text: str, parameter: Parameter) -> bool:
    """Whether a text without a name is levels of a parameter rather than another parameter."""
    levels = [level.strip() for level in text.replace("..", "/").split("/")]
    if parameter.is_number:
        return all(_number(level) is not None for level in levels)
    return all(level in map(value_text, parameter.levels) for level in levels)


def _without_commas(group: Sequence[str], parameters: Mapping[str, Parameter]) -> str:
    """A parameter and its levels with slashes between them; commas of numbers become points."""
    slashed = _with_fractions("/".join(group), parameters)
    pointed = ".".join(group)
    if _is_sound(pointed, parameters) and not _is_sound(slashed, parameters):
        return pointed
    return slashed


def _is_sound(part: str, parameters: Mapping[str, Parameter]) -> bool:
    try:
        (written,) = split_space(part)
        _checked(written, parameters, "")
    except SpaceError:
        return False
    return True


def _with_fractions(part: str, parameters: Mapping[str, Parameter]) -> str:
    """The levels of a fraction that are given in percent, as fractions; anything else as it is."""
    name, equals, domain = part.partition("=")
    parameter = parameters.get(name.strip())
    is_share = parameter is not None and parameter.is_factor and parameter.highest == 1
    if not (equals and is_share):
        return part
    levels = [level.strip() for level in domain.split("/")]
    numbers = [number for number in map(_number, levels) if number is not None]
    is_percent = any(number > 1 for number in numbers) or any("%" in level for level in levels)
    if len(numbers) < len(levels) or not is_percent or not all(0 < one <= 100 for one in numbers):
        return part
    return f"{name}={'/'.join(f'{one / 100:.12g}' for one in numbers)}"


def _number(text: str) -> float | None:
    """The number that a text is, with a percent sign or without; None for other texts."""
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        return None


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
