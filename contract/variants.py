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
    controls: Mapping[str, str] = field(default_factory=dict)
    """Variants that differ from it in an effect alone, which they lack, by name of the effect."""
    is_control: bool = False
    """Whether an effect is switched off in it."""
    num_changed: int = 0
    """Its levels that are not the value that the study has where nothing is compared."""

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


def make_variants(
    methods: Sequence[Method],
    factors: Sequence[Varied],
    usual: Mapping[str, Value] | None = None,
) -> tuple[Variant, ...]:
    """Every method at every combination of the levels that it has, baselines first.

    Args:
        methods: In the order of the study.
        factors: What is compared besides methods, each with its levels.
        usual: Value of each factor where nothing is compared, by parameter; None: not known.

    Returns:
        In the order of rows, legends and colours.
    """
    found = []
    for method in sorted(methods, key=lambda one: not one.is_baseline):
        own = [one for one in factors if method.has(one.parameter)]
        for levels in itertools.product(*(one.levels or () for one in own)):
            chosen = dict(zip((one.name for one in own), levels, strict=True))
            effects = [one for one in own if one.parameter.effect]
            found.append(
                Variant(
                    name=_variant_name(method, own, levels),
                    label=method.label + "".join(map(_label, own, levels)),
                    short_label=method.label + "".join(map(_short_label, own, levels)),
                    method=method.name,
                    is_baseline=method.is_baseline,
                    levels=chosen,
                    controls={
                        one.parameter.effect: _variant_name(
                            method, own, [*({**chosen, one.name: zero}.values())]
                        )
                        for one in effects
                        if chosen[one.name] != 0
                        for zero in one.levels or ()
                        if zero == 0
                    },
                    is_control=any(chosen[one.name] == 0 for one in effects),
                    num_changed=sum(
                        level != (usual or chosen).get(name, level)
                        for name, level in chosen.items()
                    ),
                )
            )
    return tuple(found)


def variant_pairs(variants: Sequence[Variant]) -> tuple[tuple[str, str], ...]:
    """The (variant, reference) whose difference is tested, in the order of the variants.

    A variant of another method is compared with the baselines that have the same level of each
    factor that both have, and so are variants of other methods with each other; variants of one
    method are compared with each other, whatever they differ in. What has an effect is compared
    with its control, never the other way round.

    Returns:
        First what a reader asks first. Those against a baseline, of variants without a switched-off
        effect, the one that changes the fewest levels of the study in front; then each of these
        against its control; controls against a baseline; all others. Of two others, the earlier is
        minuend.
    """
    baselines = [one for one in variants if one.is_baseline]
    others = [one for one in variants if not one.is_baseline]
    pairs = [(one, base) for one in others for base in baselines if _is_fair(one, base)]
    pairs += [
        (second, first) if first.name in second.controls.values() else (first, second)
        for group in (others, baselines)
        for first, second in itertools.combinations(group, 2)
        if first.method == second.method or _is_fair(first, second)
    ]
    pairs.sort(key=lambda pair: (_place(*pair), pair[0].num_changed))
    return tuple((one.name, reference.name) for one, reference in pairs)


def effect_between(variant: Variant, reference: Variant) -> str:
    """The effect that a variant has and its reference, otherwise the same, lacks; "" for others."""
    named = (name for name, control in variant.controls.items() if control == reference.name)
    return next(named, "")


def _place(variant: Variant, reference: Variant) -> int:
    """What a reader asks first, second, third and last."""
    if reference.is_baseline and not variant.is_baseline:
        return 2 if variant.is_control else 0
    return 1 if effect_between(variant, reference) else 3


def _is_fair(first: Variant, second: Variant) -> bool:
    return all(
        second.levels[name] == level
        for name, level in first.levels.items()
        if name in second.levels
    )


def _variant_name(method: Method, factors: Sequence[Varied], levels: Sequence[Value]) -> str:
    return "-".join([method.name, *map(_name, factors, levels)])


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
