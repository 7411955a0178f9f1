"""One MLflow run -> one checked row; all rows -> the table of trials."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.reading.compared import StudyDataError, StudyParameter, known_parameter
from analysis.reading.schema import StudyInfo
from contract.methods import METHODS
from contract.names import (
    ANNOTATION_MINUTES,
    MEASURES_TAG,
    PHASES,
    PSEUDO_SHARE,
    RECONSTRUCTION_ERRORS,
    RECONSTRUCTION_SHARE,
    SELECT_SCORES,
    STATUSES,
    TIME_PARTS,
    search_number,
)

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
    "val_reached_frac": "float64",
    "val_annotated_px": "float64",
    "with_val_frac": "float64",
    "patches_per_s": "float64",
    "train_s": "float64",
    "eval_s": "float64",
    "test_s": "float64",
    "peak_memory_mib": "float64",
    "workers": "float64",
    **dict.fromkeys((*RECONSTRUCTION_ERRORS, RECONSTRUCTION_SHARE, PSEUDO_SHARE), "float64"),
    ANNOTATION_MINUTES: "float64",
    **{f"time_{part}_s": "float64" for part in TIME_PARTS},
    "run_id": "str",
    "artifact_uri": "str",
}
"""Columns and dtypes of every table of trials; NaN (or NA, or "") where a run has not recorded one.
`number` is that of a search trial in its arm, from 0 in the order of suggestion, and -1 for a
confirmation trial."""
BASIC = tuple(map(known_parameter, ("w1", "lr", "batch_size", "reconstruct_on")))
"""Parameters among them: tables have them whatever a study varies."""

_METRICS = {
    **{f"select_{score}": f"select/{score}" for score in SELECT_SCORES},
    "select_step": "select/step",
    "reached_frac": "budget/reached_frac",
    "annotated_px": "budget/annotated_px",
    "val_reached_frac": "budget/val_reached_frac",
    "val_annotated_px": "budget/val_annotated_px",
    "with_val_frac": "budget/with_val_frac",
    "patches_per_s": "perf/patches_per_s",
    "train_s": "perf/train_s",
    "eval_s": "perf/eval_s",
    "test_s": "perf/test_s",
    "peak_memory_mib": "perf/peak_memory_mib",
    "workers": "perf/workers",
    **{name: f"val/{name}" for name in RECONSTRUCTION_ERRORS},
    RECONSTRUCTION_SHARE: f"train/{RECONSTRUCTION_SHARE}",
    PSEUDO_SHARE: f"train/{PSEUDO_SHARE}",
    ANNOTATION_MINUTES: "budget/minutes",
    **{f"time_{part}_s": f"time/{part}_s" for part in TIME_PARTS},
}
_CONVERGED = {"true": True, "false": False}


def trial_columns(parameters: Iterable[StudyParameter]) -> dict[str, str]:
    """TRIAL_COLUMNS, and a column for each other parameter: numbers, or text ("" for none)."""
    others = {one.name: "float64" if one.is_number else "str" for one in parameters}
    return TRIAL_COLUMNS | {
        name: kind for name, kind in others.items() if name not in TRIAL_COLUMNS
    }


def trial_row(run: Run, info: StudyInfo) -> dict[str, Any]:
    """One trial's tags, parameters and last metrics, checked.

    Args:
        run: A child run that has the tag trial_key.
        info: Of its study: a parameter counts only where the trial's method has it, whatever was
            logged.

    Returns:
        One value per column of `trial_columns`. Older runs, without these tags, are the variant
        that their model names and had one attempt.

    Raises:
        StudyDataError: If a tag or parameter is missing or breaks its rule.
    """
    tags, params = run.data.tags, run.data.params
    key = tags["trial_key"]
    measures = _measures(tags, key) | run.data.metrics
    model = _tag(tags, "model", key)
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
        "variant": tags.get("variant", model),
        "label_frac": label_frac,
        "seed": int(_number(tags, "seed", key)),
        "number": search_number(key),
        "status": _one_of(tags, "status", STATUSES, key),
        "attempts": _attempts(tags, key),
        "converged": None if converged is None else _CONVERGED[converged],
        "steps": _number(params, "steps", key) if "steps" in params else math.nan,
        "run_id": run.info.run_id,
        "artifact_uri": run.info.artifact_uri,
    }
    methods = METHODS | {one.name: one for one in info.methods}
    for one in (*BASIC, *info.parameters):
        text = params.get(one.name)
        if text is None or not one.is_of(model, methods):
            row.setdefault(one.name, math.nan if one.is_number else "")
            continue
        try:
            row[one.name] = one.read(text)
        except ValueError as error:
            raise StudyDataError(f"{error} in trial {key}") from None
    for column, metric in _METRICS.items():
        row[column] = measures.get(metric, math.nan)
    return row


def trials_frame(
    rows: Sequence[Mapping[str, Any]], parameters: Iterable[StudyParameter] = ()
) -> pd.DataFrame:
    """All rows as a table with the dtypes of `trial_columns`, in order of trial_key.

    A parameter of which the record says nothing and no trial has a value gets no column.
    """
    import pandas as pd

    frame = pd.DataFrame(
        {
            column: pd.Series([row[column] for row in rows], dtype=dtype)
            for column, dtype in trial_columns(parameters).items()
        }
    )
    unused = [
        one.name
        for one in parameters
        if one.role == "unrecorded"
        and one.name not in TRIAL_COLUMNS
        and not (frame[one.name].notna() & (frame[one.name] != "")).any()
    ]
    return frame.drop(columns=unused).sort_values("trial_key", ignore_index=True)


def _measures(tags: Mapping[str, str], key: str) -> dict[str, float]:
    """The numbers of a trial that are none of its metrics; none where an older version wrote it."""
    text = tags.get(MEASURES_TAG, "{}")
    try:
        return {str(name): float(value) for name, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise StudyDataError(
            f"{MEASURES_TAG} must be a JSON object of numbers, got {text!r} in trial {key}"
        ) from None


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
