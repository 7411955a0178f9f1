"""What a search could choose from: the levels or the range of each hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.reading.compared import StudyDataError, StudyParameter, is_number
from contract.space import split_space

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord

Level = float | str
MAX_WHOLE = 8
"""Whole numbers of a range up to which each of them counts as a level."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Values that a hyperparameter can take in a study."""

    parameter: StudyParameter
    levels: tuple[Level, ...] = ()
    """Numbers ascending, words in the order of the record; empty for a range."""
    low: float = math.nan
    """Ends of a range; NaN for levels, and where the study names the parameter without saying its
    range."""
    high: float = math.nan

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.parameter.name

    @property
    def is_known(self) -> bool:
        """Whether the record of the study says which values were possible."""
        return bool(self.levels) or not math.isnan(self.low)

    def position(self, value: float) -> float:
        """Where a value lies in a range, on its own scale: 0 at the low end, 1 at the high.

        Minus infinity for a value of 0 or below on a logarithmic scale.
        """
        if not self.parameter.log:
            return (value - self.low) / (self.high - self.low)
        if value <= 0.0:
            return -math.inf
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> tuple[float, ...]:
        """Ends of a range, and round numbers inside that leave room for their labels."""
        if not self.parameter.log:
            step = _round_step((self.high - self.low) / 4)
            multiples = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
            inside = [step * number for number in multiples]
        else:
            low, high = math.log10(self.low), math.log10(self.high)
            inside = [10.0**exponent for exponent in range(math.ceil(low), math.floor(high) + 1)]
        inside = [value for value in inside if 0.2 < self.position(value) < 0.8]
        if not inside and self.parameter.kind == "integer" and self.parameter.log:
            inside = [float(round(math.sqrt(self.low * self.high)))]
        return (self.low, *inside, self.high)

    def covering(self, values: Iterable[Level]) -> Domain:
        """The domain, widened where values lie outside of it.

        Values of 0 or below have no place on a logarithmic scale: with one of them, the values
        stand as levels; so do few whole numbers.

        Args:
            values: Of trials, none of them missing; one or more where the domain is not known.
        """
        if not self.parameter.is_number:
            others = sorted({str(value) for value in values} - set(map(str, self.levels)))
            return replace(self, levels=(*self.levels, *others))
        tried = sorted({float(value) for value in values})
        if self.levels or (self.parameter.log and tried and tried[0] <= 0.0):
            levels = sorted({*map(float, self.levels), *tried})
            return Domain(parameter=self.parameter, levels=tuple(levels))
        ends = [*tried, *(end for end in (self.low, self.high) if not math.isnan(end))]
        low, high = min(ends), max(ends)
        if self.parameter.kind == "integer" and high - low < MAX_WHOLE:
            whole = range(math.floor(low), math.ceil(high) + 1)
            return Domain(parameter=self.parameter, levels=tuple(map(float, whole)))
        if low == high:
            low, high = low - (abs(low) or 1.0) / 11, high + (abs(high) or 1.0) / 10
        return Domain(parameter=self.parameter, low=low, high=high)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, … and their tenths that is not below a length."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def domain_of(parameter: StudyParameter, study: str) -> Domain:
    """What can be chosen of a hyperparameter, as its record spells it.

    Args:
        parameter: Without a domain on record, the domain is not known.
        study: The study's name, for messages.

    Raises:
        StudyDataError: If a level or an end is not a number where it must be, or the ends of a
            range are not ascending.
    """
    name = parameter.name
    (part,) = split_space(f"{name}={parameter.domain}") if parameter.domain else split_space(name)
    if part.ends:
        lowest = 0.0 if parameter.log else -math.inf
        ends = [_number(end, name, study) for end in part.ends] if parameter.is_number else []
        if len(ends) != 2 or not lowest < ends[0] < ends[1]:
            raise StudyDataError(
                f"range of {name} must be LOW..HIGH with {'0 < ' * parameter.log}low < high, got "
                f"{parameter.domain!r} in the space of study {study}"
            )
        return Domain(parameter=parameter, low=ends[0], high=ends[1])
    if parameter.is_number:
        numbers = sorted({_number(level, name, study) for level in part.levels})
        return Domain(parameter=parameter, levels=tuple(numbers))
    try:
        words = [parameter.read(level) for level in part.levels]
    except ValueError as error:
        raise StudyDataError(f"{error} in the space of study {study}") from None
    return Domain(parameter=parameter, levels=tuple(dict.fromkeys(words)))


def searched_domains(record: StudyRecord) -> tuple[Domain, ...]:
    """What the study searched; the domain of what only its trials name is not known.

    Returns:
        In the order of the record, without what has but one level; empty where nothing was
        searched.

    Raises:
        StudyDataError: As in `domain_of`.
    """
    found = (domain_of(one, record.info.name) for one in record.searched)
    return tuple(one for one in found if len(one.levels) != 1)


def _number(text: str, name: str, study: str) -> float:
    if not is_number(text):
        raise StudyDataError(
            f"{name} must be a number, got {text.strip()!r} in the space of study {study}"
        )
    return float(text)
