"""What a study compares and what it varies, as its record says; older records say less."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from contract.methods import METHODS, Method
from contract.parameters import PARAMETERS, SEARCHED, Kind, Parameter, Value, value_text
from contract.space import Varied, Written, split_space
from contract.variants import Variant, make_variants

Role = Literal["searched", "compared", "unrecorded"]
"""What a parameter is in a study: tuned inside arms, a factor whose levels are variants, or, where
a record has no space, whatever its search trials say."""
AXIS = "label_frac"
"""The factor that every study has: the axis of its curves, neither searched nor a variant."""


class StudyDataError(ValueError):
    """A record in MLflow is not as `run_study.py` writes it."""


@dataclass(frozen=True, kw_only=True)
class StudyParameter:
    """A parameter that a study varies, or that its tables have in any case."""

    name: str
    label: str
    """How a chart names it."""
    kind: Kind = "float"
    log: bool = False
    """Whether a range of it is searched and drawn on a logarithmic scale."""
    lowest: float = -math.inf
    """What it can be at all, whatever the study searched."""
    highest: float = math.inf
    role: Role = "unrecorded"
    domain: str = ""
    """What follows `NAME=` in `--space`; "" where that is not on record."""
    unannotated: tuple[str, ...] | None = None
    """Uses of unannotated pixels that have it; None for all."""
    methods: tuple[str, ...] | None = None
    """Names of the methods that have it; None where `unannotated` says so."""

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("float", "integer")

    def is_of(self, method: str, methods: Mapping[str, Method]) -> bool:
        """Whether a method has it; of a method that nobody knows, what it logged counts.

        Args:
            method: Its name.
            methods: What is known of methods, by name.
        """
        if self.methods is not None:
            return method in self.methods
        known = methods.get(method)
        return known is None or self.unannotated is None or known.unannotated in self.unannotated

    def read(self, text: str) -> float | str:
        """A value as it stands in tables: a number, or text (`yes` and `no` of a truth value).

        Raises:
            ValueError: If it is no such value; one line.
        """
        if self.kind == "choice":
            return text
        if self.kind == "yes/no":
            words = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
            if text.lower() not in words:
                raise ValueError(f"{self.name} must be yes or no, got {text!r}")
            return words[text.lower()]
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{self.name} must be a number, got {text!r}") from None


def known_parameter(name: str, *, role: Role = "unrecorded", domain: str = "") -> StudyParameter:
    """A row of `contract.parameters` as a study has it.

    Raises:
        KeyError: If there is no such row.
    """
    row = PARAMETERS[name]
    return StudyParameter(
        name=name,
        label=row.label,
        kind=row.kind,
        log=row.log,
        lowest=row.lowest,
        highest=row.highest,
        role=role,
        domain=domain,
        unannotated=row.unannotated,
    )


def recorded_methods(document: Mapping[str, Any], study: str) -> tuple[Method, ...]:
    """The methods that a study compares; one that nobody knows is labelled by its name.

    Args:
        document: `study.yaml`.
        study: Its name, for messages.

    Raises:
        StudyDataError: If an entry has no name.
    """
    if "methods" in document:
        fields = ("name", "label", "network", "unannotated", "is_baseline")
        return tuple(
            Method(**{"label": name, "network": name} | {f: one[f] for f in fields if f in one})
            for name, one in _named(document, "methods", study)
        )
    models = _config(document).get("models")
    return tuple(map(_method, map(str, models))) if isinstance(models, list) else ()


def recorded_variants(
    document: Mapping[str, Any], methods: Sequence[Method], study: str
) -> tuple[Variant, ...]:
    """The variants that a study set out to compare, in the order of rows, legends and colours.

    Args:
        document: `study.yaml`.
        methods: As from `recorded_methods`.
        study: Its name, for messages.

    Returns:
        Empty where neither they nor the space that makes them are on record.

    Raises:
        StudyDataError: If an entry is not as `Variant.to_plain` makes it, or a level of an older
            record breaks its rule.
    """
    if "variants" in document:
        try:
            return tuple(Variant.from_plain(one) for _, one in _named(document, "variants", study))
        except TypeError as error:
            raise StudyDataError(
                f"variants must have the fields of a variant, got {error} in study.yaml of study "
                f"{study}; read it with the version that wrote it"
            ) from error
    space = _config(document).get("space")
    if not isinstance(space, str):
        return ()
    factors = []
    for part in split_space(space):
        row = PARAMETERS.get(part.name)
        if row is not None and row.is_factor and part.name != AXIS:
            factors.append(Varied(parameter=row, levels=_levels(row, part, study)))
    return make_variants(methods, factors)


def tried_variants(
    tried: Iterable[tuple[str, str]], known: Sequence[Variant] = ()
) -> tuple[Variant, ...]:
    """The variants of a study together with those that only its trials name.

    Args:
        tried: Variant and method of every trial.
        known: Those on record.

    Returns:
        Those on record, then others, baselines first: those that the contract can name, in its
        order, then by name, labelled so.

    Raises:
        StudyDataError: If trials of a variant are of another method than it.
    """
    pairs = dict.fromkeys(tried)
    factors = [
        Varied(parameter=row, levels=row.levels)
        for row in PARAMETERS.values()
        if row.is_factor and row.name != AXIS
    ]
    nameable = [
        variant
        for size in range(len(factors) + 1)
        for some in itertools.combinations(factors, size)
        for variant in make_variants(list(METHODS.values()), some)
    ]
    named = {one.name: one for one in nameable} | {one.name: one for one in known}
    for variant, method in pairs:
        if variant in named and named[variant].method != method:
            raise StudyDataError(
                f"model must be that of variant {variant}, {named[variant].method!r}, got "
                f"{method!r} in its trials"
            )
    recorded = {one.name for one in known}
    missing = {variant: method for variant, method in pairs if variant not in recorded}
    made = {name: one for name, one in named.items() if name in missing}
    made |= {
        name: Variant(
            name=name,
            label=name,
            short_label=name,
            method=method,
            is_baseline=method in METHODS and METHODS[method].is_baseline,
        )
        for name, method in sorted(missing.items())
        if name not in made
    }
    return (*known, *sorted(made.values(), key=lambda one: not one.is_baseline))


def recorded_parameters(document: Mapping[str, Any], study: str) -> tuple[StudyParameter, ...]:
    """What a study varies besides the annotation fraction.

    Args:
        document: `study.yaml`.
        study: Its name, for messages.

    Returns:
        In the order of the record; of an older one, in the order of the contract, then of the
        space. Where no space is on record: all that can be searched, "unrecorded".

    Raises:
        StudyDataError: If an entry has no name, an unknown kind or an unknown role.
    """
    if "parameters" in document:
        found = [
            _parameter(name, one, study) for name, one in _named(document, "parameters", study)
        ]
        return tuple(one for one in found if one.name != AXIS)
    space = _config(document).get("space")
    if not isinstance(space, str):
        return tuple(known_parameter(name) for name in SEARCHED)
    order = list(PARAMETERS)
    parts = sorted(
        (part for part in split_space(space) if part.name not in ("", AXIS)),
        key=lambda part: order.index(part.name) if part.name in order else len(order),
    )
    return tuple(_written(part) for part in parts)


def _written(part: Written) -> StudyParameter:
    domain = "..".join(part.ends) or "/".join(part.levels)
    row = PARAMETERS.get(part.name)
    if row is not None:
        role: Role = "compared" if row.is_factor else "searched"
        return known_parameter(part.name, role=role, domain=domain)
    kind: Kind = "float" if all(map(is_number, (*part.ends, *part.levels))) else "choice"
    return StudyParameter(
        name=part.name, label=part.name, kind=kind, role="searched", domain=domain
    )


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _parameter(name: str, entry: Mapping[str, Any], study: str) -> StudyParameter:
    kind, role = entry.get("kind", "float"), entry.get("role", "searched")
    for field, value, allowed in (("kind", kind, Kind), ("role", role, Role)):
        if value not in get_args(allowed):
            raise StudyDataError(
                f"{field} of parameter {name} must be one of {list(get_args(allowed))}, got "
                f"{value!r} in study.yaml of study {study}"
            )
    row = PARAMETERS.get(name)  # records of an earlier version do not say what it can be
    lowest, highest = (-math.inf, math.inf) if row is None else (row.lowest, row.highest)
    return StudyParameter(
        name=name,
        label=str(entry.get("label", name)),
        kind=kind,
        log=bool(entry.get("log", False)),
        lowest=lowest if entry.get("lowest") is None else float(entry["lowest"]),
        highest=highest if entry.get("highest") is None else float(entry["highest"]),
        role=role,
        domain=str(entry.get("domain") or ""),
        unannotated=_names(entry.get("unannotated")),
        methods=_names(entry.get("methods")),
    )


def _names(value: Collection[object] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(map(str, value))


def _named(
    document: Mapping[str, Any], key: str, study: str
) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries of a list of the record with their names."""
    entries = document[key] or ()
    for one in entries:
        if not isinstance(one, Mapping) or not one.get("name"):
            raise StudyDataError(
                f"{key} must have a name each, got {one!r} in study.yaml of study {study}"
            )
    return [(str(one["name"]), one) for one in entries]


def _config(document: Mapping[str, Any]) -> Mapping[str, Any]:
    config = document.get("config")
    return config if isinstance(config, Mapping) else {}


def _method(name: str) -> Method:
    return METHODS.get(name) or Method(name=name, label=name, network=name)


def _levels(row: Parameter, part: Written, study: str) -> tuple[Value, ...]:
    try:
        read = {row.read(level) for level in part.levels}
    except ValueError as error:
        raise StudyDataError(f"{error} in the space of study {study}") from None
    return tuple(sorted(read, key=value_text)) if read else row.levels
