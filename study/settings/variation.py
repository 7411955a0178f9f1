"""What a study compares and what varies in it: methods, their parameters, rules between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from contract.methods import METHODS, Method
from contract.parameters import PARAMETERS, Parameter, Value, value_text
from contract.space import SpaceError, Varied
from trainables.errors import ConfigError
from trainables.settings.config import TrainingConfig, training_fields


@cache
def find_methods(names: tuple[str, ...]) -> tuple[Method, ...]:
    """The methods that `--models` names: rows of `METHODS`, also with encoders, or a person's own.

    Raises:
        ConfigError: If a name is unknown, or an encoder or a network of one's own cannot be used.
    """
    found = []
    for name in names:
        if ":" in name:
            from trainables.networks.own import find_method  # imports torch, and a person's code

            found.append(find_method(name))
        elif name in METHODS:
            found.append(METHODS[name])
        else:
            raise ConfigError(
                f"--models must be one of {', '.join(METHODS)}, got {name!r}; a network of your "
                "own is package.module:factory, one with a pretrained encoder METHOD:ENCODER"
            )
    return tuple(_named_apart(found, names))


def _named_apart(found: Sequence[Method], texts: Sequence[str]) -> Iterator[Method]:
    """The same methods, of which those with encoders of one last word are named by two."""
    names = [one.name for one in found]
    for method, text in zip(found, texts, strict=True):
        if method.encoder is None or names.count(method.name) == 1:
            yield method
        else:
            from trainables.networks.own import find_method

            yield find_method(text, num_words=2)


def find_parameters(methods: Sequence[Method]) -> dict[str, Parameter]:
    """What can vary by name: the rows of `contract.parameters`, and what only these methods have.

    Raises:
        ConfigError: If two methods mean different parameters by one name.
    """
    found = dict(PARAMETERS)
    for method in methods:
        for one in method.parameters:
            if found.setdefault(one.name, one) != one:
                raise ConfigError(
                    f"parameters of different methods must have different names, got {one.name!r} "
                    f"of {method.name} and of another in --models; rename one"
                )
    return found


def read_varied(
    parse: Callable[[str, Mapping[str, Parameter]], tuple[Varied, ...]],
    text: str,
    parameters: Mapping[str, Parameter],
) -> tuple[Varied, ...]:
    """What `parse_space` or `parse_compare` reads, with its error as every option's."""
    try:
        return parse(text, parameters)
    except SpaceError as error:
        raise ConfigError(str(error)) from None


def check_varied(
    varied: Sequence[Varied], compared: Sequence[Varied], methods: Sequence[Method]
) -> None:
    """Refuse what no method has, and what is in both options."""
    for option, some in (("--space", varied), ("--compare", compared)):
        for one in some:
            if not any(method.has(one.parameter) for method in methods):
                raise ConfigError(
                    f"{option} must name parameters that a method of the study has, got "
                    f"{one.name!r}, which is none of {', '.join(one.label for one in methods)}; "
                    "leave it out, or change --models"
                )
    for name in {one.name for one in varied} & {one.name for one in compared}:
        raise ConfigError(
            f"--compare must name other parameters than --space, got {name!r} in both; leave it "
            "out of one"
        )


def check_own_values(
    given: Mapping[str, Value], methods: Sequence[Method], parameters: Mapping[str, Parameter]
) -> None:
    """Refuse values of `method_parameters` that no method reads, or that break their rule."""
    own = [
        one
        for one in parameters.values()
        if one.default is not None and any(method.has(one) for method in methods)
    ]
    rules = {one.name: one for one in own}
    for name, value in given.items():
        if name not in rules:
            raise ConfigError(
                f"method_parameters must name parameters that only a method of the study has "
                f"({', '.join(rules) or 'there is none'}), got {name!r}; leave it out"
            )
        if not rules[name].holds(value):
            raise ConfigError(
                f"{name} must be {rules[name].rule}, got {value!r} in method_parameters"
            )


def with_values(training: TrainingConfig, values: Mapping[str, Value]) -> TrainingConfig:
    """Settings of training with other values of some parameters.

    Values of parameters that are no field of `TrainingConfig` go into `method_parameters`.

    Raises:
        ConfigError: If they break a rule together.
    """
    names = training_fields()
    own = {name: value for name, value in values.items() if name not in names}
    given: dict[str, Any] = {name: value for name, value in values.items() if name in names}
    return replace(training, **given, method_parameters={**training.method_parameters, **own})


def value_of(training: TrainingConfig, parameter: Parameter) -> Value:
    """What settings of training say of a parameter; its default where it is no field of theirs."""
    if parameter.name in training_fields():
        value: Value = getattr(training, parameter.name)
        return float(value) if parameter.kind == "float" else value
    assert parameter.default is not None
    return training.method_parameters.get(parameter.name, parameter.default)


def combine_extremes(
    training: TrainingConfig, varied: Mapping[str, Sequence[Varied]]
) -> tuple[TrainingConfig, ...]:
    """Settings of training at every combination of the ends of what varies.

    Args:
        training: The study's.
        varied: What varies by option; what is no field of `TrainingConfig` has no rule here.

    Raises:
        ConfigError: If one breaks a rule.
    """
    names = training_fields()
    ranges = [(option, one) for option, some in varied.items() for one in some if one.name in names]
    found = []
    for values in itertools.product(*(one.extremes for _, one in ranges)):
        chosen = {one.name: value for (_, one), value in zip(ranges, values, strict=True)}
        try:
            found.append(with_values(training, chosen))
        except ConfigError as error:
            said = ", ".join(
                f"{option} {one.name}={value_text(chosen[one.name])}" for option, one in ranges
            )
            raise ConfigError(f"{error} in {said}; choose values that go together") from None
    return tuple(found)
