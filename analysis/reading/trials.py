"""One MLflow run -> one checked row; all rows -> the table of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.reading.schema import MODELS, NETWORKS, StudyDataError
from contract.names import PHASES, SELECT_SCORES, STATUSES, TIME_PARTS, search_number

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

TRIAL_COLUMNS: dict[str, str] = {
    "trial_key": "str",
    "phase": "str",
    "arm": "str",
    "model": "str",
    "variant": "str",
    "label_frac": "float64",
    "seed": "int64",
    "number": "int64",
    "status": "str",
    "attempts": "int64",
    "converged": "boolean",
    "w1": "float64",
    "lr": "float64",
    **{f"select_{score}": "float64" for score in SELECT_SCORES},
    "select_step": "float64",
    "steps": "float64",
    "batch_size": "float64",
    "reconstruct_on": "str",
    "reached_frac": "float64",
    "annotated_px": "float64",
    "patches_per_s": "float64",
    "train_s": "float64",
    "eval_s": "float64",
    "test_s": "float64",
    "peak_memory_mib": "float64",
    "workers": "float64",
    **{f"time_{part}_s": "float64" for part in TIME_PARTS},
    "run_id": "str",
    "artifact_uri": "str",
}
"""Columns and dtypes of the table of trials; NaN (or NA, or "") where a run has not recorded one.
`number` is that of a search trial in its arm, from 0 in the order of suggestion, and -1 for a
confirmation trial."""

_METRICS = {
    **{f"select_{score}": f"select/{score}" for score in SELECT_SCORES},
    "select_step": "select/step",
    "reached_frac": "budget/reached_frac",
    "annotated_px": "budget/annotated_px",
    "patches_per_s": "perf/patches_per_s",
    "train_s": "perf/train_s",
    "eval_s": "perf/eval_s",
    "test_s": "perf/test_s",
    "peak_memory_mib": "perf/peak_memory_mib",
    "workers": "perf/workers",
    **{f"time_{part}_s": f"time/{part}_s" for part in TIME_PARTS},
}
_CONVERGED = {"true": True, "false": False}


def trial_row(run: Run) -> dict[str, Any]:
    """One trial's tags, parameters and last metrics, checked.

    Args:
        run: A child run that has the tag trial_key.

    Returns:
        One value per column of TRIAL_COLUMNS. `w1` is NaN for U-Net, which has no
        reconstruction to weigh, whatever was logged. Older runs, without these tags, are the
        variant that their model names and had one attempt.

    Raises:
        StudyDataError: If a tag or parameter is missing, unknown or not a number.
    """
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    key = tags["trial_key"]
    model = _one_of(tags, "model", NETWORKS, key)
    label_frac = _number(tags, "label_frac", key)
    if not 0.0 < label_frac <= 1.0:
        raise StudyDataError(f"label_frac must be in (0, 1], got {label_frac!r} in trial {key}")
    converged = tags.get("converged")
    if converged is not None and converged not in _CONVERGED:
        raise StudyDataError(
            f"converged must be 'true' or 'false', got {converged!r} in trial {key}"
        )
    row: dict[str, Any] = {
        "trial_key": key,
        "phase": _one_of(tags, "phase", PHASES, key),
        "arm": _tag(tags, "arm", key),
        "model": model,
        "variant": _variant(tags, model, key),
        "label_frac": label_frac,
        "seed": int(_number(tags, "seed", key)),
        "number": search_number(key),
        "status": _one_of(tags, "status", STATUSES, key),
        "attempts": _attempts(tags, key),
        "converged": None if converged is None else _CONVERGED[converged],
        "w1": _number(params, "w1", key) if model == "urec" and "w1" in params else float("nan"),
        "run_id": run.info.run_id,
        "artifact_uri": run.info.artifact_uri,
    }
    row["reconstruct_on"] = params.get("reconstruct_on", "") if model == "urec" else ""
    for name in ("lr", "steps", "batch_size"):
        row[name] = _number(params, name, key) if name in params else float("nan")
    for column, metric in _METRICS.items():
        row[column] = metrics.get(metric, float("nan"))
    return row


def trials_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """All rows as a table with the dtypes of TRIAL_COLUMNS, in order of trial_key."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            column: pd.Series([row[column] for row in rows], dtype=dtype)
            for column, dtype in TRIAL_COLUMNS.items()
        }
    )
    return frame.sort_values("trial_key", ignore_index=True)


def arms_of(trials: pd.DataFrame) -> list[tuple[float, str]]:
    """The (label_frac, variant) of all trials, by label_frac, then in the order of MODELS."""
    order = list(MODELS)
    pairs = set(zip(trials["label_frac"], trials["variant"], strict=True))
    return sorted(pairs, key=lambda pair: (pair[0], order.index(pair[1])))


def _variant(tags: Mapping[str, str], model: str, key: str) -> str:
    of_model = tuple(name for name, style in MODELS.items() if style.network == model)
    return _one_of({"variant": model, **tags}, "variant", of_model, key)


def _attempts(tags: Mapping[str, str], key: str) -> int:
    text = tags.get("attempts", "1")
    if not text.isdecimal() or int(text) < 1:
        raise StudyDataError(f"attempts must be a whole number >= 1, got {text!r} in trial {key}")
    return int(text)


def _tag(tags: Mapping[str, str], name: str, key: str) -> str:
    if name not in tags:
        raise StudyDataError(f"tag {name} must be set, got none in trial {key}")
    return tags[name]


def _one_of(tags: Mapping[str, str], name: str, allowed: tuple[str, ...], key: str) -> str:
    value = _tag(tags, name, key)
    if value not in allowed:
        raise StudyDataError(f"{name} must be one of {list(allowed)}, got {value!r} in trial {key}")
    return value


def _number(values: Mapping[str, str], name: str, key: str) -> float:
    text = _tag(values, name, key)
    try:
        return float(text)
    except ValueError as error:
        raise StudyDataError(f"{name} must be a number, got {text!r} in trial {key}") from error
