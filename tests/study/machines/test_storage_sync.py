import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.design.arms import confirm_trial, plan_arms, search_trial
from study.machines.storage_sync import StorageSync
from study.settings.config import StudyConfig
from trainables.errors import ConfigError
from trainables.storage.store import Store

END = "result.json"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_uri")).at("a study")
    return Store(str(tmp_path / "store" / "a study"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "output" / "a study"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def sync(folder: Path, store: Store) -> StorageSync:
    return StorageSync(folder, store)


def _manifest(folder: Path, study_id: str = "one", **more: Any) -> None:
    content = {"study_id": study_id, "config": {"name": "a study"}, **more}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))


def _write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def _files(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())


def _trial_in_store(store: Store, key: str, *names: str) -> None:
    for name in names:
        store.write(f"trials/{key}/{name}", name.encode())


def test_without_a_store_nothing_happens(folder: Path):
    sync = StorageSync(folder, None)
    sync.restore()
    sync.save("none")
    sync.remove_database()
    sync.pull("a")
    sync.push("a", "none")
    sync.drop("a", "none")
    sync.drop_checkpoints("a")
    assert _files(folder) == []


def test_nothing_comes_from_an_empty_store_into_an_empty_folder(
    sync: StorageSync, folder: Path, store: Store
):
    sync.restore()
    assert _files(folder) == []
    assert store.names() == []


def test_a_driver_goes_on_from_the_store_alone(sync: StorageSync, folder: Path, store: Store):
    _manifest(folder)
    _write(folder, "budgets/s0-f0.1.json", "budgets/s0-f0.1.png")
    sync.save("study.yaml", "budgets")
    _trial_in_store(store, "done", "maps/t ü.png", "model.pt", END)
    _trial_in_store(store, "running", "checkpoint.pt", "checkpoint-previous.pt", "failures.txt")
    _trial_in_store(store, "pruned", "pruned.json")
    _trial_in_store(store, "failed", "failed.json", "traceback.txt")
    manifest = (folder / "study.yaml").read_bytes()
    shutil.rmtree(folder)
    StorageSync(folder, store).restore()
    assert _files(folder) == [
        "budgets/s0-f0.1.json",
        "budgets/s0-f0.1.png",
        "study.yaml",
        "trials/done/maps/t ü.png",
        "trials/done/model.pt",
        f"trials/done/{END}",
        "trials/failed/failed.json",
        "trials/failed/traceback.txt",
        "trials/pruned/pruned.json",
        "trials/running/failures.txt",
    ]
    assert (folder / "study.yaml").read_bytes() == manifest
    assert (folder / "trials/done" / END).read_text() == END


def test_what_is_here_stays(sync: StorageSync, folder: Path, store: Store):
    _manifest(folder)
    _write(folder, "budgets/a.json", "trials/done/model.pt", f"trials/done/{END}")
    sync.save("study.yaml", "budgets")
    store.write("budgets/a.json", b"other")
    _trial_in_store(store, "done", "maps/t.png", END)
    (folder / "budgets/a.json").write_text("mine")
    sync.restore()
    assert (folder / "budgets/a.json").read_text() == "mine"
    assert not (folder / "trials/done/maps").exists()


def test_budgets_left_of_a_study_that_never_began_make_way(
    sync: StorageSync, folder: Path, store: Store, tmp_path: Path
):
    _manifest(tmp_path)
    store.write("study.yaml", (tmp_path / "study.yaml").read_bytes())
    store.write("budgets/a.json", b"stored")
    _write(folder, "budgets/a.json")
    sync.restore()
    assert (folder / "budgets/a.json").read_text() == "stored"


def test_another_study_of_this_name_is_refused(
    sync: StorageSync, folder: Path, store: Store, tmp_path: Path
):
    _manifest(tmp_path, "another")
    store.write("study.yaml", (tmp_path / "study.yaml").read_bytes())
    _trial_in_store(store, "done", END)
    _manifest(folder, "one")
    with pytest.raises(ConfigError) as refused:
        sync.restore()
    assert str(folder) in str(refused.value)
    assert store.shown in str(refused.value)
    assert "\n" not in str(refused.value)
    assert _files(folder) == ["study.yaml"]


def test_a_record_that_is_none_is_refused(sync: StorageSync, store: Store):
    store.write("study.yaml", b"study_id: [")
    with pytest.raises(ConfigError, match=r"study\.yaml in .* must be the record of a study"):
        sync.restore()


