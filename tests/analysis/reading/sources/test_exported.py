import math
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.page.report import make_curves, make_tables
from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyDataError, parse_study
from analysis.reading.sources.export import (
    ADDED_COLUMNS,
    NO_PICTURES,
    OPTIONAL_COLUMNS,
    write_export,
)
from analysis.reading.sources.exported import load_exported
from analysis.reading.sources.load import StudyRecord, load_study
from analysis.reading.study_times import StudyTimes
from analysis.reading.trials import TRIAL_COLUMNS, trials_frame
from contract.names import PHASES, STATUSES, STUDY_STATUSES

STUDIES = (
    "full", "variants", "one-seed", "one-model", "empty", "searching", "broken", "stopped",
    "absent-class", "twice", "profiled",
)  # fmt: skip


VARIANTS = [("unet", "unet"), ("urec", "urec-annotated"), ("x", "x-depth-3"), ("", "\N{SNOWMAN}")]


def assert_same(exported: StudyRecord, tracked: StudyRecord) -> None:
    pd.testing.assert_frame_equal(exported.trials, tracked.trials)
    assert exported.info == tracked.info
    assert exported.failures == tracked.failures
    assert exported.notes == (*tracked.notes, NO_PICTURES)
    assert exported.tracking_uri == tracked.tracking_uri
    assert exported.times == tracked.times
    assert exported.confusions.keys() == tracked.confusions.keys()
    for key, confusion in tracked.confusions.items():
        again = exported.confusions[key]
        assert (again.classes, again.exclude_from_mean) == (
            confusion.classes, confusion.exclude_from_mean,
        )  # fmt: skip
        assert [tile.name for tile in again.tiles] == [tile.name for tile in confusion.tiles]
        for one, other in zip(again.tiles, confusion.tiles, strict=True):
            assert one.full.dtype == np.int64
            np.testing.assert_array_equal(one.full, other.full)
            assert (one.eroded is None) == (other.eroded is None)
            if one.eroded is not None and other.eroded is not None:
                np.testing.assert_array_equal(one.eroded, other.eroded)


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_comes_back_as_it_was(store: str, tmp_path: Path, study: str) -> None:
    tracked = load_study(study, store)
    path = write_export(tracked, tmp_path / "study.parquet")
    exported = load_study(str(path))
    assert_same(exported, tracked)
    assert_same(load_exported(write_export(exported, tmp_path / "again.parquet")), tracked)


@pytest.mark.parametrize("study", ["full", "variants", "absent-class", "broken", "profiled"])
def test_tables_and_curves_are_the_same_bytes(store: str, tmp_path: Path, study: str) -> None:
    path = write_export(load_study(study, store), tmp_path / "study.parquet")
    written: list[dict[str, bytes]] = []
    for name, uri in ((study, store), (str(path), None)):
        folder = tmp_path / f"from{len(written)}"
        files = [
            *make_tables(name, tracking_uri=uri, out=folder).files,
            *make_curves(name, tracking_uri=uri, out=folder).files,
        ]
        written.append({str(file.relative_to(folder)): file.read_bytes() for file in files})
    assert len(written[0]) >= 6
    assert written[0] == written[1]


finite = st.floats(allow_nan=False)
maybe = st.one_of(st.just(math.nan), finite)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def confusions(draw: st.DrawFn, classes: tuple[str, ...]) -> TrialConfusion:
    size = len(classes)
    counts = st.lists(st.integers(0, 2**62), min_size=size**2, max_size=size**2).map(
        lambda flat: np.array(flat, dtype=np.int64).reshape(size, size)
    )
    tile = st.builds(TileConfusion, name=text, full=counts, eroded=st.none() | counts)
    tiles = draw(st.lists(tile, min_size=1, max_size=3))
    return TrialConfusion(classes=classes, exclude_from_mean=classes[1:2], tiles=tuple(tiles))


