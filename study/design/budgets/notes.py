"""What a person must know of the budgets: shares, minutes, fractions alike, classes missing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from contract.wording import listed, minutes_text
from study.design.arms import num_trials, plan_arms
from study.design.budgets.shares import percents, why_alike, why_equal
from study.design.budgets.study_budgets import Budgets
from study.settings.config import StudyConfig
from trainables.data.budgets.annotation import Budget


def equal_notes(budgets: Budgets) -> list[str]:
    """Which fractions are one arm, and which are the same for some seeds alone."""
    said = []
    for one in budgets.equal:
        same = budgets.confirmed(one.kept)
        said.append(
            f"label_frac {'/'.join(f'{asked:g}' for asked in one.asked)} are one arm, named "
            f"{one.kept:g}: {why_equal(same)}"
        )
    fractions = budgets.fractions
    for (low, high), order in itertools.product(itertools.pairwise(fractions), budgets.orders):
        shared = [
            seed
            for seed in budgets.confirm_seeds
            if budgets.train[seed, low, order][0].pixels_checksum
            == budgets.train[seed, high, order][0].pixels_checksum
        ]
        if shared:
            why = why_alike(budgets.confirmed(low)[0])
            where = f" in {order} order" * (len(budgets.orders) > 1)
            said.append(
                f"label_frac {low:g} and {high:g} are the same budget{where} with "
                f"{len(shared)} of {len(budgets.confirm_seeds)} seeds "
                f"({', '.join(map(str, shared))}), since {why} there; the report uses what each "
                "seed reached"
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
        lines += _repeated(config, budgets, fraction)
    return lines


def _repeated(config: StudyConfig, budgets: Budgets, fraction: float) -> list[str]:
    """That orders of units take the same pixels, as they must where they take all; and its cost."""
    first, *others = budgets.orders
    seeds = {seed for seed, _, _ in budgets.train}
    pixels = {
        order: [budgets.train[seed, fraction, order][0].pixels_checksum for seed in seeds]
        for order in budgets.orders
    }
    same = [order for order in others if pixels[order] == pixels[first]]
    if not same:
        return []
    arms = tuple(
        arm
        for arm in plan_arms(config)
        if arm.label_frac == fraction and arm.variant.levels["budget_order"] in same
    )
    return [
        f"  label_frac {fraction:g}: {listed([first, *same])} order take the same pixels with "
        f"every seed, so {num_trials(config, arms)} of the trials repeat others, and the orders "
        "differ by chance alone there"
    ]


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
