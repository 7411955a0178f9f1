"""What a study leaves in MLflow: the words, the shapes, and the checks on reading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analysis.reading.budgets import BudgetInfo, EqualBudgets, parse_budgets, parse_equal
from analysis.reading.compared import (
    StudyDataError,
    StudyParameter,
    recorded_methods,
    recorded_parameters,
    recorded_variants,
)
from contract.methods import Method
from contract.mlflow_store.logins import without_login
from contract.names import OPEN_STATUSES, SELECT_SCORES, STUDY_STATUSES
from contract.protocol.looks import Look, read_looks
from contract.protocol.power import LEVEL
from contract.variants import Variant

__all__ = ["StudyDataError", "StudyInfo", "parse_study"]

EXPORT_SUFFIX = ".parquet"
"""A name that ends so is a file, not a study in MLflow."""


@dataclass(frozen=True, kw_only=True)
class ClassInfo:
    """One class of the dataset."""

    name: str
    color: str | None = None
    """'#RRGGBB', None where the dataset gives none."""


@dataclass(frozen=True, kw_only=True)
class StudyInfo:
    """What is known of a study apart from its trials."""

    name: str
    status: str
    """One of STUDY_STATUSES."""
    classes: tuple[ClassInfo, ...] = ()
    exclude_from_mean: tuple[str, ...] = ()
    budgets: tuple[BudgetInfo, ...] = ()
    """In the order of seeds and fractions; empty where they are not recorded."""
    val_budgets: tuple[BudgetInfo, ...] = ()
    """Those of the validation tiles; empty where all of their labels counted."""
    equal_budgets: tuple[EqualBudgets, ...] = ()
    """Fractions asked that are one arm, or should have been."""
    num_seeds_asked: int | None = None
    """Confirmation repeats per arm in the configuration; None where it is not recorded."""
    select_by: str = "mean_f1"
    """One of SELECT_SCORES: the validation score that chose each arm's setting."""
    num_failed: int | None = None
    """Failed trials as the study counted them at its end; None where it is not recorded."""

    document: Mapping[str, Any] = field(default_factory=dict)
    """study.yaml as written: config, dataset, provenance; empty where there is none."""

    @property
    def has_ended(self) -> bool:
        """Whether all trials of the study were begun and waited for."""
        return self.status not in OPEN_STATUSES

    @property
    def search_seeds(self) -> tuple[int, ...]:
        """Seeds of the search; empty where they are not recorded."""
        search = self.document.get("search")
        seeds = search.get("seeds") if isinstance(search, Mapping) else None
        if isinstance(seeds, list):
            return tuple(one for one in seeds if isinstance(one, int))
        seed = (self.document.get("config") or {}).get("seed")
        return (seed,) if isinstance(seed, int) else ()

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """What is compared, as from `compared.recorded_methods`."""
        return recorded_methods(self.document, self.name)

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """Looks on record; one at the end where there are none, () where no seeds are recorded.

        Raises:
            StudyDataError: If they are damaged.
        """
        listed = self.document.get("looks")
        if listed is None:
            seeds = self.num_seeds_asked
            return () if not seeds else (Look(seeds=seeds, level=LEVEL),)
        try:
            return read_looks(listed)
        except ValueError as error:
            raise StudyDataError(f"{error} in study.yaml of study {self.name}") from None

    @cached_property
    def similar_studies(self) -> tuple[str, ...]:
        """Names of other studies of the same data, methods and fractions that were on record."""
        listed = self.document.get("similar_studies")
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Those asked for, as from `compared.recorded_variants`; trials may name others."""
        return recorded_variants(self.document, self.methods, self.name)

    @cached_property
    def parameters(self) -> tuple[StudyParameter, ...]:
        """What varies, as from `compared.recorded_parameters`."""
        return recorded_parameters(self.document, self.name)


def parse_study(
    document: Mapping[str, Any], *, name: str, status: str, num_failed: str | None = None
) -> StudyInfo:
    """Types the parts of `study.yaml` that the analysis needs; the rest stays as it is.

    Args:
        document: {config, dataset, provenance}, or {} where the study wrote none.
        name: The study's name.
        status: Its status tag.
        num_failed: Its tag of that name; None without one.

    Raises:
        StudyDataError: If status, select_by or num_failed break their rule, a class has no name,
            or what is compared or varied cannot be read.
    """
    if status not in STUDY_STATUSES:
        raise StudyDataError(
            f"status must be one of {list(STUDY_STATUSES)}, got {status!r} in study {name}"
        )
    if num_failed is not None and not num_failed.isdecimal():
        raise StudyDataError(
            f"num_failed must be a whole number >= 0, got {num_failed!r} in study {name}"
        )
    dataset = document.get("dataset") or {}
    config = document.get("config") or {}
    classes = []
    for entry in dataset.get("classes") or ():
        if not isinstance(entry, Mapping) or "name" not in entry:
            raise StudyDataError(
                f"classes must have a name each, got {entry!r} in study.yaml of study {name}"
            )
        color = entry.get("color")
        classes.append(ClassInfo(name=str(entry["name"]), color=_checked_color(color, name)))
    budgets = parse_budgets(document, "budgets", name)
    info = StudyInfo(
        name=name,
        status=status,
        classes=tuple(classes),
        exclude_from_mean=tuple(str(c) for c in dataset.get("exclude_from_mean") or ()),
        budgets=budgets,
        val_budgets=parse_budgets(document, "val_budgets", name),
        equal_budgets=parse_equal(document, budgets, name),
        num_seeds_asked=_last_number(config.get("seeds")),
        select_by=_checked_select_by(config.get("select_by", "mean_f1"), name),
        num_failed=None if num_failed is None else int(num_failed),
        document=_without_credentials(document),
    )
    _ = (
        info.variants,
        info.parameters,
        info.looks,
    )  # refused here rather than by whoever asks first
    return info


def _last_number(seeds: object) -> int | None:
    """Seeds asked for in all, where `seeds` is their number or those of several looks."""
    last = seeds[-1] if isinstance(seeds, list) and seeds else seeds
    return last if isinstance(last, int) else None


def _without_credentials(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same without logins in the addresses of its configuration."""
    config = document.get("config")
    if not isinstance(config, Mapping):
        return dict(document)
    shown = {
        name: without_login(value)
        if name in ("tracking_uri", "storage", "address") and isinstance(value, str)
        else value
        for name, value in config.items()
    }
    return {**document, "config": shown}


def _checked_select_by(score: object, study: str) -> str:
    if score not in SELECT_SCORES:
        raise StudyDataError(
            f"select_by must be one of {list(SELECT_SCORES)}, got {score!r} in study.yaml of "
            f"study {study}"
        )
    return str(score)


def _checked_color(color: object, study: str) -> str | None:
    if color is None:
        return None
    text = str(color)
    digits = text.removeprefix("#")
    if len(text) != 7 or len(digits) != 6 or set(digits) - set("0123456789abcdefABCDEF"):
        raise StudyDataError(
            f"color must be '#RRGGBB', got {color!r} in study.yaml of study {study}"
        )
    return text.upper()
