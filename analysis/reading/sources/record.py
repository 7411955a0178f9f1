"""One study as the analysis sees it, wherever it was read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import TYPE_CHECKING, TypeVar

from analysis.reading.compared import StudyDataError, StudyParameter, tried_variants
from analysis.reading.confusion import TrialConfusion
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.artifacts import read_artifact
from analysis.reading.study_times import StudyTimes
from analysis.reading.styles import Styles, arms_of, styles_of
from analysis.reading.trials import BASIC
from contract.methods import METHODS, Method

if TYPE_CHECKING:
    import pandas as pd

_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """Everything that MLflow, or a file exported from it, holds of one study.

    Raises:
        StudyDataError: If trials of a variant are of another method than it.
    """

    info: StudyInfo
    trials: pd.DataFrame
    """One row per trial, columns as in `trials.trial_columns`, rows in order of trial_key."""
    confusions: Mapping[str, TrialConfusion]
    """By trial_key; only finished confirmation trials have one."""
    failures: Mapping[str, str]
    """By trial_key of the failed trials: the last line of the traceback, '' without one."""
    notes: tuple[str, ...]
    """What was found and left out, in words for a reader."""
    tracking_uri: str
    """The store; of an exported study, the one that it was exported from."""
    run_id: str = ""
    """The study's own run."""
    artifact_uri: str = ""
    """Folder of the artifacts of that run."""
    times: StudyTimes | None = None
    """Around its trials; None where it was not profiled, or was killed then."""
    is_exported: bool = False
    """Whether it was read from an exported file: then it has no artifacts."""

    def __post_init__(self) -> None:
        _ = self.styles

    @cached_property
    def styles(self) -> Styles:
        """Every variant on record or in a trial, in order, with its label and style."""
        tried = zip(self.trials["variant"], self.trials["model"], strict=True)
        return styles_of(tried_variants(tried, self.info.variants), self.info.methods)

    @property
    def arms(self) -> list[tuple[float, str]]:
        """The (label_frac, variant) of all trials, by label_frac, then in the order of variants."""
        tried = zip(self.trials["label_frac"], self.trials["variant"], strict=True)
        return arms_of(tried, self.styles)

    @cached_property
    def searched(self) -> tuple[StudyParameter, ...]:
        """The parameters that were tuned inside arms.

        Without a space on record, one that differs between the search trials of an arm.
        """
        trials = self.trials[self.trials["phase"] == "search"]
        tried = [one.name for one in self.info.parameters if one.name in trials.columns]
        most = trials.groupby(["variant", "label_frac"])[tried].nunique().max()
        return tuple(
            replace(one, role="searched")
            for one in self.info.parameters
            if one.role == "searched" or (one.role == "unrecorded" and most.get(one.name, 0) > 1)
        )

    @cached_property
    def methods(self) -> Mapping[str, Method]:
        """What is known of methods, by name: those on record before those of the contract."""
        return METHODS | {one.name: one for one in self.info.methods}

    @property
    def settings(self) -> tuple[StudyParameter, ...]:
        """The parameters that tables of arms have: `w1`, `lr`, and what else was searched."""
        fixed = [one for one in BASIC if one.name in ("w1", "lr")]
        by_name = {one.name: one for one in (*fixed, *self.searched)}
        return tuple(by_name.values())

    @property
    def shown_settings(self) -> tuple[str, ...]:
        """Names of those of them that some method of the study has."""
        tried = {style.variant.method for style in self.styles.values()}
        return tuple(
            one.name for one in self.settings if any(one.is_of(n, self.methods) for n in tried)
        )

    def study_artifact(self, name: str) -> bytes | None:
        """One artifact of the study's own run; None if it has no such file, or was exported."""
        if self.is_exported or not self.run_id:
            return None
        return read_artifact(self.tracking_uri, self.run_id, self.artifact_uri, name)

    def artifact(self, trial_key: str, name: str) -> bytes | None:
        """One artifact of a trial; None if it has no such file, or the study was exported.

        Raises:
            KeyError: If the study has no such trial.
        """
        rows = self.trials[self.trials["trial_key"] == trial_key]
        if rows.empty:
            raise KeyError(trial_key)
        if self.is_exported:
            return None
        run_id, uri = rows[["run_id", "artifact_uri"]].iloc[0]
        return read_artifact(self.tracking_uri, str(run_id), str(uri), name)


def once_per_record(find: Callable[[StudyRecord], _Found]) -> Callable[[StudyRecord], _Found]:
    """Decorates what many parts of a report ask of a record: found once, and kept with it.

    What it returns is not to be changed by those who ask.
    """
    name = f"{find.__module__}.{find.__qualname__}"

    @wraps(find)
    def found(record: StudyRecord) -> _Found:
        kept = vars(record)  # as cached_property keeps its values
        if name not in kept:
            kept[name] = find(record)
        result: _Found = kept[name]
        return result

    return found


def check_same_classes(confusions: Mapping[str, TrialConfusion]) -> None:
    """Refuses confusion matrices that cannot stand in one table.

    Raises:
        StudyDataError: If classes or exclude_from_mean differ between trials.
    """
    layouts = {(c.classes, c.exclude_from_mean) for c in confusions.values()}
    if len(layouts) > 1:
        raise StudyDataError(
            "classes and exclude_from_mean must be the same in all trials of a study, got "
            f"{sorted(layouts)!r}; trials of two data sets cannot share a study name"
        )
