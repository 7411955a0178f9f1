"""Draws the annotation budgets of a study, and finds which fractions are one arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contract.names import named_fraction
from study.design.arms import Arm, confirm_seeds, search_seeds
from study.design.budgets.shares import why_equal
from study.design.budgets.study_budgets import Budgets, Drawn, EqualFractions
from study.design.preflight import StudyData
from study.settings.config import StudyConfig
from trainables.data.budgets.annotation import Budget, Split
from trainables.data.budgets.drawing import HeldUnits, listed_budget
from trainables.data.budgets.drawing import draw_budgets as draw_split
from trainables.data.budgets.effort import effort_of, minutes_of
from trainables.data.budgets.lists import read_lists
from trainables.data.budgets.pixel_set import count_labelled
from trainables.errors import ConfigError, DataError


def draw_budgets(
    config: StudyConfig, data: StudyData, earlier: Mapping[str, Any] | None = None
) -> Budgets:
    """Draw every budget of a study.

    Args:
        config: The study.
        data: Its data set.
        earlier: Content of its `study.yaml` where it has begun: which fractions are one arm
            stays as it was, also where more seeds would tell them apart.

    Raises:
        ConfigError: If all of several fractions have the same budget, so that nothing is left to
            compare; as in `lists.read_lists` and `effort.minutes_of`.
        DataError: If a validation budget defines no score.
    """
    seeds, asked = (*search_seeds(config), *confirm_seeds(config)), config.fractions
    train = {
        (seed, fraction, order): drawn
        for order in config.budget_orders
        for (seed, fraction), drawn in (
            _draw_all(config, data, "train", seeds, asked, order)
            if config.budget_lists is None
            else _listed(config, data, config.budget_lists, seeds)
        ).items()
    }
    if earlier is None:
        equal = _find_equal(train, asked, confirm_seeds(config))
        _require_two(config, train, equal)
    else:
        equal = tuple(map(EqualFractions.from_plain, earlier.get("equal_budgets", ())))
    kept = distinct_fractions(asked, equal)
    wanted = sorted({one for one in map(config.val_fraction, kept) if one is not None})
    val = _draw_all(config, data, "val", seeds, wanted, "random")
    _require_scores(config, data, [budget for budget, _ in val.values()])
    train = {key: drawn for key, drawn in train.items() if key[1] in kept}
    return Budgets(
        train=train,
        val=val,
        equal=equal,
        confirm_seeds=confirm_seeds(config),
        val_labelled_px=count_labelled(data.tiles["val"]),
        minutes=_minutes(config, data, train),
    )


def distinct_fractions(
    asked: Iterable[float], equal: Iterable[EqualFractions]
) -> tuple[float, ...]:
    """Those of the fractions asked that have an arm, in their order."""
    left_out = {fraction for one in equal for fraction in one.asked if fraction != one.kept}
    return tuple(fraction for fraction in asked if fraction not in left_out)


def distinct_arms(arms: Sequence[Arm], budgets: Budgets) -> tuple[Arm, ...]:
    """The arms whose budget no other one has."""
    return tuple(arm for arm in arms if arm.label_frac in budgets.fractions)


def _draw_all(
    config: StudyConfig,
    data: StudyData,
    split: Split,
    seeds: Sequence[int],
    fractions: Sequence[float],
    order: str,
) -> dict[tuple[int, float], Drawn]:
    """The budgets of a split by seed and fraction, which ascend, in one order of units."""
    if not fractions:
        return {}
    tiles, unit, num_classes = data.tiles[split], config.unit_in(order), len(data.spec.classes)
    held = HeldUnits.find(tiles, unit, num_classes)
    return {
        (seed, fraction): drawn
        for seed in dict.fromkeys(seeds)
        for fraction, drawn in zip(
            fractions,
            draw_split(
                tiles,
                fractions=fractions,
                seed=seed,
                unit=unit,
                num_classes=num_classes,
                smallest=fractions[0],
                split=split,
                held=held,
            ),
            strict=True,
        )
    }


def _listed(
    config: StudyConfig,
    data: StudyData,
    given: str | Mapping[float, str],
    seeds: Sequence[int],
) -> dict[tuple[int, float], Drawn]:
    """The budgets of published lists, by seed and fraction."""
    tiles, unit, num_classes = data.tiles["train"], config.unit, len(data.spec.classes)
    held = HeldUnits.find(tiles, unit, num_classes)
    known = held.places
    if unit.kind == "tile":  # one without a labelled pixel may stand in a list
        known = tuple((name, 0, 0) for name in tiles.names if name not in data.unlabelled)
    lists = read_lists(
        given,
        known,
        kind="tile" if unit.kind == "tile" else "block",
        seeds=seeds,
        fractions=config.fractions,
    )
    return {
        (seed, fraction): listed_budget(
            tiles,
            places,
            unit=unit,
            fraction=fraction,
            seed=seed,
            num_classes=num_classes,
            smallest=config.fractions[0],
            held=held,
        )
        for (seed, fraction), places in lists.items()
    }


def _minutes(
    config: StudyConfig, data: StudyData, train: Mapping[tuple[int, float, str], Drawn]
) -> dict[tuple[int, float, str], float]:
    """What annotating takes by the prices of the study; none where there are no prices."""
    if config.cost is None:
        return {}
    gsd_m = data.spec.gsd_m
    pixel_m = None if gsd_m is None else gsd_m * config.training.downsample
    return {
        key: minutes_of(effort_of(data.tiles["train"], pixels, budget.unit), config.cost, pixel_m)
        for key, (budget, pixels) in train.items()
    }


def _find_equal(
    drawn: Mapping[tuple[int, float, str], Drawn], asked: Sequence[float], seeds: Sequence[int]
) -> tuple[EqualFractions, ...]:
    orders = dict.fromkeys(order for _, _, order in drawn)
    groups: dict[tuple[str, ...], list[float]] = {}
    for fraction in asked:
        same = tuple(
            drawn[seed, fraction, order][0].pixels_checksum for seed in seeds for order in orders
        )
        groups.setdefault(same, []).append(fraction)
    return tuple(
        EqualFractions(
            asked=tuple(group),
            kept=named_fraction(
                group,
                [
                    drawn[seed, group[0], order][0].fraction_reached
                    for seed in seeds
                    for order in orders
                ],
            ),
        )
        for group in groups.values()
        if len(group) > 1
    )


def _require_two(
    config: StudyConfig,
    drawn: Mapping[tuple[int, float, str], Drawn],
    equal: Sequence[EqualFractions],
) -> None:
    """Refuse several fractions that are all one and the same budget."""
    if not equal or len(distinct_fractions(config.fractions, equal)) > 1:
        return
    budgets = [
        drawn[seed, config.fractions[0], order][0]
        for seed in confirm_seeds(config)
        for order in config.budget_orders
    ]
    raise ConfigError(
        f"label_frac must have two fractions of different budgets at least, got "
        f"{'/'.join(f'{one:g}' for one in config.fractions)}, which are one and the same: "
        f"{why_equal(budgets)}; {_how_to_differ(config)}"
    )


def _how_to_differ(config: StudyConfig) -> str:
    """What makes the budgets of two fractions different."""
    if config.budget_lists is not None:
        return f"list more {config.budget_unit}s for the larger one, or leave one out of --space"
    match config.budget_unit:
        case "tile":
            option = "--budget-unit block"
        case "block":
            option = "a smaller budget_px, or --budget-unit area or point"
        case _:
            option = "a smaller budget_px"
    return f"choose a smaller unit ({option}), or larger fractions"


def _require_scores(config: StudyConfig, data: StudyData, budgets: Iterable[Budget]) -> None:
    """Refuse validation budgets without a pixel of a class that the selecting mean counts."""
    names = [one.name for one in data.spec.classes]
    left_out = () if config.training.select_by == "oa" else data.spec.exclude_from_mean
    for budget in budgets:
        if not any(px for name, px in zip(names, budget.class_px, strict=True)
                   if name not in left_out):  # fmt: skip
            raise DataError(
                f"--val-frac must give validation pixels of a class that counts in "
                f"{config.training.select_by}, got {budget.annotated_px} pixels of "
                f"{', '.join(left_out)} alone with seed {budget.seed} at "
                f"{budget.fraction_asked:g}; raise it"
            )
