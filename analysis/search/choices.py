"""How sure the choice of a setting is: what other seeds of the search would have chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.reading.compared import StudyParameter
from analysis.reading.styles import arms_of
from analysis.search.domains import searched_domains
from analysis.search.suggestions import ChoiceRule, choice_rule, distances, score_table, suggestions
from analysis.wording import setting
from contract.protocol.choice import choose, within_one_error

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

UNKNOWN = (
    "Every setting was tried with one seed: how often another seed would have chosen otherwise is "
    "unknown; --search-seeds tells."
)
"""What is to be said of the choices of a search with one seed."""

NOTE = (
    "Chosen: {rule}. One seed: seeds that would have chosen another setting by their own scores "
    "alone. Without one: seeds without which the others would have chosen another; this count is "
    "a lower bound of how often as many new seeds would, that of single seeds nearer to it. "
    "Difference: mean validation score of these other choices minus that of the chosen setting, "
    "over all seeds."
)
"""What the columns are, with a place for the rule."""


@dataclass(frozen=True, kw_only=True)
class ArmChoice:
    """The choice of one arm, of settings that were tried with two or more seeds."""

    variant: str
    label_frac: float
    num_seeds: int
    num_settings: int
    """Settings with scores of all seeds, two or more."""
    num_within: int
    """Settings within one standard error of the best, itself included."""
    alone_otherwise: int
    """Seeds by whose scores alone another setting would be chosen, since it is better."""
    without_otherwise: int
    """Seeds without which the rule chooses another setting."""
    low: float
    """Mean score of those other settings minus the chosen one's: the lowest; NaN without any."""
    high: float
    """Likewise the highest."""


def arm_choices(record: StudyRecord) -> tuple[ArmChoice, ...]:
    """The choices of all arms that had something to choose and more than one seed.

    Each seed alone and each seed left out: both count what these trials say, without a random
    draw. A bootstrap over seeds draws the same seed again, has hardly ten different draws at three
    seeds, and told no more of new seeds in simulations.

    Returns:
        By annotation fraction, then in the order of the record.

    Raises:
        StudyDataError: If the rule of the choice or the space on record cannot be read.
    """
    rule = choice_rule(record.info)
    if rule.num_seeds == 1:
        return ()
    domains = searched_domains(record)
    searched = suggestions(record).dropna(subset=["select_score"])
    found = []
    arms = zip(searched["label_frac"], searched["variant"], strict=True)
    for frac, variant in arms_of(arms, record.styles):
        arm = searched[(searched["variant"] == variant) & (searched["label_frac"] == frac)]
        arm = arm.sort_values(["number", "trial_key"])
        if len(arm) > 1:
            found.append(_of_arm(arm, distances(arm, domains, rule)))
    return tuple(found)


def _of_arm(arm: pd.DataFrame, apart: list[float]) -> ArmChoice:
    scores = score_table(arm)
    num_seeds = scores.shape[1]
    chosen = choose(scores, apart)
    alone = [_best_of(scores[:, seed], chosen) for seed in range(num_seeds)]
    without = [choose(np.delete(scores, seed, axis=1), apart) for seed in range(num_seeds)]
    others = {place for place in (*alone, *without) if place != chosen}
    means = scores.mean(axis=1)
    gaps = [float(means[place] - means[chosen]) for place in others]
    return ArmChoice(
        variant=str(arm["variant"].iloc[0]),
        label_frac=float(arm["label_frac"].iloc[0]),
        num_seeds=num_seeds,
        num_settings=len(arm),
        num_within=int(within_one_error(scores).sum()),
        alone_otherwise=sum(place != chosen for place in alone),
        without_otherwise=sum(place != chosen for place in without),
        low=min(gaps, default=math.nan),
        high=max(gaps, default=math.nan),
    )


def _best_of(scores: NDArray[np.float64], chosen: int) -> int:
    """The best setting by the scores of one seed (S,): the chosen one where none is better."""
    is_best = math.isclose(scores[chosen], scores.max(), rel_tol=0.0, abs_tol=1e-12)
    return chosen if is_best else choose(scores[:, None], [0.0] * len(scores))


def choice_note(
    rule: ChoiceRule, settings: tuple[StudyParameter, ...], choices: tuple[ArmChoice, ...]
) -> str:
    """By which rule a setting is chosen, what is the simplest, and what the columns are."""
    named = [one.name for one in settings if one.name in rule.simplest]
    simplest = ", ".join(f"{name} {setting(rule.simplest[name])}" for name in named)
    said = f"{rule.text} ({simplest})" if simplest else rule.text
    return NOTE.format(rule=said) if choices else f"Chosen: {said}."


def choices_csv(choices: tuple[ArmChoice, ...]) -> str:
    """One row per arm, six significant digits, nothing for NaN."""
    import pandas as pd

    rows = [
        {
            "model": one.variant,
            "label_frac": one.label_frac,
            "num_seeds": one.num_seeds,
            "num_settings": one.num_settings,
            "num_within_one_error": one.num_within,
            "one_seed_chooses_otherwise": one.alone_otherwise,
            "without_one_chooses_otherwise": one.without_otherwise,
            "difference_low": one.low,
            "difference_high": one.high,
        }
        for one in choices
    ]
    text: str = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
