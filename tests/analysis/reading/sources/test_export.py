import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from analysis.reading.schema import StudyDataError
from analysis.reading.sources.export import EXPORT_SCHEMA, NO_PICTURES, export_schema, write_export
from analysis.reading.sources.load import load_study
from analysis.reading.trials import TRIAL_COLUMNS

DOCUMENT = Path(__file__).parents[4] / "docs" / "export.md"


def metadata_of(path: Path) -> dict[str, str]:
    raw = pq.read_schema(path).metadata
    return {k.decode().removeprefix("urec_study."): v.decode() for k, v in raw.items()}


@pytest.fixture(scope="module")
def full_file(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = load_study("full", store)
    return write_export(record, tmp_path_factory.mktemp("export") / "full.parquet")


def test_pandas_alone_reads_a_row_per_trial(store: str, full_file: Path) -> None:
    frame = pd.read_parquet(full_file)
    record = load_study("full", store)
    assert frame["trial_key"].tolist() == record.trials["trial_key"].tolist()
    assert list(frame.columns[: len(TRIAL_COLUMNS)]) == list(TRIAL_COLUMNS)
    row = frame.set_index("trial_key").loc["confirm-urec-f0.02-s1"]
    confusion = record.confusions["confirm-urec-f0.02-s1"]
    assert [tile["tile"] for tile in row["confusion"]] == ["area15", "area17"]
    assert row["confusion"][1]["full"].tolist() == confusion.tiles[1].full.ravel().tolist()
    assert list(row["classes"]) == list(confusion.classes)
    assert list(row["exclude_from_mean"]) == ["clutter"]


def test_counts_are_flattened_by_rows_of_the_reference(store: str, tmp_path: Path) -> None:
    record = load_study("one-seed", store)
    key = "confirm-unet-f0.10-s0"
    counts = np.arange(36, dtype=np.int64).reshape(6, 6) * 2**40
    tile = replace(record.confusions[key].tiles[0], full=counts)
    trial = replace(record.confusions[key], tiles=(tile,))
    path = write_export(replace(record, confusions={key: trial}), tmp_path / "a.parquet")
    rows = {row["trial_key"]: row for row in pq.read_table(path).to_pylist()}
    # one reference pixel class 2 taken for class 3 stands at 2 * 6 + 3
    assert rows[key]["confusion"][0]["full"][15] == 15 * 2**40
    assert rows[key]["confusion"][0]["eroded"] is None
    assert rows["confirm-urec-f0.10-s0"]["confusion"] is None


def test_missing_is_null_and_failure_is_text_of_failed_trials_alone(
    store: str, tmp_path: Path
) -> None:
    path = write_export(load_study("broken", store), tmp_path / "broken.parquet")
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        failed = row["status"] == "failed"
        assert row["failure"] == ("RuntimeError: out of memory" if failed else None)
        assert (row["confusion"] is None) == failed
        assert (row["w1"] is None) == (row["model"] == "unet")
        assert (row["converged"] is None) == failed
        assert row["select_mean_f1"] is None


def test_metadata_hold_the_study_beside_its_trials(store: str, tmp_path: Path) -> None:
    record = load_study("variants", store)
    metadata = metadata_of(write_export(record, tmp_path / "variants.parquet"))
    assert metadata["schema"] == str(EXPORT_SCHEMA)
    assert (metadata["name"], metadata["status"]) == ("variants", "finished")
    assert metadata["num_failed"] == "7"
    assert json.loads(metadata["notes"]) == list(record.notes)
    assert metadata["store"] == store
    assert yaml.safe_load(metadata["study_yaml"]) == record.info.document


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("https://me:secret@host:5000/a", "https://host:5000/a"),
        ("postgresql://me@host/db?password=secret", "postgresql://host/db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://host", "http://host"),
        ("mlruns", "mlruns"),
    ],
)
def test_file_holds_no_credentials_of_the_store(
    store: str, tmp_path: Path, uri: str, written: str
) -> None:
    record = replace(load_study("empty", store), tracking_uri=uri)
    assert metadata_of(write_export(record, tmp_path / "a.parquet"))["store"] == written


def test_same_record_gives_the_same_bytes(store: str, tmp_path: Path, full_file: Path) -> None:
    again = write_export(load_study("full", store), tmp_path / "deep" / "er" / "other.parquet")
    assert again.read_bytes() == full_file.read_bytes()
    other = write_export(load_study("one-seed", store), tmp_path / "other.parquet")
    assert other.read_bytes() != full_file.read_bytes()


def test_file_appears_whole_or_not_at_all(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "full.parquet"
    target.write_bytes(b"earlier")

    def disk_full(table: object, file: object, **options: object) -> None:
        file.write(b"PAR1")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", disk_full)
    with pytest.raises(StudyDataError, match="must be writable, got No space left on device"):
        write_export(load_study("full", store), target)
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_other_endings_are_refused(store: str, tmp_path: Path) -> None:
    record = load_study("empty", store)
    for name in ("full", "full.csv", "full.parquet.gz"):
        with pytest.raises(StudyDataError, match=r"must be named \*\.parquet"):
            write_export(record, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_every_column_is_documented_with_its_type() -> None:
    documented = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", DOCUMENT.read_text(), re.MULTILINE)
    expected = [
        (field.name, "list of tiles" if field.name == "confusion" else str(field.type))
        for field in export_schema()
    ]
    expected = [
        (name, "list of string" if kind.startswith("list<") else kind.replace("double", "float64"))
        for name, kind in expected
    ]
    assert [(name, kind.strip()) for name, kind in documented] == expected


def test_document_names_the_version_and_the_note() -> None:
    text = DOCUMENT.read_text()
    assert f"Version {EXPORT_SCHEMA} " in text
    assert NO_PICTURES in " ".join(text.split())
