import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from analysis.reading.schema import StudyDataError
from analysis.reading.sources.load import load_study
from analysis.reading.trials import TRIAL_COLUMNS


def test_every_run_becomes_one_checked_row(store: str) -> None:
    record = load_study("full", store)
    assert list(record.trials.columns) == list(TRIAL_COLUMNS)
    assert (record.trials["phase"] == "confirm").sum() == 12
    assert (record.trials["phase"] == "search").sum() == 4
    assert record.trials["trial_key"].is_monotonic_increasing
    row = record.trials.set_index("trial_key").loc["confirm-urec-f0.02-s1"]
    assert (row["model"], row["label_frac"], row["seed"]) == ("urec", 0.02, 1)
    assert row["w1"] == 0.1
    assert row["reached_frac"] == pytest.approx(0.0198)
    assert set(record.confusions) == {k for k in record.trials["trial_key"] if k[0] == "c"}
    assert record.notes == ()


def test_classes_and_configuration_come_from_study_yaml(store: str) -> None:
    info = load_study("full", store).info
    assert info.classes[1].name == "building"
    assert info.classes[1].color == "#0000FF"
    assert info.num_seeds_asked == 3
    assert info.document["provenance"]["commit"] == "0123abc"


def test_unet_has_no_reconstruction_weight_whatever_was_logged(store: str) -> None:
    trials = load_study("full", store).trials
    assert trials.loc[trials["model"] == "unet", "w1"].isna().all()


def test_artifacts_of_a_trial_are_read_on_demand(store: str) -> None:
    record = load_study("full", store)
    picture = record.artifact("confirm-unet-f0.02-s0", "picture.png")
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert record.artifact("confirm-unet-f0.02-s0", "nothing.txt") is None
    with pytest.raises(KeyError):
        record.artifact("confirm-unet-f0.02-s9", "picture.png")


def test_finished_attempt_stands_for_a_trial_and_the_rest_is_told(store: str) -> None:
    record = load_study("broken", store)
    row = record.trials.set_index("trial_key").loc["confirm-unet-f0.10-s0"]
    assert row["status"] == "finished"
    assert record.notes == (
        "1 earlier attempt(s) at a trial were replaced by later ones.",
        "1 run(s) without a trial_key are not part of the study.",
    )
    assert record.failures == {
        f"confirm-urec-f0.10-s{seed}": "RuntimeError: out of memory" for seed in range(2)
    }


def test_study_without_runs_or_document_still_loads(store: str) -> None:
    assert load_study("empty", store).trials.empty
    searching = load_study("searching", store)
    assert searching.info.classes == ()
    assert "no study.yaml" in searching.notes[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [("wrong-shape", r"shape \(6, 6\), got \(2, 3\) in tile area15")],
)
def test_broken_contract_names_the_trial(store: str, name: str, message: str) -> None:
    with pytest.raises(StudyDataError, match=message):
        load_study(name, store)


def test_a_model_that_nobody_knows_is_a_variant_of_its_own_name(store: str) -> None:
    (style,) = load_study("wrong-model", store).styles.values()
    assert (style.label, style.variant.method, style.is_baseline) == ("segnet", "segnet", False)


def test_importing_load_is_quick() -> None:
    heavy = ("mlflow", "pyarrow", "matplotlib", "seaborn", "pandas", "scipy", "torch", "ray")
    loaded = f"[m for m in {heavy!r} if m in sys.modules]"
    code = f"import sys, analysis.reading.sources.load; print({loaded})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_confusion_counts_survive_the_store(store: str) -> None:
    record = load_study("full", store)
    confusion = record.confusions["confirm-unet-f1.00-s0"]
    assert confusion.pooled().dtype == np.int64
    assert len(confusion.tiles) == 2
    assert confusion.pooled().sum() == sum(tile.full.sum() for tile in confusion.tiles)


def test_trials_of_an_earlier_study_of_the_same_name_are_left_out(store: str) -> None:
    record = load_study("twice", store)
    assert record.trials["label_frac"].tolist() == [0.5]
    assert "Earlier studies of this name are left out: 1." in record.notes


def test_trial_without_the_newer_tags_is_its_models_variant_and_had_one_attempt(store: str) -> None:
    trials = load_study("full", store).trials
    assert trials["variant"].tolist() == trials["model"].tolist()
    assert set(trials["attempts"]) == {1}


def test_variants_are_told_apart_and_stay_u_rec(store: str) -> None:
    record = load_study("variants", store)
    row = record.trials.set_index("trial_key").loc["confirm-urec-annotated-f0.02-s1"]
    assert (row["model"], row["variant"], row["w1"]) == ("urec", "urec-annotated", 0.1)
    assert set(record.trials["variant"]) == {"unet", "urec-all", "urec-annotated"}


def test_pruned_trial_is_read_and_has_no_confusion(store: str) -> None:
    record = load_study("variants", store)
    pruned = record.trials[record.trials["status"] == "pruned"]
    assert len(pruned) == 10
    assert set(pruned["phase"]) == {"search"}
    assert not set(pruned["trial_key"]) & (set(record.confusions) | set(record.failures))


def test_attempts_and_failures_off_the_record_are_noted(store: str) -> None:
    record = load_study("variants", store)
    assert len(record.failures) == 6
    assert record.notes == (
        "Started more than once, not failed in the end: 1 trial.",
        "The study counted 7 failed trials, 6 of them are on record.",
    )


def test_stopped_study_has_not_ended(store: str) -> None:
    record = load_study("stopped", store)
    assert not record.info.has_ended
    assert record.trials["status"].value_counts()["stopped"] == 2


def copied(store: str, folder: Path) -> str:
    """A store of its own to write to; artifacts stay where they are."""
    shutil.copy(store.removeprefix("sqlite:///"), folder / "mlflow.db")
    return f"sqlite:///{folder / 'mlflow.db'}"


def test_trials_that_survived_a_damaged_checkpoint_are_noted(store: str, tmp_path: Path) -> None:
    uri = copied(store, tmp_path)
    client = MlflowClient(tracking_uri=uri)
    trials = load_study("full", uri).trials
    assert load_study("full", uri).notes == ()
    for num, run_id in enumerate(trials["run_id"][:2], start=1):
        client.set_tag(run_id, "damaged_checkpoints", "checkpoint.pt was damaged and not used")
        trial = "1 trial" if num == 1 else f"{num} trials"
        assert load_study("full", uri).notes == (
            f"{trial} went on from an earlier checkpoint because one was damaged.",
        )


def test_study_is_read_by_one_search_and_no_request_per_run(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("search_runs", "get_run", "list_artifacts", "download_artifacts"):
        original = getattr(MlflowClient, name)

        def counting(
            self: MlflowClient, *args: Any, _name: str = name, _do: Any = original, **kw: Any
        ) -> Any:
            asked.append(_name)
            return _do(self, *args, **kw)

        monkeypatch.setattr(MlflowClient, name, counting)
    assert len(load_study("full", store).confusions) == 12
    assert asked == ["search_runs"]


def test_name_that_ends_in_parquet_is_a_file_and_needs_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyDataError, match=r"existing file, got 'full\.parquet'"):
        load_study("full.parquet", "sqlite:///nowhere.db")
