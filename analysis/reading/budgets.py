"""The annotation budgets that `study.yaml` records, and which fractions are one and the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.reading.compared import StudyDataError
from contract.names import named_fraction


@dataclass(frozen=True, kw_only=True)
class BudgetInfo:
    """One annotation budget, as `study.yaml` records it."""

    seed: int
    label_frac: float
    """Annotated / labelled pixels asked for."""
    order: str = "random"
    """Which units come first; variants may have different orders."""
    reached_frac: float
    """Annotated / labelled pixels of the budget."""
    empty_classes: tuple[str, ...]
    """Classes without one annotated pixel."""
    exceeds: bool
    """Whether the smallest unit alone exceeds what was asked for."""


@dataclass(frozen=True, kw_only=True)
class EqualBudgets:
    """Fractions asked that have the same budget for every confirmation seed."""

    asked: tuple[float, ...]
    """Ascending, two or more."""
    kept: float
    """The one of them that stands for all."""

    @property
    def left_out(self) -> tuple[float, ...]:
        """Those of them for which the kept one stands."""
        return tuple(frac for frac in self.asked if frac != self.kept)


def parse_budgets(document: Mapping[str, Any], key: str, study: str) -> tuple[BudgetInfo, ...]:
    """The budgets under `budgets` or `val_budgets`; none where they are not recorded.

    Raises:
        StudyDataError: If one has no seed or no fractions.
    """
    return tuple(_parse_budget(entry, study) for entry in document.get(key) or ())


def parse_equal(
    document: Mapping[str, Any], budgets: tuple[BudgetInfo, ...], study: str
) -> tuple[EqualBudgets, ...]:
    """Which fractions are one arm; of studies that did not look, by what their budgets reached.

    Budgets of one seed contain each other, so that those of equal size are the same.

    Raises:
        StudyDataError: If what is recorded cannot be read.
    """
    if "equal_budgets" not in document:
        return _found_equal(document, budgets)
    try:
        return tuple(
            EqualBudgets(asked=tuple(map(float, one["asked"])), kept=float(one["kept"]))
            for one in document["equal_budgets"] or ()
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StudyDataError(
            f"equal_budgets must have fractions asked and kept, got {document['equal_budgets']!r} "
            f"in study.yaml of study {study}"
        ) from error


def _found_equal(
    document: Mapping[str, Any], budgets: tuple[BudgetInfo, ...]
) -> tuple[EqualBudgets, ...]:
    search_seed = (document.get("config") or {}).get("seed")
    reached: dict[float, dict[int, float]] = {}
    for one in budgets:
        if one.seed != search_seed:
            reached.setdefault(one.label_frac, {})[one.seed] = one.reached_frac
    groups: dict[frozenset[tuple[int, float]], list[float]] = {}
    for frac in sorted(reached):
        groups.setdefault(frozenset(reached[frac].items()), []).append(frac)
    return tuple(
        EqualBudgets(
            asked=tuple(asked), kept=named_fraction(asked, [share for _, share in sorted(same)])
        )
        for same, asked in groups.items()
        if len(asked) > 1
    )


def _parse_budget(entry: Mapping[str, Any], study: str) -> BudgetInfo:
    try:
        return BudgetInfo(
            seed=int(entry["seed"]),
            label_frac=float(entry["fraction_asked"]),
            order=str(entry.get("order", "random")),
            reached_frac=float(entry["fraction_reached"]),
            empty_classes=tuple(map(str, entry.get("classes_without_annotation") or ())),
            exceeds=bool(entry.get("exceeds_asked", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StudyDataError(
            f"budgets must have a seed and fractions, got {entry!r} in study.yaml of study {study}"
        ) from error
