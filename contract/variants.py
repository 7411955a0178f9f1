"""Variants: a method with the levels of the factors that a study compares, named and labelled."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from contract.methods import Method
from contract.parameters import Value, value_text
from contract.space import Varied


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A method with the levels of the factors that a study compares; what has a curve."""

    name: str
    """Unique in a study, and the begin of the names of its arms: `NAME`, `NAME-w1-0.1`."""
    label: str
    """The name that a reader sees: `U-REC, w1 0.1`."""
    short_label: str
    """The same for a terminal, where a line has 100 columns."""
    method: str
    """Name of the method."""
    is_baseline: bool = False
    """Whether the variants of other methods are compared with it."""
    levels: Mapping[str, Value] = field(default_factory=dict)
    """Value of each factor that it has, by parameter; empty where the study compares methods."""

    def to_plain(self) -> dict[str, Any]:
        """Plain data, for the record of a study."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Variant:
        """Inverse of `to_plain`.

        Raises:
            TypeError: If a field is missing or unknown.
        """
        return cls(**plain)


def make_variants(methods: Sequence[Method], factors: Sequence[Varied]) -> tuple[Variant, ...]:
    """Every method at every combination of the levels that it has, baselines first.

    Args:
        methods: In the order of the study.
        factors: What is compared besides methods, each with its levels.

    Returns:
        In the order of rows, legends and colours.
    """
    found = []
    for method in sorted(methods, key=lambda one: not one.is_baseline):
        own = [one for one in factors if method.has(one.parameter)]
        for levels in itertools.product(*(one.levels or () for one in own)):
            chosen = dict(zip((one.name for one in own), levels, strict=True))
            found.append(
                Variant(
                    name="-".join([method.name, *map(_name, own, levels)]),
                    label=method.label + "".join(map(_label, own, levels)),
                    short_label=method.label + "".join(map(_short_label, own, levels)),
                    method=method.name,
                    is_baseline=method.is_baseline,
                    levels=chosen,
                )
            )
    return tuple(found)


def variant_pairs(variants: Sequence[Variant]) -> tuple[tuple[str, str], ...]:
    """The (variant, reference) whose difference is tested, in the order of the variants.

    A variant of another method is compared with the baselines that have the same level of each
    factor that both have, and so are variants of other methods with each other; variants of one
    method are compared with each other, whatever they differ in.

    Returns:
        Those against a baseline first; of two others, the earlier is minuend.
    """
    baselines = [one for one in variants if one.is_baseline]
    others = [one for one in variants if not one.is_baseline]
    pairs = [(one, base) for one in others for base in baselines if _is_fair(one, base)]
    pairs += [
        (first, second)
        for group in (others, baselines)
        for first, second in itertools.combinations(group, 2)
        if first.method == second.method or _is_fair(first, second)
    ]
    return tuple((one.name, reference.name) for one, reference in pairs)


def _is_fair(first: Variant, second: Variant) -> bool:
    return all(
        second.levels[name] == level
        for name, level in first.levels.items()
        if name in second.levels
    )


def _name(factor: Varied, level: Value) -> str:
    text = value_text(level)
    # Labelled levels say by themselves what they are: `NAME-annotated`.
    return text if factor.parameter.level_labels else f"{factor.name}-{text}"


def _label(factor: Varied, level: Value) -> str:
    said = factor.parameter.level_labels.get(str(level))
    return f", {factor.name} {value_text(level)}" if said is None else f" ({said})"


def _short_label(factor: Varied, level: Value) -> str:
    said = factor.parameter.level_labels.get(str(level))
    return f", {factor.name} {value_text(level)}" if said is None else f" ({level})"
