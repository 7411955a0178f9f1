"""What a search could choose from: the levels or the range of each hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.reading.schema import StudyDataError
from contract.parameters import SEARCHED
from contract.space import split_space

if TYPE_CHECKING:
    from analysis.reading.sources.record import StudyRecord


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Values that a hyperparameter can take in a study."""

    name: str
    """One of SEARCHED."""
    levels: tuple[float, ...] = ()
    """Ascending; empty for a range."""
    low: float = math.nan
    """Ends of a range, searched on a logarithmic scale; NaN for levels, and where the study names
    the parameter without saying its range."""
    high: float = math.nan

    @property
    def is_known(self) -> bool:
        """Whether the record of the study says which values were possible."""
        return bool(self.levels) or not math.isnan(self.low)

    def position(self, value: float) -> float:
        """Where a value lies in a range, on its logarithmic scale: 0 at the low end, 1 at the high.

        Minus infinity for a value of 0 or below.
        """
        if value <= 0.0:
            return -math.inf
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> tuple[float, ...]:
        """Ends of a range, and the powers of ten inside that leave room for their labels."""
        low, high = math.log10(self.low), math.log10(self.high)
        room = 0.2 * (high - low)
        exponents = range(math.ceil(low), math.floor(high) + 1)
        inside = [10.0**e for e in exponents if low + room < e < high - room]
        return (self.low, *inside, self.high)

    def covering(self, values: Iterable[float]) -> Domain:
        """The domain, widened where values lie outside of it.

        Values of 0 or below have no place on a logarithmic scale: with one of them, the values
        stand as levels.

        Args:
            values: Of trials; NaN for those without the parameter. Not all may be NaN where the
                domain is not known.
        """
        tried = sorted({float(value) for value in values if not math.isnan(value)})
        if self.levels or (tried and tried[0] <= 0.0):
            return Domain(name=self.name, levels=tuple(sorted({*self.levels, *tried})))
        ends = [*tried, *(end for end in (self.low, self.high) if not math.isnan(end))]
        low, high = min(ends), max(ends)
        if low == high:
            low, high = low / 1.1, high * 1.1
        return Domain(name=self.name, low=low, high=high)


def parse_domains(space: str, study: str) -> tuple[Domain, ...]:
    """The hyperparameters of a resolved space; factors, whose levels are arms, are passed over.

    Args:
        space: Such as "w1=0.01..0.5,lr=0.001/0.01,label_frac=0.01/0.1/1". A name alone gives a
            domain that is not known.
        study: Its name, for messages.

    Returns:
        In the order of SEARCHED.

    Raises:
        StudyDataError: If a level or an end is not a number, or a range breaks 0 < low < high.
    """
    domains = {}
    for part in split_space(space):
        if part.name not in SEARCHED:
            continue
        if part.ends:
            ends = [_number(end, part.name, study) for end in part.ends]
            if len(ends) != 2 or not 0.0 < ends[0] < ends[1]:
                raise StudyDataError(
                    f"range of {part.name} must be LOW..HIGH with 0 < low < high, got "
                    f"{'..'.join(part.ends)!r} in the space of study {study}"
                )
            domains[part.name] = Domain(name=part.name, low=ends[0], high=ends[1])
        else:
            levels = {_number(level, part.name, study) for level in part.levels}
            domains[part.name] = Domain(name=part.name, levels=tuple(sorted(levels)))
    return tuple(domains[name] for name in SEARCHED if name in domains)


def searched_domains(record: StudyRecord) -> tuple[Domain, ...]:
    """What the study searched.

    Without a space on record, a hyperparameter counts as searched where it differs between the
    search trials of an arm; its domain is then not known.

    Returns:
        In the order of SEARCHED; empty where nothing was searched.

    Raises:
        StudyDataError: As in `parse_domains`.
    """
    config = record.info.document.get("config")
    space = config.get("space") if isinstance(config, dict) else None
    if isinstance(space, str):
        return parse_domains(space, record.info.name)
    searched = record.trials[record.trials["phase"] == "search"]
    varies = searched.groupby(["variant", "label_frac"])[list(SEARCHED)].nunique() > 1
    return tuple(Domain(name=name) for name in SEARCHED if bool(varies[name].any()))


def _number(text: str, name: str, study: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StudyDataError(
            f"{name} must be a number, got {text.strip()!r} in the space of study {study}"
        )
    return value
