"""All budgets of a study, and which fractions of it are one and the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trainables.data.budgets.annotation import Budget
from trainables.data.budgets.pixel_set import PixelSet

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
