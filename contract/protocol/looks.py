"""Looks: after how many seeds the findings of a study are read, and what each may spend.

A study that is read again and again finds differences where there are none: each reading is another
chance to err. So the looks are planned before the first trial, and share one level among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from contract.protocol.power import LEVEL, fewest_seeds
from contract.wording import listed

_MOST_NAMES: Final = 9
"""Studies that a sentence names."""
_ROUNDING: Final = 1e-12
"""Slack for sums of levels, which binary floating point rounds."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One reading of the findings, when so many seeds of every arm have ended."""

    seeds: int
    """Confirmation seeds per arm: the first so many of the study."""
    level: float
    """What tests at this look may spend of LEVEL; 0 makes it no look at findings at all."""
    is_planned: bool = True
    """Whether it was fixed before the study's first trial."""
    added: str = ""
    """When it was asked for (ISO 8601, UTC), where it was not planned."""
    after: int = 0
    """Seeds per arm that the study had been asked for until then; 0 where it was planned."""

    def to_plain(self) -> dict[str, Any]:
        """As `study.yaml` holds it; what only an unplanned look has is left out of planned ones."""
        plain = asdict(self)
        if self.is_planned:
            del plain["added"], plain["after"]
        return plain

    @classmethod
    def from_plain(cls, plain: object) -> Look:
        """As `to_plain` gave it.

        Raises:
            ValueError: If it is anything else.
        """
        try:
            if not isinstance(plain, Mapping):
                raise TypeError
            look = cls(**{str(name): value for name, value in plain.items()})
            is_sound = (
                look.seeds >= 1
                and int(look.seeds) == look.seeds
                and 0.0 <= look.level <= LEVEL
                and isinstance(look.is_planned, bool)
            )
        except TypeError:
            is_sound = False
        if not is_sound:
            raise ValueError(
                f"looks must have seeds from 1 on and a level from 0 to {LEVEL}, got {plain!r}"
            )
        return look


def read_looks(plain: object) -> tuple[Look, ...]:
    """The looks of a study as `study.yaml` holds them.

    Raises:
        ValueError: If they are no list of looks, do not ascend, or spend more than LEVEL together.
    """
    if not isinstance(plain, list) or not plain:
        raise ValueError(f"looks must be a list of one at least, got {plain!r}")
    looks = tuple(Look.from_plain(one) for one in plain)
    seeds = [look.seeds for look in looks]
    if seeds != sorted(set(seeds)):
        raise ValueError(f"looks must have seeds that ascend, got {seeds}")
    levels = [look.level for look in looks]
    if not 0.0 < sum(levels) <= LEVEL + _ROUNDING:
        raise ValueError(
            f"looks must have levels whose sum is above 0 and at most {LEVEL}, got {levels}"
        )
    return looks


def spent(share: float, level: float = LEVEL) -> float:
    """What all looks until then may have spent together: level * ln(1 + (e - 1) * share).

    The spending function of Lan and DeMets (1983) that resembles Pocock's boundaries: at any share
    it gives more than that share of the level, so that early looks are worth their while. Its
    increments between looks are used one by one, after Bonferroni: whatever the looks have in
    common, they err together with chance `level` at most.

    Args:
        share: Seeds of the look over those of the last one, in [0, 1].
        level: To be spent in all.
    """
    return level * math.log(1.0 + (math.e - 1.0) * share)


def plan_looks(seeds: Sequence[int], level: float = LEVEL) -> tuple[Look, ...]:
    """Looks after so many seeds, with the levels that they may spend.

    A look that could show nothing, whatever the scores, spends nothing and leaves its part to the
    next one. The number of seeds decides that, not what came out.

    Args:
        seeds: Per arm, ascending; the last are all that the study has.
        level: To be spent in all; the levels sum to it.
    """
    looks: list[Look] = []
    for num in seeds:
        so_far = sum(look.level for look in looks)
        if num == seeds[-1]:
            looks.append(Look(seeds=num, level=level - so_far))
            continue
        increment = spent(num / seeds[-1], level) - so_far
        looks.append(Look(seeds=num, level=increment if can_show(num, increment) else 0.0))
    return tuple(looks)


def can_show(seeds: int, level: float) -> bool:
    """Whether a sign-flip test of so many pairs can reach a level, before any correction."""
    return level > 0.0 and seeds >= fewest_seeds(level)


def extend(looks: Sequence[Look], seeds: Sequence[int], when: str) -> tuple[Look, ...]:
    """Add looks that were not planned.

    Whoever asks for more seeds after a reading that could have shown a difference gives chance
    another chance, so the new seeds may spend nothing: they count in means, and findings stay those
    of the looks before. Where no reading so far could have shown anything, nothing was spent, and
    the new looks share the whole level.

    Args:
        looks: Those on record, at least one.
        seeds: Per arm at the new looks, ascending, more than those of the last on record.
        when: ISO 8601, UTC.

    Returns:
        Those on record (with level 0 where they could show nothing), then the new ones.
    """
    has_spent = any(can_show(look.seeds, look.level) for look in looks)
    known = looks if has_spent else [replace(look, level=0.0) for look in looks]
    added = [
        replace(
            look,
            level=0.0 if has_spent else look.level,
            is_planned=False,
            added=when,
            after=looks[-1].seeds,
        )
        for look in plan_looks(seeds)
    ]
    return (*known, *added)


def next_tested(look: Look, looks: Sequence[Look]) -> Look | None:
    """The first of the looks after one whose tests may spend something; None where there is none.

    The seeds of a look that spends nothing count in findings from there on.
    """
    return next((one for one in looks if one.seeds > look.seeds and one.level > 0.0), None)


def looks_text(looks: Sequence[Look]) -> str:
    """Such as `looks at 8 and 14 seeds, which may spend 0.034 and 0.016 of the level 0.05`."""
    numbers = listed([f"{look.seeds}" for look in looks])
    levels = listed([level_text(look.level) for look in looks])
    what = "a look" if len(looks) == 1 else "looks"
    return f"{what} at {numbers} seeds, which may spend {levels} of the level {LEVEL:g}"


def repeated_text(names: Sequence[str], name: str) -> str:
    """What other studies of the same data, methods and fractions mean for the findings of one.

    Args:
        names: Of the others.
        name: Of the study itself: one of the others with this name was begun before it.

    Returns:
        A text without a full stop; "" where there are none.
    """
    if not names:
        return ""
    others = [f"an earlier {one}" if one == name else one for one in names]
    shown = [*others[:_MOST_NAMES], f"{len(others) - _MOST_NAMES} more"][: len(others)]
    what = "other study" if len(names) == 1 else "other studies"
    be = "is" if len(names) == 1 else "are"
    return (
        f"{len(names)} {what} of the same data, methods and fractions {be} on record "
        f"({', '.join(shown)}); a finding of the best of several is not at its level"
    )


def level_text(level: float) -> str:
    """A level with two digits that count: `0.05`, `0.0085`, `0`."""
    return f"{level:.2g}"