def test_what_broke_off_is_done_again(
    sync: StorageSync, folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    _manifest(tmp_path)
    store.write("study.yaml", (tmp_path / "study.yaml").read_bytes())
    _trial_in_store(store, "done", "maps/1.png", "maps/2.png", "model.pt", END)
    download = Store.download

    def broken(self: Store, name: str, path: Path) -> None:
        if name.endswith("model.pt"):
            raise OSError("broken")
        download(self, name, path)

    for bring in (sync.restore, lambda: sync.pull("done")):
        with monkeypatch.context() as breaking:
            breaking.setattr(Store, "download", broken)
            with pytest.raises(OSError, match="broken"):
                bring()
        assert not (folder / "trials/done" / END).exists()
        assert not (folder / "study.yaml").exists()
    sync.restore()
    assert len(_files(folder)) == 5


def test_pull_brings_a_trial_and_no_checkpoints(sync: StorageSync, folder: Path, store: Store):
    _trial_in_store(store, "a b", "checkpoint.pt", "maps/ü.png", "picture.png", END)
    _trial_in_store(store, "a", END)
    sync.pull("a b")
    sync.pull("a b")
    sync.pull("none")
    assert _files(folder) == [f"trials/a b/{name}" for name in ("maps/ü.png", "picture.png", END)]


def test_push_and_drop(sync: StorageSync, folder: Path, store: Store):
    _write(folder, "trials/a/traceback.txt", "trials/a/failed.json")
    _trial_in_store(store, "a", "checkpoint.pt", "checkpoint-previous.pt")
    sync.push("a", "traceback.txt", "failed.json")
    assert store.read("trials/a/failed.json") == b"trials/a/failed.json"
    sync.drop_checkpoints("a")
    sync.drop("a", "failed.json", "failures.txt")
    assert store.names() == ["trials/a/traceback.txt"]
    with pytest.raises(FileNotFoundError):
        sync.push("a", "pruned.json")


def test_files_are_saved_once(
    sync: StorageSync, folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    written: list[str] = []
    write = Store.write

    def note(self: Store, name: str, content: bytes) -> None:
        written.append(name)
        write(self, name, content)

    monkeypatch.setattr(Store, "write", note)
    _manifest(folder)
    _write(folder, "budgets/a.json", "budgets/b.json", "budgets/.c.1.partial")
    sync.save("budgets", "study.yaml")
    sync.save("budgets", "study.yaml")
    assert written == ["budgets/a.json", "budgets/b.json", "study.yaml"]
    (folder / "budgets/a.json").write_text("changed")
    sync.save("budgets")
    assert written[3:] == ["budgets/a.json"]
    assert store.read("budgets/a.json") == b"changed"
    with pytest.raises(FileNotFoundError):
        sync.save("none")


def test_the_database_of_an_earlier_version_is_taken_and_then_removed(
    sync: StorageSync, folder: Path, store: Store
):
    """It holds values of trials that have not ended; now the trials' folders say them."""
    _manifest(folder)
    sync.save("study.yaml")
    store.write("optuna.db", b"stored")
    _write(folder, "optuna.db", "optuna.db-wal")
    sync.restore()
    assert (folder / "optuna.db").read_bytes() == b"stored"
    assert not (folder / "optuna.db-wal").exists()
    assert "optuna.db" in store.names(), "until their folders do"
    sync.remove_database()
    sync.remove_database()
    assert "optuna.db" not in store.names()


def test_the_plan_of_a_trial_that_went_on_elsewhere_is_taken(
    sync: StorageSync, folder: Path, store: Store
):
    """A plan that is here alone was never run: the driver died before it reached the store."""
    _manifest(folder)
    sync.save("study.yaml")
    _write(folder, "trials/a/trial.json", "trials/b/trial.json")
    store.write("trials/a/trial.json", b"stored")
    _trial_in_store(store, "c", "trial.json", "checkpoint.pt")
    sync.restore()
    plans = {file.parent.name: file.read_text() for file in folder.glob("trials/*/trial.json")}
    assert plans == {
        "a": "stored", "b": "trials/b/trial.json", "c": "trial.json",
    }  # fmt: skip


def test_the_record_that_went_on_elsewhere_is_taken(sync: StorageSync, folder: Path, store: Store):
    _manifest(folder, continued=[{"commit": "later"}])
    sync.save("study.yaml")
    _manifest(folder)
    sync.restore()
    assert "later" in (folder / "study.yaml").read_text()
    _manifest(folder, continued=[{"commit": "later"}, {"commit": "now"}])
    sync.restore()
    assert "now" in (folder / "study.yaml").read_text()


def test_the_record_with_more_seeds_is_taken(sync: StorageSync, folder: Path, store: Store):
    """Another machine extended the study; its record says less of versions than this one."""
    looks = [{"seeds": 3}, {"seeds": 5}]
    _manifest(folder, looks=looks)
    sync.save("study.yaml")
    _manifest(folder, looks=looks[:1], continued=[{"commit": "here"}])
    sync.restore()
    assert yaml.safe_load((folder / "study.yaml").read_text())["looks"] == looks


def test_a_study_begun_without_a_store_goes_on_with_one(
    sync: StorageSync, folder: Path, store: Store
):
    _manifest(folder)
    _write(
        folder,
        "trials/done/model.pt",
        "trials/done/maps/t.png",
        f"trials/done/{END}",
        "trials/pruned/pruned.json",
        "trials/running/checkpoint.pt",
    )
    sync.restore()
    assert store.names() == [
        "trials/done/maps/t.png",
        "trials/done/model.pt",
        f"trials/done/{END}",
        "trials/pruned/pruned.json",
        "trials/running/checkpoint.pt",
    ]


def test_a_newer_checkpoint_in_the_store_stays(sync: StorageSync, folder: Path, store: Store):
    """That here is of the time before the study had a store."""
    _manifest(folder)
    _write(folder, "trials/running/checkpoint.pt")
    store.write("trials/running/checkpoint.pt", b"newer")
    sync.restore()
    assert store.read("trials/running/checkpoint.pt") == b"newer"


def test_a_trial_that_failed_with_a_store_and_finished_without_has_finished(
    sync: StorageSync, folder: Path, store: Store
):
    _manifest(folder)
    _trial_in_store(store, "done", "failed.json", "traceback.txt")
    _write(folder, "trials/done/model.pt", f"trials/done/{END}")
    sync.restore()
    assert not (folder / "trials/done/failed.json").exists()
    assert set(store.names()) >= {f"trials/done/{END}", "trials/done/model.pt"}
    assert "trials/done/failed.json" not in store.names()


_DRIVER = """
import sys
import time
from pathlib import Path
from study.machines.storage_sync import StorageSync
from trainables.storage.store import Store
sync = StorageSync(Path(sys.argv[1]), Store(sys.argv[2]))
print("ready", flush=True)
sync.restore()
"""


def test_a_killed_restore_is_completed_by_the_next(
    sync: StorageSync, folder: Path, store: Store, tmp_path: Path
):
    _manifest(tmp_path)
    store.write("study.yaml", (tmp_path / "study.yaml").read_bytes())
    content = bytes(2**20)
    for index in range(8):
        store.write(f"trials/t{index}/model.pt", content)
        store.write(f"trials/t{index}/{END}", json.dumps({"index": index}).encode())
    process = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(folder), store.uri], stdout=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.readline()
    while process.poll() is None and not list(folder.glob("trials/*/model.pt")):
        time.sleep(0.002)
    process.kill()
    process.wait()
    for ended in folder.glob(f"trials/*/{END}"):
        assert (ended.parent / "model.pt").read_bytes() == content
    sync.restore()
    for index in range(8):
        trial = folder / "trials" / f"t{index}"
        assert (trial / "model.pt").read_bytes() == content
        assert json.loads((trial / END).read_text()) == {"index": index}
    assert (folder / "study.yaml").exists()


def _times(folder: Path, num: int) -> str:
    text = json.dumps({"sessions": [{"slots": 1, "wall_s": 1.0}] * num})
    (folder / "times.json").write_text(text)
    return text


@pytest.mark.parametrize(("here", "kept"), [(None, 2), (1, 2), (3, 3)])
def test_times_come_from_where_more_sessions_were(
    sync: StorageSync, folder: Path, store: Store, here: int | None, kept: int
):
    _manifest(folder)
    _times(folder, 2)
    sync.save("study.yaml", "times.json")
    (folder / "times.json").unlink()
    if here is not None:
        _times(folder, here)
    StorageSync(folder, store).restore()
    assert len(json.loads((folder / "times.json").read_text())["sessions"]) == kept
    assert _files(folder) == ["study.yaml", "times.json"]


def test_damaged_times_in_the_store_are_refused_by_their_place(
    sync: StorageSync, folder: Path, store: Store
):
    _manifest(folder)
    sync.save("study.yaml")
    store.write("times.json", b"{}")
    with pytest.raises(ConfigError) as refused:
        StorageSync(folder, store).restore()
    assert f"times.json in {store.shown}" in str(refused.value)


@pytest.mark.parametrize("left", ["here", "there", "both"])
@pytest.mark.parametrize(
    ("end", "phase", "is_kept"),
    [
        ("result.json", "search", False),
        ("pruned.json", "search", False),
        ("failed.json", "search", False),
        ("failed.json", "confirm", True),  # it is repeated
    ],
)
def test_checkpoints_of_ended_trials_go(
    sync: StorageSync,
    folder: Path,
    store: Store,
    make_config: Callable[..., StudyConfig],
    left: str,
    end: str,
    phase: str,
    is_kept: bool,
):
    """Of those killed after their end was on record here or there, and before they went."""
    config = make_config(space="w1,label_frac=0.1")
    arm = plan_arms(config)[0]
    trial = (search_trial if phase == "search" else confirm_trial)(config, arm, 1, {})
    record = json.dumps({"trial": trial.to_plain(), "history": [], "score": 0.5})
    _manifest(folder)
    sync.save("study.yaml")
    _trial_in_store(store, trial.key, "checkpoint.pt", "checkpoint-previous.pt")
    if left != "there":
        (folder / "trials" / trial.key).mkdir(parents=True)
        (folder / "trials" / trial.key / end).write_text(record)
    if left != "here":
        store.write(f"trials/{trial.key}/{end}", record.encode())
    StorageSync(folder, store).restore()
    kept = ["checkpoint-previous.pt", "checkpoint.pt"] if is_kept else []
    assert sorted(store.at("trials", trial.key).names()) == sorted([*kept, end])
