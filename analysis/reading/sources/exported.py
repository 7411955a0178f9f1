"""An exported Parquet file -> StudyRecord, as it would come from MLflow but for the pictures."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from analysis.reading.confusion import TrialConfusion, parse_confusion
from analysis.reading.schema import StudyDataError, StudyInfo, parse_study
from analysis.reading.sources.export import (
    ADDED_COLUMNS,
    EXPORT_SCHEMA,
    METADATA_PREFIX,
    NO_PICTURES,
    OPTIONAL_COLUMNS,
    export_schema,
)
from analysis.reading.sources.record import StudyRecord, check_same_classes
from analysis.reading.study_times import parse_times
from analysis.reading.trials import TRIAL_COLUMNS, trial_columns, trials_frame
from contract.names import PHASES, STATUSES

if TYPE_CHECKING:
    import pyarrow as pa

_ALLOWED = {"phase": PHASES, "status": STATUSES}
_REQUIRED = ("name", "status", "notes", "store", "run_id")


def load_exported(path: str | Path) -> StudyRecord:
    """Reads a file that `export.write_export` wrote.

    Tables, curves and statistics made from it are those made from MLflow. Columns that the file
    holds beside its own are not read.

    Args:
        path: The file.

    Returns:
        The study; its artifacts are None, and its last note says so.

    Raises:
        StudyDataError: If the file is missing, damaged, of a newer version, or does not keep the
            contract of docs/export.md.
    """
    source = Path(path)
    if not source.is_file():
        raise StudyDataError(
            f"exported study must be an existing file, got {str(path)!r} (looked for "
            f"{source.absolute()}); `python -m analysis export NAME` writes one"
        )
    table, metadata, info = _read(source)
    absent = _absent(info)  # a file of an earlier version has fewer columns
    rows: list[dict[str, Any]] = [absent | row for row in table.to_pylist()]
    _check_rows(rows, source)
    confusions = {
        row["trial_key"]: _confusion(row, source) for row in rows if row["confusion"] is not None
    }
    check_same_classes(confusions)
    return StudyRecord(
        info=info,
        trials=trials_frame(rows, info.parameters),
        confusions=confusions,
        failures={
            row["trial_key"]: row["failure"] or "" for row in rows if row["status"] == "failed"
        },
        notes=(*_notes(metadata["notes"], source), NO_PICTURES),
        tracking_uri=metadata["store"],
        run_id=metadata["run_id"],
        times=parse_times(metadata["times"], str(source)) if "times" in metadata else None,
        is_exported=True,
    )


def _absent(info: StudyInfo) -> dict[str, Any]:
    """What stands for a column that a file does not have."""
    added = {one.name: None if one.is_number else "" for one in info.parameters}
    return added | dict.fromkeys(TRIAL_COLUMNS)


def _read(path: Path) -> tuple[pa.Table, dict[str, str], StudyInfo]:
    """The columns of the file's version, the metadata without their prefix, and the study."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            found = file.schema_arrow
            metadata = _checked_metadata(found.metadata or {}, path)
            info = _study_info(metadata, path)
            expected = _schema_of(int(metadata["schema"]), info, found.names)
            _check_columns(found, expected, path)
            return file.read(columns=expected.names), metadata, info
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise StudyDataError(
            f"exported study must be a complete Parquet file, got {str(path)!r} ({reason}); "
            "export the study again"
        ) from error


def _checked_metadata(raw: Mapping[bytes, bytes], path: Path) -> dict[str, str]:
    prefix = METADATA_PREFIX.encode()
    metadata = {
        key.removeprefix(prefix).decode(errors="replace"): value.decode(errors="replace")
        for key, value in raw.items()
        if key.startswith(prefix)
    }
    version = metadata.get("schema", "")
    if not version.isdecimal() or int(version) < 1:
        raise StudyDataError(
            f"metadata {METADATA_PREFIX}schema must be a whole number >= 1, got {version!r} in "
            f"{path}; the file must come from `python -m analysis export`"
        )
    if int(version) > EXPORT_SCHEMA:
        raise StudyDataError(
            f"schema of an exported study must be at most {EXPORT_SCHEMA}, got {version} in "
            f"{path}; read it with the newer urec-study that wrote it, or export again with this"
        )
    missing = [METADATA_PREFIX + key for key in _REQUIRED if key not in metadata]
    if missing:
        raise StudyDataError(f"metadata {missing} must be set, got none in {path}; export again")
    return metadata