@st.composite
def records(draw: st.DrawFn) -> StudyRecord:
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "str": text, "float64": maybe, "boolean": st.none() | st.booleans(),
        "int64": st.integers(-(2**63), 2**63 - 1),
    }  # fmt: skip
    rows = []
    for key in draw(st.lists(text, unique=True, max_size=4)):
        row = {name: draw(drawn[dtype]) for name, dtype in TRIAL_COLUMNS.items()}
        model, variant = draw(st.sampled_from(VARIANTS))
        row |= {
            "trial_key": key, "variant": variant, "model": model,
            "phase": draw(st.sampled_from(PHASES)), "status": draw(st.sampled_from(STATUSES)),
            "label_frac": draw(st.floats(0.0, 1.0, exclude_min=True)),
        }  # fmt: skip
        rows.append(row)
    classes = tuple(draw(st.lists(text, unique=True, min_size=1, max_size=4)))
    measured = [row["trial_key"] for row in rows if draw(st.booleans())]
    document = {"config": {"seeds": draw(st.integers(0, 99)), "w1": draw(finite), "x": draw(text)}}
    return StudyRecord(
        info=parse_study(
            draw(st.sampled_from([document, {}])), name=draw(text),
            status=draw(st.sampled_from(STUDY_STATUSES)),
            num_failed=draw(st.sampled_from([None, "0", "12"])),
        ),
        trials=trials_frame(rows),
        confusions={key: draw(confusions(classes)) for key in measured},
        failures={row["trial_key"]: draw(text) for row in rows if row["status"] == "failed"},
        notes=tuple(draw(st.lists(text, max_size=2))),
        tracking_uri="sqlite:///mlflow.db",
        times=draw(st.none() | st.builds(StudyTimes, **{
            one.name: st.floats(
                0.0,
                allow_infinity=False,
                exclude_min=one.name in ("sessions", "slots", "slot_s"),
            )
            for one in dataclass_fields(StudyTimes)
        })),
    )  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=records())
def test_any_record_comes_back(tmp_path: Path, record: StudyRecord) -> None:
    assert_same(load_exported(write_export(record, tmp_path / "any.parquet")), record)


def with_metadata(table: pa.Table, **changed: str | None) -> pa.Table:
    metadata = dict(table.schema.metadata)
    for name, value in changed.items():
        metadata.pop(f"urec_study.{name}".encode(), None)
        if value is not None:
            metadata[f"urec_study.{name}".encode()] = value.encode()
    return table.replace_schema_metadata(metadata)


def with_space(table: pa.Table, space: str) -> pa.Table:
    return with_metadata(table, study_yaml=f"config: {{space: '{space}'}}")


def with_row(table: pa.Table, **changed: Any) -> pa.Table:
    """The table with other values in its first row."""
    rows = table.to_pylist()
    rows[0] |= changed
    return pa.Table.from_pylist(rows, schema=table.schema)


