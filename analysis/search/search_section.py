"""All that the page says and shows of the search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analysis.charts.inline import Download, download
from analysis.search.arm_importances import (
    NOTE,
    ArmImportances,
    arm_importances,
    importances_csv,
    unsaid,
)
from analysis.search.best_so_far import best_so_far_chart
from analysis.search.borders import border_warnings
from analysis.search.choices import (
    UNKNOWN,
    ArmChoice,
    arm_choices,
    choice_note,
    choices_csv,
)
from analysis.search.isolation import isolation_charts
from analysis.search.search_table import ranked_trials, search_csv, search_results
from analysis.search.suggestions import choice_rule, suggestions
from analysis.statistics.label_efficiency.shares import Shares, shares_on_record
from analysis.wording import counted, listed, setting

if TYPE_CHECKING:
    import pandas as pd

    from analysis.charts.chart import Chart
    from analysis.reading.compared import StudyParameter
    from analysis.reading.sources.record import StudyRecord

_MIN_FRACTIONS, _MIN_TRIALS, _MIN_RATIO = 3, 10, 3.0
"""Annotation fractions, finished trials in each of them, and ratio of the best values at both
ends, from which on the heading speaks of a trend."""


@dataclass(frozen=True, kw_only=True)
class SearchSection:
    """What the section shows beside its charts."""

    heading: str
    """A trend of a best value where there is one, else what was tried; "" without a search."""
    rows: tuple[Mapping[str, Any], ...]
    """As from `search_table.search_results`; empty before any search trial."""
    settings: tuple[str, ...]
    """Columns of the rows that some method of the study has, without factors."""
    labels: Mapping[str, str]
    """By name: how charts name what was searched."""
    lacking: tuple[str, ...]
    """One sentence for each method that lacks some of the settings."""
    choices: tuple[ArmChoice, ...]
    """As from `choices.arm_choices`."""
    choice_note: str
    """What its columns are; why there are none, where settings were tried with one seed; ""
    where nothing was searched."""
    choice_downloads: tuple[Download, ...]
    """choices.csv; none without choices."""
    borders: tuple[str, ...]
    """As from `borders.border_warnings`."""
    importances: tuple[ArmImportances, ...]
    """As from `arm_importances.arm_importances`."""
    parameters: tuple[str, ...]
    """Hyperparameters with an importance in some arm, in the order of the record."""
    unsaid: tuple[str, ...]
    """As from `arm_importances.unsaid`."""
    note: str
    """What the importances are."""
    table_downloads: tuple[Download, ...]
    """search.csv."""
    importance_downloads: tuple[Download, ...]
    """importances.csv; none where nothing was searched."""


def search_charts(record: StudyRecord) -> tuple[Chart, ...]:
    """Best so far, then one chart per hyperparameter: those that can be drawn.

    Returns:
        Empty before any search trial has finished, or where nothing was searched.

    Raises:
        StudyDataError: If the space on record cannot be read.
    """
    isolated = isolation_charts(record)
    best = best_so_far_chart(record)
    return isolated if best is None else (best, *isolated)


def search_section(record: StudyRecord) -> SearchSection:
    """Rows, warnings, importances and heading of the section.

    Raises:
        StudyDataError: If the space on record cannot be read.
    """
    results = search_results(record)
    arms = arm_importances(record)
    choices, rule = arm_choices(record), choice_rule(record.info)
    note = ""
    if record.searched:
        note = UNKNOWN if rule.num_seeds == 1 else choice_note(rule, record.searched, choices)
    said = {name for arm in arms for name in (*arm.fanova, *arm.ped_anova)}
    importances = [download("importances.csv", importances_csv(arms).encode())] if arms else []
    return SearchSection(
        heading=_heading(record, results),
        rows=tuple(_plain(results)),
        settings=tuple(one.name for one in _shown(record)),
        labels={one.name: one.label for one in record.searched},
        lacking=tuple(_lacking(record)),
        choices=choices,
        choice_note=note,
        choice_downloads=tuple(
            [download("choices.csv", choices_csv(choices).encode())] if choices else []
        ),
        borders=border_warnings(record),
        importances=arms,
        parameters=tuple(one.name for one in record.searched if one.name in said),
        unsaid=unsaid(arms, record.styles, shares_on_record(record)),
        note=NOTE.format("both" if len(said) <= 2 else "several"),
        table_downloads=(download("search.csv", search_csv(results).encode()),),
        importance_downloads=tuple(importances),
    )


def _plain(results: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): row[name] for name in row} for row in results.to_dict("records")]


def _shown(record: StudyRecord) -> list[StudyParameter]:
    """The settings of tables without factors, whose levels the names of the variants say."""
    compared = {one.name for one in record.info.parameters if one.role == "compared"}
    names = {*record.shown_settings} - compared
    return [one for one in record.settings if one.name in names]


def _lacking(record: StudyRecord) -> Iterator[str]:
    """Which settings a method does not have, and what that means for its search."""
    shown = _shown(record)
    tried = {style.variant.method: style.method_label for style in record.styles.values()}
    for method, label in tried.items():
        lacking = [one.name for one in shown if not one.is_of(method, record.methods)]
        if lacking:
            only = f"{lacking[0]} varies" if len(lacking) == 1 else "these vary"
            yield (
                f"{label} has no {listed(lacking)}: where only {only}, it has nothing to search "
                "and is confirmed at once."
            )


def _heading(record: StudyRecord, results: pd.DataFrame) -> str:
    if results.empty:
        return ""
    searched = suggestions(record)
    tried = {style.variant.method for style in record.styles.values()}
    for one in record.searched:
        # What only some methods have, such as the weight of a reconstruction, is their question.
        is_own = one.unannotated is not None or not all(
            one.is_of(method, record.methods) for method in tried
        )
        if (
            is_own
            and one.log
            and (trend := _trend(one.name, results, searched, shares_on_record(record)))
        ):
            return f"{trend[0].upper()}{trend[1:]}"
    num_seeds = choice_rule(record.info).num_seeds
    what = "trial" if num_seeds == 1 else "setting"
    numbers = sorted(set(results["num_settings"].tolist()))
    trials = counted(numbers[0], what)
    if len(numbers) > 1:
        trials = f"{numbers[0]} to {numbers[-1]} {what}s"
    num_arms = len(results)
    arms = "one arm" if num_arms == 1 else f"each of {num_arms} arms"
    seeds = ""
    if num_seeds > 1:
        is_all = (results["num_trials"] == num_seeds * results["num_settings"]).all()
        seeds = f", {'' if is_all else 'up to '}{num_seeds} seeds each"
    return f"{trials} in {arms}{seeds}"


def _trend(name: str, results: pd.DataFrame, searched: pd.DataFrame, shares: Shares) -> str:
    """Whether the best value falls or rises with annotation; "" unless the trials bear it out.

    It must do so from each fraction to the next, in one variant, and the best quarter of the
    trials at both ends must not share a value: the best trial alone is a matter of chance.
    """
    found = results.dropna(subset=[name]).sort_values("label_frac")
    if len(set(found["model"])) != 1 or len(found) < _MIN_FRACTIONS:
        return ""
    variant, fracs, best = str(found["model"].iloc[0]), found["label_frac"], found[name].tolist()
    ranked = [ranked_trials(searched, variant, frac) for frac in fracs]
    if len(found) < (results["model"] == variant).sum() or min(map(len, ranked)) < _MIN_TRIALS:
        return ""
    steps = [after - before for before, after in pairwise(best)]
    falls, rises = max(steps) < 0.0, min(steps) > 0.0
    ends = [arm[name].head(math.ceil(len(arm) / 4)) for arm in (ranked[0], ranked[-1])]
    smaller, larger = ends[::-1] if falls else ends
    is_apart = smaller.max() < larger.min()
    if not (falls or rises) or not is_apart or max(best) < _MIN_RATIO * min(best):
        return ""
    first, last = (f"{setting(best[i])} at {shares.said(fracs.iloc[i])}" for i in (0, -1))
    return f"the best {name} {'falls' if falls else 'rises'} from {first} to {last}"