def _schema_of(version: int, info: StudyInfo, found: Collection[str]) -> pa.Schema:
    """The columns of files of this version: those of today without what was added since."""
    import pyarrow as pa

    # Where the record has no space, a file holds those of the parameters that its trials had.
    varied = [one for one in info.parameters if one.role != "unrecorded" or one.name in found]
    later = {name for added, names in ADDED_COLUMNS.items() if added > version for name in names}
    later |= {name for name in OPTIONAL_COLUMNS if name not in found}
    columns = trial_columns(varied if version >= 3 else ())
    return pa.schema([field for field in export_schema(columns) if field.name not in later])


def _check_columns(found: pa.Schema, expected: pa.Schema, path: Path) -> None:
    missing = [name for name in expected.names if name not in found.names]
    if missing:
        raise StudyDataError(
            f"exported study must have the columns {missing}, got none in {path}; export the "
            "study again"
        )
    for field in expected:
        got = found.field(field.name).type
        if got != field.type:
            raise StudyDataError(
                f"column {field.name} must be of type {field.type}, got {got} in {path}; export "
                "the study again"
            )


def _check_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """What `trials.trial_row` checks of a run, and that no trial stands twice."""
    seen: set[str] = set()
    never_null = [name for name, dtype in TRIAL_COLUMNS.items() if dtype in ("str", "int64")]
    for row in rows:
        key = row["trial_key"]
        where = f"trial {key} of {path}"
        for name in never_null:
            if row[name] is None:
                raise StudyDataError(f"{name} must be set, got none in {where}")
        for name, allowed in _ALLOWED.items():
            if row[name] not in allowed:
                raise StudyDataError(
                    f"{name} must be one of {list(allowed)}, got {row[name]!r} in {where}"
                )
        if row["label_frac"] is None or not 0.0 < row["label_frac"] <= 1.0:
            raise StudyDataError(
                f"label_frac must be in (0, 1], got {row['label_frac']!r} in {where}"
            )
        if key in seen:
            raise StudyDataError(f"trial_key must be unique, got {key!r} twice in {path}")
        seen.add(key)


def _confusion(row: Mapping[str, Any], path: Path) -> TrialConfusion:
    where = f"trial {row['trial_key']} of {path}"
    classes = row["classes"] or ()
    tiles = [
        {
            "name": tile["tile"],
            "full": _square(tile["full"], len(classes), where),
            "eroded": None
            if tile["eroded"] is None
            else _square(tile["eroded"], len(classes), where),
        }
        for tile in row["confusion"]
    ]
    document = {
        "schema": 1,
        "split": "test",
        "classes": classes,
        "exclude_from_mean": row["exclude_from_mean"] or (),
        "tiles": tiles,
    }
    return parse_confusion(document, where=where)


def _square(flat: Sequence[int] | None, num_classes: int, where: str) -> np.ndarray[Any, Any]:
    """Flattened counts as (K, K); rows reference."""
    num = -1 if flat is None else len(flat)
    if num != num_classes**2 or num == 0:
        raise StudyDataError(
            f"counts of a tile must be {num_classes} x {num_classes} numbers, got "
            f"{'none' if flat is None else num} in {where}"
        )
    return np.array(flat).reshape(num_classes, num_classes)


def _study_info(metadata: Mapping[str, str], path: Path) -> StudyInfo:
    try:
        document = yaml.safe_load(metadata.get("study_yaml", "{}"))
    except yaml.YAMLError as error:
        raise StudyDataError(f"study.yaml must be YAML, got something else in {path}") from error
    if not isinstance(document, dict):
        raise StudyDataError(f"study.yaml must be a mapping, got {document!r} in {path}")
    return parse_study(
        document,
        name=metadata["name"],
        status=metadata["status"],
        num_failed=metadata.get("num_failed"),
    )


def _notes(text: str, path: Path) -> tuple[str, ...]:
    try:
        notes = json.loads(text)
    except json.JSONDecodeError as error:
        raise StudyDataError(f"notes must be a JSON list, got {text!r} in {path}") from error
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise StudyDataError(f"notes must be a JSON list of texts, got {text!r} in {path}")
    return tuple(notes)