CHANGES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "newer": (lambda t: with_metadata(t, schema="5"), "at most 4, got 5 in .*newer urec-study"),
    "no version": (lambda t: with_metadata(t, schema=None), "schema must be a whole number"),
    "no name": (lambda t: with_metadata(t, name=None), r"\['urec_study.name'\] must be set"),
    "foreign": (lambda t: t.replace_schema_metadata({}), "must come from `python -m analysis exp"),
    "notes": (lambda t: with_metadata(t, notes="{"), "notes must be a JSON list"),
    "notes type": (lambda t: with_metadata(t, notes="[1]"), "notes must be a JSON list"),
    "yaml": (lambda t: with_metadata(t, study_yaml="a: [b"), "study.yaml must be YAML"),
    "yaml type": (lambda t: with_metadata(t, study_yaml="[1]"), "study.yaml must be a mapping"),
    "study status": (lambda t: with_metadata(t, status="done"), "status must be one of"),
    "times": (lambda t: with_metadata(t, times="{"), "times must be a JSON object, got '{'"),
    "added column": (lambda t: t.drop_columns(["test_s"]), r"columns \['test_s'\], got none"),
    "parameter": (lambda t: with_space(t, "depth=1/2"), r"columns \['depth'\], got none"),
    "column": (lambda t: t.drop_columns(["lr", "w1"]), r"columns \['w1', 'lr'\]"),
    "type": (
        lambda t: t.set_column(0, "trial_key", pa.array([1] * len(t))),
        "trial_key must be of type string, got int64",
    ),
    "status": (lambda t: with_row(t, status="done"), "status must be one of .* got 'done' in tri"),
    "model": (lambda t: with_row(t, model="urec"), "model must be that of variant unet"),
    "fraction": (lambda t: with_row(t, label_frac=1.5), "label_frac must be in"),
    "seed": (lambda t: with_row(t, seed=None), "seed must be set, got none in trial confirm-unet"),
    "twice": (lambda t: pa.concat_tables([t, t]), "trial_key must be unique"),
    "counts": (
        lambda t: with_row(t, confusion=[{"tile": "a", "full": [1, 2], "eroded": None}]),
        "must be 6 x 6 numbers, got 2 in trial confirm-unet-f0.10-s0 of",
    ),
    "negative": (
        lambda t: with_row(t, confusion=[{"tile": "a", "full": [-1] * 36, "eroded": None}]),
        "whole pixel counts >= 0 in tile a",
    ),
    "no tile": (lambda t: with_row(t, confusion=[]), "tiles of .* must not be empty"),
    "classes": (
        lambda t: with_row(t, classes=list("abcdef"), exclude_from_mean=[]),
        "must be the same in all trials",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def one_seed(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    return write_export(load_study("one-seed", store), folder / "one.parquet")


@pytest.mark.parametrize("change", list(CHANGES))
def test_broken_contract_is_one_line(one_seed: Path, tmp_path: Path, change: str) -> None:
    do, said = CHANGES[change]
    path = tmp_path / "changed.parquet"
    pq.write_table(do(pq.read_table(one_seed)), path)
    with pytest.raises(StudyDataError, match=said) as caught:
        load_exported(path)
    assert "\n" not in str(caught.value)


def test_columns_of_others_are_not_read(one_seed: Path, tmp_path: Path, store: str) -> None:
    table = pq.read_table(one_seed)
    pq.write_table(table.append_column("mine", pa.array([0] * len(table))), tmp_path / "a.parquet")
    assert_same(load_exported(tmp_path / "a.parquet"), load_study("one-seed", store))


def test_missing_file_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(StudyDataError, match=f"looked for {tmp_path}.*analysis export NAME"):
        load_exported(tmp_path / "gone.parquet")
    with pytest.raises(StudyDataError, match="must be an existing file"):
        load_exported(tmp_path)


def test_cut_off_or_damaged_file_is_one_line(one_seed: Path, tmp_path: Path) -> None:
    whole = one_seed.read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    for num, content in enumerate(
        (b"", b"a,b\n1,2\n" * 9, whole[: len(whole) // 2], bytes(flipped))
    ):
        path = tmp_path / f"{num}.parquet"
        path.write_bytes(content)
        with pytest.raises(StudyDataError, match="must be a complete Parquet file") as caught:
            load_exported(path)
        assert "\n" not in str(caught.value)


def test_no_byte_can_change_in_silence(one_seed: Path, tmp_path: Path, store: str) -> None:
    """Every change of one byte is refused, or changes nothing that was read."""
    whole, tracked = one_seed.read_bytes(), load_study("one-seed", store)
    path = tmp_path / "flipped.parquet"
    num_refused = 0
    pages = range(4, whole.index(b"trial_key", len(whole) // 4), 97)
    for position in pages:
        content = bytearray(whole)
        content[position] ^= 0x10
        path.write_bytes(content)
        try:
            exported = load_exported(path)
        except StudyDataError:
            num_refused += 1
        else:
            assert_same(exported, tracked)
    assert num_refused > len(pages) // 2


def test_files_of_before_reconstructions_were_measured_are_read(store: str, tmp_path: Path) -> None:
    tracked = load_study("full", store)
    table = pq.read_table(write_export(tracked, tmp_path / "now.parquet"))
    pq.write_table(table.drop_columns(list(OPTIONAL_COLUMNS)), tmp_path / "before.parquet")
    assert_same(load_exported(tmp_path / "before.parquet"), tracked)


def test_files_of_the_first_version_are_read(store: str, tmp_path: Path) -> None:
    """They have no times of test tiles and of parts, whatever the study recorded."""
    tracked = load_study("profiled", store)
    table = pq.read_table(write_export(tracked, tmp_path / "now.parquet"))
    added = [name for names in ADDED_COLUMNS.values() for name in names]
    first = with_metadata(table.drop_columns(added), schema="1", times=None)
    pq.write_table(first, tmp_path / "first.parquet")
    found = load_exported(tmp_path / "first.parquet")
    assert found.times is None
    assert found.trials[added].isna().all(axis=None)
    others = [name for name in TRIAL_COLUMNS if name not in added]
    pd.testing.assert_frame_equal(found.trials[others], tracked.trials[others])


def test_files_of_the_third_version_know_nothing_of_validation(store: str, tmp_path: Path) -> None:
    tracked = load_study("validated", store)
    assert tracked.trials[list(ADDED_COLUMNS[4])].notna().all(axis=None)
    table = pq.read_table(write_export(tracked, tmp_path / "now.parquet"))
    third = with_metadata(table.drop_columns(list(ADDED_COLUMNS[4])), schema="3")
    pq.write_table(third, tmp_path / "third.parquet")
    found = load_exported(tmp_path / "third.parquet")
    assert found.trials[list(ADDED_COLUMNS[4])].isna().all(axis=None)
    others = [name for name in TRIAL_COLUMNS if name not in ADDED_COLUMNS[4]]
    pd.testing.assert_frame_equal(found.trials[others], tracked.trials[others])
    assert_same(load_exported(tmp_path / "now.parquet"), tracked)
