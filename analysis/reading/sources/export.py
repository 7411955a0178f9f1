"""StudyRecord -> one Parquet file; its columns are described in docs/export.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from analysis.reading.confusion import TrialConfusion
from analysis.reading.schema import EXPORT_SUFFIX, StudyDataError
from analysis.reading.study_times import times_json
from analysis.reading.trials import TRIAL_COLUMNS, trial_columns
from contract.mlflow_store.logins import without_login
from contract.names import (
    ANNOTATION_MINUTES,
    PSEUDO_SHARE,
    RECONSTRUCTION_ERRORS,
    RECONSTRUCTION_SHARE,
    TIME_PARTS,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.reading.sources.record import StudyRecord

EXPORT_SCHEMA = 4
"""Version of the columns and metadata; a change of either takes the next number."""
ADDED_COLUMNS = {
    2: ("test_s", *(f"time_{part}_s" for part in TIME_PARTS)),
    4: ("val_reached_frac", "val_annotated_px", "with_val_frac"),
}
"""By the version from which on a file has them; from 3 on, also each parameter that the study
varies."""
OPTIONAL_COLUMNS = (
    *RECONSTRUCTION_ERRORS,
    RECONSTRUCTION_SHARE,
    PSEUDO_SHARE,
    ANNOTATION_MINUTES,
)
"""Columns that a file of any version may lack: they came without a change of it."""
METADATA_PREFIX = "urec_study."
"""Before the keys schema, name, status, num_failed, notes, study_yaml, times, store, run_id."""
NO_PICTURES = "Read from an exported file: pictures of maps and of budgets are not part of it."
"""Note of every study that was read from a file; it is not written into one."""


def write_export(record: StudyRecord, path: str | Path) -> Path:
    """Writes all that tables, curves and statistics need; pictures stay in MLflow.

    The file appears under its name when it is complete, or not at all. The same record gives the
    same bytes.

    Args:
        record: The study.
        path: File to write, `<name>.parquet`; its folder is created.

    Returns:
        The path.

    Raises:
        StudyDataError: If the name does not end in .parquet, or the file cannot be written.
    """
    import pyarrow.parquet as pq

    target = Path(path)
    if target.suffix != EXPORT_SUFFIX:
        raise StudyDataError(
            f"exported file must be named *{EXPORT_SUFFIX}, got {str(path)!r}; by this ending it "
            "is told from the name of a study"
        )
    table = _table(record)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise StudyDataError(
            f"exported file must be writable, got {error.strerror or error} for {target}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def export_schema(columns: Mapping[str, str] = TRIAL_COLUMNS) -> pa.Schema:
    """Names and types of the columns, without metadata: one row is one trial.

    Args:
        columns: Names and dtypes of the table of trials.
    """
    import pyarrow as pa

    types = {
        "str": pa.string(),
        "float64": pa.float64(),
        "int64": pa.int64(),
        "boolean": pa.bool_(),
    }
    counts = pa.list_(pa.int64())
    tile = pa.struct([("tile", pa.string()), ("full", counts), ("eroded", counts)])
    return pa.schema(
        [
            *((name, types[dtype]) for name, dtype in columns.items()),
            ("failure", pa.string()),
            ("classes", pa.list_(pa.string())),
            ("exclude_from_mean", pa.list_(pa.string())),
            ("confusion", pa.list_(tile)),
        ]
    )


def _table(record: StudyRecord) -> pa.Table:
    import pyarrow as pa

    names = trial_columns(record.info.parameters)
    names = {name: kind for name, kind in names.items() if name in record.trials.columns}
    schema = export_schema(names)
    keys = record.trials["trial_key"].tolist()
    columns = {
        name: pa.Array.from_pandas(record.trials[name], type=schema.field(name).type)
        for name in names
    }
    shown = record.trials["artifact_uri"].map(without_login)
    columns["artifact_uri"] = pa.Array.from_pandas(shown, type=pa.string())
    confusions = [record.confusions.get(key) for key in keys]
    rows = [_confusion_row(confusion) for confusion in confusions]
    nested: dict[str, list[Any]] = {"failure": [record.failures.get(key) for key in keys]}
    for name in ("classes", "exclude_from_mean", "confusion"):
        nested[name] = [row[name] for row in rows]
    columns |= {
        name: pa.array(values, type=schema.field(name).type) for name, values in nested.items()
    }
    return pa.table(columns, schema=schema.with_metadata(_metadata(record)))


def _confusion_row(confusion: TrialConfusion | None) -> Mapping[str, Any]:
    if confusion is None:
        return dict.fromkeys(("classes", "exclude_from_mean", "confusion"))
    return {
        "classes": confusion.classes,
        "exclude_from_mean": confusion.exclude_from_mean,
        "confusion": [
            {
                "tile": tile.name,
                "full": tile.full.ravel(),
                "eroded": None if tile.eroded is None else tile.eroded.ravel(),
            }
            for tile in confusion.tiles
        ],
    }


def _metadata(record: StudyRecord) -> dict[str, str]:
    info = record.info
    values = {
        "schema": str(EXPORT_SCHEMA),
        "name": info.name,
        "status": info.status,
        "notes": json.dumps([note for note in record.notes if note != NO_PICTURES]),
        "store": without_login(record.tracking_uri),
        "run_id": record.run_id,
    }
    if info.num_failed is not None:
        values["num_failed"] = str(info.num_failed)
    if record.times is not None:
        values["times"] = times_json(record.times)
    if info.document:
        # In ASCII: YAML folds some line breaks of Unicode, which would come back as spaces.
        values["study_yaml"] = yaml.safe_dump(dict(info.document), sort_keys=False)
    return {METADATA_PREFIX + key: value for key, value in values.items()}
