"""The annotation budgets of a study: who draws what, and which fractions are one and the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from contract.names import named_fraction
from contract.wording import listed, minutes_text
from study.design.arms import Arm, confirm_seeds, search_seeds
from study.design.preflight import StudyData
from study.settings.config import StudyConfig
from trainables.data.budgets.annotation import (
    Budget,
    Split,
    draw_budget,
    listed_budget,
    unit_moments,
)
from trainables.data.budgets.effort import effort_of, minutes_of
from trainables.data.budgets.lists import TileLists, read_lists
from trainables.data.budgets.pixel_set import PixelSet, count_labelled
from trainables.errors import ConfigError, DataError

Drawn: TypeAlias = tuple[Budget, PixelSet]
"""Manifest and annotated pixels of a budget."""


@dataclass(frozen=True, kw_only=True)
class EqualFractions:
    """Fractions asked whose budgets are the same for every confirmation seed: they are one arm."""

    asked: tuple[float, ...]
    """Ascending, two or more."""
    kept: float
    """The one of them that the arm is named by, as from `contract.names.named_fraction`."""

    def to_plain(self) -> dict[str, Any]:
        """As it stands in `study.yaml`."""
        return {"asked": list(self.asked), "kept": self.kept}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> EqualFractions:
        """Inverse of `to_plain`."""
        return cls(asked=tuple(map(float, plain["asked"])), kept=float(plain["kept"]))


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """All budgets of a study."""

    train: Mapping[tuple[int, float, str], Drawn]
    """By seed, fraction asked and order of units (`StudyConfig.budget_orders`)."""
    val: Mapping[tuple[int, float], Drawn]
    """Budgets of the validation tiles by seed and fraction, in random order whatever that of the
    training tiles is; there are none where all of their labels count."""
    equal: tuple[EqualFractions, ...]
    """Fractions that are one arm."""
    confirm_seeds: tuple[int, ...]
    """Seeds that the report speaks of; those of the search are drawn too."""
    val_labelled_px: int
    """Pixels of the validation tiles whose class is known."""
    minutes: Mapping[tuple[int, float, str], float] = field(default_factory=dict)
    """Minutes that annotating takes, by the keys of `train`; none where a study has no prices."""

    @property
    def fractions(self) -> tuple[float, ...]:
        """Fractions asked that have an arm, ascending."""
        return tuple(sorted({fraction for _, fraction, _ in self.train}))

    @property
    def orders(self) -> tuple[str, ...]:
        """Orders of units in which there are budgets."""
        return tuple(dict.fromkeys(order for _, _, order in self.train))

    def all(self) -> Iterable[Drawn]:
        """Those of the training tiles, then those of the validation tiles."""
        return (*self.train.values(), *self.val.values())

    def confirmed(self, fraction: float) -> tuple[Budget, ...]:
        """Budgets of the training tiles, by confirmation seed and order of units."""
        return tuple(
            self.train[seed, fraction, order][0]
            for seed in self.confirm_seeds
            for order in self.orders
        )

    def reached(self, fraction: float) -> tuple[float, ...]:
        """Annotated / labelled pixels of the training tiles, by confirmation seed and order."""
        return tuple(budget.fraction_reached for budget in self.confirmed(fraction))

    def reached_with_val(self, fraction: float, val_fraction: float | None) -> tuple[float, ...]:
        """The same of training and validation tiles together.

        Args:
            fraction: Asked of the training tiles.
            val_fraction: Asked of the validation tiles; None for all of their labels.
        """
        shares = []
        for budget in self.confirmed(fraction):
            val_px = self.val_labelled_px
            if val_fraction is not None:
                val_px = self.val[budget.seed, val_fraction][0].annotated_px
            labelled_px = budget.labelled_px + self.val_labelled_px
            shares.append((budget.annotated_px + val_px) / labelled_px)
        return tuple(shares)


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
    lists = None
    if config.budget_lists is not None:
        lists = read_lists(
            config.budget_lists,
            data.tiles["train"],
            unlabelled=tuple(data.spec.unlabelled),
            seeds=seeds,
            fractions=asked,
        )
    train = {
        (seed, fraction, order): drawn
        for order in config.budget_orders
        for (seed, fraction), drawn in (
            _draw_all(config, data, "train", seeds, asked, order)
            if lists is None
            else _listed(config, data, lists)
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
    tiles, unit, num_classes = data.tiles[split], config.unit_in(order), len(data.spec.classes)
    moments = unit_moments(tiles, unit, num_classes)
    return {
        (seed, fraction): draw_budget(
            tiles,
            fraction=fraction,
            seed=seed,
            unit=unit,
            num_classes=num_classes,
            smallest=fractions[0],
            split=split,
            moments=moments,
        )
        for seed in seeds
        for fraction in fractions
    }


def _listed(
    config: StudyConfig, data: StudyData, lists: TileLists
) -> dict[tuple[int, float], Drawn]:
    """The budgets of published lists, by seed and fraction."""
    return {
        (seed, fraction): listed_budget(
            data.tiles["train"],
            names,
            fraction=fraction,
            seed=seed,
            num_classes=len(data.spec.classes),
            smallest=config.fractions[0],
        )
        for (seed, fraction), names in lists.items()
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
        f"{_why_equal(budgets)}; choose a smaller unit{_smaller_unit(config)}, or larger fractions"
    )


def _smaller_unit(config: StudyConfig) -> str:
    """The option that makes the unit smaller, where there is one."""
    match config.budget_unit:
        case "tile":
            return " (--budget-unit block)"
        case "block":
            return " (a smaller budget_px, or --budget-unit area or point)"
        case _:
            return " (a smaller budget_px)"


def _why_equal(budgets: Sequence[Budget]) -> str:
    """Why different fractions gave these budgets, of every seed: the unit is too large."""
    kind = budgets[0].unit.kind
    nums = sorted({one.num_units for one in budgets})
    units = f"{_span(nums, 'd')} {kind}{'s' if nums != [1] else ''}"
    return (
        f"with every seed {units}, {percents([one.fraction_reached for one in budgets])} of the "
        f"training annotations, since {_too_large(kind)} to tell them apart"
    )


def _too_large(kind: str) -> str:
    """What cannot be made finer, in words; an area grows by cells."""
    return "a cell of an area is too large" if kind == "area" else f"a {kind} is too large"


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


def equal_notes(budgets: Budgets) -> list[str]:
    """Which fractions are one arm, and which are the same for some seeds alone."""
    said = []
    for one in budgets.equal:
        same = budgets.confirmed(one.kept)
        said.append(
            f"label_frac {'/'.join(f'{asked:g}' for asked in one.asked)} are one arm, named "
            f"{one.kept:g}: {_why_equal(same)}"
        )
    fractions = budgets.fractions
    for low, high in itertools.pairwise(fractions):
        shared = [
            seed
            for seed in budgets.confirm_seeds
            if all(
                budgets.train[seed, low, order][0].pixels_checksum
                == budgets.train[seed, high, order][0].pixels_checksum
                for order in budgets.orders
            )
        ]
        if shared:
            unit = budgets.confirmed(low)[0].unit.kind
            said.append(
                f"label_frac {low:g} and {high:g} are the same budget with "
                f"{len(shared)} of {len(budgets.confirm_seeds)} seeds "
                f"({', '.join(map(str, shared))}), since {_too_large(unit)} to tell them apart "
                "there; the report uses what each seed reached"
            )
    return said


def missing_class_lines(budgets: Budgets, class_names: Sequence[str]) -> list[str]:
    """Which classes have no annotated pixel, a line for each fraction where one has none.

    Args:
        budgets: Of the study; those of the search's seeds count too.
        class_names: In the order of the masks.
    """
    said = []
    for what, drawn in (("label_frac", budgets.train), ("validation budget", budgets.val)):
        alike: dict[tuple[float, str], list[Budget]] = {}
        for budget, _ in drawn.values():
            alike.setdefault((budget.fraction_asked, budget.unit.order), []).append(budget)
        for (fraction, order), of_seeds in sorted(alike.items()):
            missing: dict[int, list[int]] = {}
            for budget in of_seeds:
                for index in budget.empty_classes:
                    missing.setdefault(index, []).append(budget.seed)
            parts = [
                f"{class_names[index]} ({_seeds_text(seeds, len(of_seeds))})"
                for index, seeds in sorted(missing.items())
            ]
            if parts:
                where = f"{what} {fraction:g}" + ("" if order == "random" else f" in {order} order")
                said.append(f"{where} has no annotated pixel of {listed(parts)}")
    return said


def _seeds_text(seeds: Sequence[int], num_all: int) -> str:
    if len(seeds) == num_all:
        return "with any seed"
    return f"with seed{'s' if len(seeds) > 1 else ''} {listed([str(seed) for seed in seeds])}"


def share_lines(config: StudyConfig, budgets: Budgets) -> list[str]:
    """What each fraction costs in annotations, without and with validation."""
    lines = [_validation_line(config, budgets)]
    for fraction in budgets.fractions:
        alone = percents(budgets.reached(fraction))
        together = percents(budgets.reached_with_val(fraction, config.val_fraction(fraction)))
        lines.append(
            f"  label_frac {fraction:g}: {alone} of the training annotations, {together} of all "
            "with validation" + _minutes_text(budgets, fraction)
        )
    return lines


def _minutes_text(budgets: Budgets, fraction: float) -> str:
    """What the budgets of a fraction take, where there are prices."""
    if not budgets.minutes:
        return ""
    minutes = [
        budgets.minutes[seed, fraction, order]
        for seed in budgets.confirm_seeds
        for order in budgets.orders
    ]
    ends = " to ".join(dict.fromkeys(map(minutes_text, (min(minutes), max(minutes)))))
    return f", {ends} minutes of annotation"


def _validation_line(config: StudyConfig, budgets: Budgets) -> str:
    """What `--val-frac` means here."""
    labelled_px = next(iter(budgets.train.values()))[0].labelled_px + budgets.val_labelled_px
    part = percents([budgets.val_labelled_px / labelled_px])
    if config.val_frac == "all":
        return (
            f"annotations: every label of the validation tiles counts at every fraction "
            f"(--val-frac all), {part} of all; test tiles are never counted"
        )
    drawn = f"drawn in {config.budget_unit}s like those of training; test tiles are never counted"
    if config.val_frac == "same":
        return (
            f"annotations: weights and settings are chosen by the arm's own fraction of the "
            f"validation tiles (--val-frac same), {drawn}"
        )
    reached = percents(
        [budget.fraction_reached for (seed, _), (budget, _) in budgets.val.items()
         if seed in budgets.confirm_seeds]
    )  # fmt: skip
    return (
        f"annotations: weights and settings are chosen by {reached} of the validation tiles' "
        f"labels at every fraction (--val-frac {config.val_frac:g}), {drawn}"
    )


def percents(shares: Sequence[float]) -> str:
    """A share, or the lowest to the highest of several, such as `0.53 to 1 %`."""
    return f"{_span([100 * one for one in shares], '.3g')} %"


def _span(values: Sequence[float], digits: str) -> str:
    low, high = f"{min(values):{digits}}", f"{max(values):{digits}}"
    return low if low == high else f"{low} to {high}"
