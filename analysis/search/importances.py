"""How much each hyperparameter of a search mattered: fANOVA, PED-ANOVA, and what is foreseeable."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_SHARE, MIN_TOP = 0.25, 5
"""Share and least number of the trials that PED-ANOVA holds against all; Optuna advises 5."""
_NUM_TREES, _NUM_OUT_OF_BAG_TREES, _SEED = 16, 64, 0
"""fANOVA is as good with 16 trees as with 64; out of bag, a trial needs trees that lack it."""


def predicted_share(points: NDArray[np.float64], score: NDArray[np.float64]) -> float:
    """How much of the scores' variance a forest predicts for trials it was not fitted to.

    Args:
        points: One row per trial, one column per hyperparameter, (N, D).
        score: Validation scores, (N,), not all equal.

    Returns:
        Out-of-bag R², at most 1; 0 or below where the mean score predicts as well.

    Raises:
        ImportError: Without scikit-learn.
    """
    from sklearn.ensemble import (  # type: ignore[import-untyped]
        RandomForestRegressor,
    )

    forest = RandomForestRegressor(
        n_estimators=_NUM_OUT_OF_BAG_TREES, oob_score=True, random_state=_SEED
    )
    return float(forest.fit(points, score).oob_score_)


def importances(
    points: NDArray[np.float64],
    score: NDArray[np.float64],
    num_levels: Mapping[str, int],
    unordered: Collection[str] = (),
) -> tuple[dict[str, float], dict[str, float]]:
    """Importances by fANOVA and by PED-ANOVA, the same every time.

    Args:
        points: One row per trial, one column per hyperparameter, (N, D): from 0 to 1 along a
            range, or the rank of a level.
        score: Validation scores, (N,), higher is better, not all equal.
        num_levels: Of each hyperparameter, in the order of columns; 0 for a range.
        unordered: Those whose levels are words, so that their ranks mean nothing.

    Returns:
        By hyperparameter: of fANOVA the shares of variance, of PED-ANOVA shares that sum to 1,
        or none where the best trials are all of them.

    Raises:
        ImportError: Without optuna or scikit-learn.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        optuna_study = _optuna_study(points, score, num_levels, unordered)
        fanova, ped_anova = (
            _evaluated(optuna_study, evaluator, num_levels)
            for evaluator in (
                FanovaImportanceEvaluator(n_trees=_NUM_TREES, seed=_SEED),
                PedAnovaImportanceEvaluator(target_quantile=max(TOP_SHARE, MIN_TOP / len(score))),
            )
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
    total = sum(ped_anova.values())
    shares = {name: value / total for name, value in ped_anova.items()} if total > 0.0 else {}
    return fanova, shares


def _optuna_study(
    points: NDArray[np.float64],
    score: NDArray[np.float64],
    num_levels: Mapping[str, int],
    unordered: Collection[str],
) -> Any:
    """The trials as a study of Optuna, in memory."""
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    distributions: dict[str, BaseDistribution] = {
        name: IntDistribution(0, num - 1) if num else FloatDistribution(0.0, 1.0)
        for name, num in num_levels.items()
    }
    distributions |= {name: CategoricalDistribution(range(num_levels[name])) for name in unordered}
    optuna_study = optuna.create_study(direction="maximize")
    for point, value in zip(points.tolist(), score.tolist(), strict=True):
        params = {
            name: int(x) if num_levels[name] else x
            for name, x in zip(num_levels, point, strict=True)
        }
        optuna_study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        )
    return optuna_study


def _evaluated(optuna_study: Any, evaluator: Any, names: Mapping[str, int]) -> dict[str, float]:
    """Importances as given; where Optuna makes them sum to 1, it turns 0 and 0 into 1/2 and 1/2."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            optuna_study, evaluator=evaluator, params=list(names), normalize=False
        )
    return {name: float(found[name]) for name in names}
