"""What can be said of each arm about how much its hyperparameters mattered, and why no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.reading.styles import Styles
from analysis.search.domains import Domain, searched_domains
from analysis.search.importances import importances, predicted_share
from analysis.search.search_table import arms_of_search, ranked_trials
from analysis.search.suggestions import suggestions
from analysis.statistics.label_efficiency.shares import ASKED, Shares
from analysis.wording import counted, listed

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord

MIN_TRIALS = 10
"""Finished trials of an arm. With 10, of which one hyperparameter alone makes the score, each
method puts the right one first about 9 times of 10; with 20 always."""

NEEDS = "needs optuna and scikit-learn (pip install 'urec-study[analysis]')"

NOTE = (
    "fANOVA (Hutter et al., 2014): the share of the score's variance over the whole space that a "
    "hyperparameter explains alone; what is missing to 100\N{NO-BREAK SPACE}% is due to {} "
    "together. It is only as good as the forest fitted to the trials, and bad regions weigh as "
    "much as good ones. PED-ANOVA (Watanabe et al., 2023): how much the values of the best quarter "
    "of the trials, 5 at least, differ from those of all, in shares that sum to "
    "100\N{NO-BREAK SPACE}%; it speaks of reaching the top and sees no interaction. Predicted: "
    "share of the variance that a forest predicts for trials it was not fitted to; at 0 or below, "
    "an importance would be one of noise, and none is given."
)
"""What the columns are, and the limits of both methods; with a place for "both" or "several"."""


@dataclass(frozen=True, kw_only=True)
class ArmImportances:
    """What can be said of one arm."""

    variant: str
    label_frac: float
    num_finished: int
    """Finished search trials with a score."""
    fanova: Mapping[str, float]
    """By hyperparameter, in [0, 1]; empty where it cannot be said. The sum is at most 1."""
    ped_anova: Mapping[str, float]
    """By hyperparameter, shares that sum to 1; empty where it cannot be said."""
    predicted: float
    """Out-of-bag R² of a forest, at most 1; NaN where none was fitted."""
    cause: str
    """Why something cannot be said; "" where all is."""

    @property
    def reason(self) -> str:
        """Such as "cannot be said from 4 trials: 10 are needed"; "" where all is said."""
        return _sentence(self, counted(self.num_finished, "trial")) if self.cause else ""


def arm_importances(record: StudyRecord) -> tuple[ArmImportances, ...]:
    """The importances of every arm with something to search.

    Returns:
        By annotation fraction, then in the order of the record. Empty where nothing was searched.

    Raises:
        StudyDataError: If the space on record cannot be read.
    """
    searched = suggestions(record)
    domains = searched_domains(record)
    found = []
    for frac, variant in arms_of_search(record, searched):
        ranked = ranked_trials(searched, variant, frac)
        of_arm = [domain for domain in domains if ranked[domain.name].notna().any()]
        if of_arm:
            finished = ranked.dropna(subset=[domain.name for domain in of_arm])
            found.append(_of_arm(finished.sort_values("number"), variant, frac, of_arm))
    return tuple(found)


def importances_csv(arms: Sequence[ArmImportances]) -> str:
    """One row per arm and hyperparameter: six significant digits, nothing where it is not said."""
    import pandas as pd

    rows = [
        {"model": arm.variant, "label_frac": arm.label_frac, "num_finished": arm.num_finished}
        | {"parameter": name, "fanova": arm.fanova.get(name), "ped_anova": arm.ped_anova.get(name)}
        | {"predicted": arm.predicted, "reason": arm.reason}
        for arm in arms
        for name in dict.fromkeys([*arm.fanova, *arm.ped_anova]) or ("",)
    ]
    columns = ["model", "label_frac", "num_finished", "parameter", "fanova", "ped_anova"]
    frame = pd.DataFrame(rows, columns=[*columns, "predicted", "reason"])
    text: str = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def unsaid(
    arms: Sequence[ArmImportances], styles: Styles, shares: Shares = ASKED
) -> tuple[str, ...]:
    """One sentence for each variant and cause of missing importances.

    Args:
        arms: As from `arm_importances`.
        styles: Of the variants.
        shares: What fractions reached; without, what was asked for.

    Returns:
        Such as "U-Net at 1 % and 10 %: cannot be said from 24 to 25 trials: lr alone was
        searched."
    """
    alike: dict[tuple[str, str], list[ArmImportances]] = {}
    for arm in arms:
        if arm.cause:
            alike.setdefault((arm.variant, arm.cause), []).append(arm)
    sentences = []
    for (variant, _), group in alike.items():
        where = listed([shares.said(arm.label_frac) for arm in group])
        fewest, most = (fold(arm.num_finished for arm in group) for fold in (min, max))
        trials = counted(most, "trial") if fewest == most else f"{fewest} to {most} trials"
        sentences.append(f"{styles[variant].label} at {where}: {_sentence(group[0], trials)}.")
    return tuple(sentences)


def _sentence(arm: ArmImportances, trials: str) -> str:
    if arm.cause == NEEDS:
        return NEEDS
    subject = "PED-ANOVA cannot" if arm.fanova else "cannot"
    return f"{subject} be said from {trials}: {arm.cause}"


def _of_arm(
    finished: pd.DataFrame, variant: str, frac: float, domains: Sequence[Domain]
) -> ArmImportances:
    fanova: dict[str, float] = {}
    ped_anova: dict[str, float] = {}
    predicted = math.nan
    cause = _why_not(finished, domains)
    if not cause:
        covering = [domain.covering(finished[domain.name]) for domain in domains]
        points = np.stack([_scaled(one, finished[one.name]) for one in covering], axis=1)
        score = finished["select_score"].to_numpy(np.float64)
        try:
            predicted = predicted_share(points, score)
            if predicted > 0.0:
                num_levels = {domain.name: len(domain.levels) for domain in covering}
                words = [one.name for one in covering if not one.parameter.is_number]
                fanova, ped_anova = importances(points, score, num_levels, words)
        except ImportError:
            cause = NEEDS
    if predicted <= 0.0:
        cause = "they do not predict each other's scores"
    elif fanova and not ped_anova:
        cause = "too many scores are equal"
    return ArmImportances(
        variant=variant,
        label_frac=frac,
        num_finished=len(finished),
        fanova=fanova,
        ped_anova=ped_anova,
        predicted=predicted,
        cause=cause,
    )


def _why_not(finished: pd.DataFrame, domains: Sequence[Domain]) -> str:
    """Why nothing can be said, before anything is computed; "" if there is no such reason."""
    if len(domains) < 2:
        return f"{domains[0].name} alone was searched"
    if len(finished) < MIN_TRIALS:
        return f"{MIN_TRIALS} are needed"
    for domain in domains:
        if finished[domain.name].nunique() < 2:
            return f"{domain.name} is the same in all"
    return "all scores are equal" if finished["select_score"].nunique() < 2 else ""


def _scaled(domain: Domain, values: pd.Series[Any]) -> NDArray[np.float64]:
    """Values as the search sees them: 0 to 1 along the scale of a range, or the rank of a level.

    Optuna's fANOVA weighs a range by its length on a linear scale, where nine tenths of two
    decades lie in the upper one.
    """
    if domain.levels:
        return np.array([domain.levels.index(v) for v in values], dtype=np.float64)
    return np.clip([domain.position(float(v)) for v in values], 0.0, 1.0)
