"""What a search suggested: one row for all trials of a suggestion, one for each seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.reading.schema import StudyDataError, StudyInfo
from analysis.reading.sources.record import StudyRecord, once_per_record
from analysis.search.domains import Domain, Level, searched_domains
from analysis.statistics.intervals import t_interval
from contract.names import OPEN_STATUSES, suggestion_key
from contract.parameters import value_text
from contract.protocol.choice import BEST, RULES, choose, distance, share_apart

if TYPE_CHECKING:
    import pandas as pd


_TOLD = ("trial_key", "model", "variant", "label_frac", "seed", "number", "status")
"""Columns of a search trial besides its parameters and its score."""


@dataclass(frozen=True, kw_only=True)
class ChoiceRule:
    """How a study's search chooses a setting, as `study.yaml` says."""

    num_seeds: int = 1
    """Seeds with which every suggestion is trained."""
    rule: str = BEST
    """One of `contract.protocol.choice.RULES`."""
    simplest: Mapping[str, Level] = field(default_factory=dict)
    """What it prefers where it cannot tell, by parameter; empty where it takes the best."""

    @property
    def text(self) -> str:
        """The rule in words."""
        return RULES[self.rule]


def choice_rule(info: StudyInfo) -> ChoiceRule:
    """The rule on record; older studies took the best of one seed.

    Raises:
        StudyDataError: If the record names an unknown rule, or no seeds or values.
    """
    entry = info.document.get("search")
    if entry is None:
        return ChoiceRule()
    try:
        simplest = {
            str(name): float(value)
            if isinstance(value, int | float) and not isinstance(value, bool)
            else value_text(value)
            for name, value in entry["simplest"].items()
        }
        rule = ChoiceRule(
            num_seeds=len(entry["seeds"]), rule=str(entry["choice"]), simplest=simplest
        )
    except (KeyError, TypeError, AttributeError):
        raise StudyDataError(
            f"search must hold seeds, choice and simplest, got {entry!r} in study.yaml of study "
            f"{info.name}; read it with the version that wrote it"
        ) from None
    if rule.rule not in RULES:
        raise StudyDataError(
            f"choice must be one of {list(RULES)}, got {rule.rule!r} in study.yaml of study "
            f"{info.name}; read it with the version that wrote it"
        )
    return rule


def search_trials(record: StudyRecord) -> pd.DataFrame:
    """All search trials and the validation score by which they are compared.

    Returns:
        Rows of `record.trials`; columns trial_key, model, variant, label_frac, seed, number, status
        and the record's parameters; and select_score: the score that `record.info.select_by`
        names; NaN for a trial that has not finished. The score of a pruned trial is from an earlier
        step of its run, and is compared with no other. A word that a trial does not have is NaN
        too.
    """
    of_search = record.trials["phase"] == "search"
    score = record.trials.loc[of_search, f"select_{record.info.select_by}"]
    named = [one.name for one in (*record.info.parameters, *record.settings)]
    columns = dict.fromkeys([*_TOLD, *named])  # all others would be copied again and again
    searched = record.trials.loc[of_search, [one for one in columns if one in record.trials]]
    words = [one.name for one in record.searched if not one.is_number]
    return searched.assign(
        select_score=score.where(searched["status"] == "finished"),
        **{name: searched[name].where(searched[name] != "") for name in words},
    )


@once_per_record
def suggestions(record: StudyRecord) -> pd.DataFrame:
    """The suggestions of all searches.

    Returns:
        Columns as from `search_trials`, in which select_score is the mean over the seeds; NaN
        unless the trials of all seeds have finished. status is that of the whole: open as long as
        one trial is, else failed or pruned where one is. Besides them seed_scores (a tuple, in the
        order of the seeds; empty where select_score is NaN), select_low and select_high (the 95 %
        interval over seeds; NaN with fewer than 3) and is_chosen (whether its arm confirms it, of
        those that have ended so far). Of a study whose suggestions had one seed: the trials.

    Raises:
        StudyDataError: If the rule of the choice or the space on record cannot be read.
    """
    import pandas as pd

    rule = choice_rule(record.info)
    trials = search_trials(record)
    keys = trials["trial_key"].map(suggestion_key)
    if (keys == trials["trial_key"]).all():
        frame = trials.assign(
            seed_scores=trials["select_score"].map(lambda one: () if math.isnan(one) else (one,)),
            select_low=math.nan,
            select_high=math.nan,
        )
    else:
        groups = trials.sort_values(["trial_key", "seed"]).groupby(keys, sort=False)
        frame = pd.DataFrame([_suggestion(group, rule.num_seeds) for _, group in groups])
        frame = frame.astype(trials.dtypes.to_dict())
    chosen = pd.Series(False, index=frame.index)
    domains = searched_domains(record) if rule.num_seeds > 1 else ()
    for _, arm in frame.groupby(["variant", "label_frac"]):
        scored = arm.dropna(subset=["select_score"]).sort_values(["number", "trial_key"])
        if not scored.empty:
            place = choose(score_table(scored), distances(scored, domains, rule))
            chosen[scored.index[place]] = True
    return frame.assign(is_chosen=chosen)


def score_table(scored: pd.DataFrame) -> NDArray[np.float64]:
    """Validation scores (S, N) of S suggestions of an arm, all of them with a score."""
    return np.array(scored["seed_scores"].tolist(), dtype=np.float64)


def distances(scored: pd.DataFrame, domains: tuple[Domain, ...], rule: ChoiceRule) -> list[float]:
    """How far each suggestion of an arm lies from the simplest setting.

    Args:
        scored: Suggestions of an arm.
        domains: Of what the study searched.
        rule: As from `choice_rule`.
    """
    named = [one for one in domains if one.name in rule.simplest]
    return [
        distance([_apart(one, row[one.name], rule.simplest[one.name]) for one in named])
        for row in scored[[one.name for one in named]].to_dict("records")
    ]


def _apart(domain: Domain, value: Level, simplest: Level) -> float:
    if not domain.parameter.is_number:
        return float(value != simplest)
    if math.isnan(float(value)):  # the arm's method does not have it
        return 0.0
    ends = [float(level) for level in domain.levels] or [domain.low, domain.high]
    return share_apart(float(value), float(simplest), ends, log=domain.parameter.log)


def _suggestion(trials: pd.DataFrame, num_seeds: int) -> dict[str, Any]:
    """One row for the trials of a suggestion, in the order of their seeds."""
    row: dict[str, Any] = {str(name): value for name, value in trials.iloc[0].items()}
    # An arm that has nothing to choose has one seed in any study, and keys without it.
    asked = 1 if suggestion_key(row["trial_key"]) == row["trial_key"] else num_seeds
    statuses = trials["status"].tolist()
    scores = trials["select_score"].tolist()
    if len(trials) < asked or any(status in OPEN_STATUSES for status in statuses):
        row["status"] = "running" if "running" in statuses else "stopped"
    else:
        row["status"] = next(
            status for status in ("failed", "pruned", "finished") if status in statuses
        )
    is_whole = row["status"] == "finished" and not any(map(math.isnan, scores))
    over_seeds = t_interval(scores if is_whole else [])
    return row | {
        "seed_scores": tuple(scores) if is_whole else (),
        "select_score": math.fsum(scores) / len(scores) if is_whole else math.nan,
        "select_low": over_seeds.low,
        "select_high": over_seeds.high,
    }
