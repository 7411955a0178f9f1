import multiprocessing
import tempfile
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from contract.names import RESULT
from trainables.storage.store import Store
from trainables.trial.folder.trial_files import CHECKPOINT, PREVIOUS_CHECKPOINT, TrialFiles


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temp folder of a test, for its processes as well."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_uri"))
    return Store(str(tmp_path / "store"))


def _save(files: TrialFiles, content: bytes) -> None:
    """As `LoopState.save` does."""
    path = files.folder / CHECKPOINT
    (files.folder / "new").write_bytes(content)
    if path.exists():
        path.replace(files.folder / PREVIOUS_CHECKPOINT)
    (files.folder / "new").replace(path)


def _states(store: Store) -> tuple[bytes | None, bytes | None]:
    return store.read(CHECKPOINT), store.read(PREVIOUS_CHECKPOINT)


def test_without_a_store_the_folder_itself_is_used(tmp_path: Path, temp: Path):
    folder = tmp_path / "trial"
    folder.mkdir()
    with TrialFiles(folder, None) as files:
        assert files.folder == folder
        _save(files, b"1")
        (folder / RESULT).write_text("{}")
        files.fetch()
        files.push_checkpoint()
        files.push("not even there")
        files.remove_checkpoints()
    assert [one.name for one in folder.iterdir()] == [RESULT]
    assert list(temp.iterdir()) == []


def test_a_trial_goes_on_elsewhere(store: Store, temp: Path):
    with TrialFiles("ignored", store) as files:
        files.fetch()
        assert files.folder.parent == temp
        assert files.folder.name.startswith("urec-study-trial-")
        for content in (b"1", b"2"):
            _save(files, content)
            files.push_checkpoint()
    assert list(temp.iterdir()) == []
    with TrialFiles("ignored", store) as files:
        files.fetch()
        assert (files.folder / CHECKPOINT).read_bytes() == b"2"
        assert (files.folder / PREVIOUS_CHECKPOINT).read_bytes() == b"1"
        files.push_checkpoint()  # nothing new
        assert _states(store) == (b"2", b"1")
        _save(files, b"3")
        files.push_checkpoint()
        files.push_checkpoint()
        assert _states(store) == (b"3", b"2")
        files.remove_checkpoints()
        files.push_checkpoint()
    assert store.names() == []


def test_states_that_were_not_pushed_are_passed_over(store: Store):
    with TrialFiles("ignored", store) as files:
        for content in (b"1", b"2", b"3"):
            _save(files, content)
        files.push_checkpoint()
        for content in (b"4", b"5"):
            _save(files, content)
        files.push_checkpoint()
    assert _states(store) == (b"5", b"3")


def test_files_go_in_the_order_given(store: Store, monkeypatch: pytest.MonkeyPatch):
    order = []
    upload = Store.upload
    with TrialFiles("ignored", store) as files:
        for name in (RESULT, "a b.png", "maps/t 1.png", "maps/deep/ü.jpg", "maps/.x.1.partial"):
            (files.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (files.folder / name).write_text(name)

        def note(self: Store, path: Path, name: str) -> None:
            upload(self, path, name)
            order.append(name)

        monkeypatch.setattr(Store, "upload", note)
        files.push("a b.png", "maps", RESULT)
        with pytest.raises(FileNotFoundError, match=r"none\.png"):
            files.push("none.png")
    assert (order[0], order[-1]) == ("a b.png", RESULT)
    assert store.names() == ["a b.png", "maps/deep/ü.jpg", "maps/t 1.png", RESULT]
    assert store.read("maps/deep/ü.jpg") == "maps/deep/ü.jpg".encode()


def test_a_push_that_broke_off_can_be_repeated(store: Store, monkeypatch: pytest.MonkeyPatch):
    with TrialFiles("ignored", store) as files:
        for content in (b"1", b"2"):
            _save(files, content)
            files.push_checkpoint()
        _save(files, b"3")
        with monkeypatch.context() as broken:
            broken.setattr(Store, "upload", _broken)
            with pytest.raises(OSError, match="broken"):
                files.push_checkpoint()
        assert _states(store) == (None, b"2")
        files.push_checkpoint()
        assert _states(store) == (b"3", b"2")
        _save(files, b"4")
        files.push_checkpoint()
        assert _states(store) == (b"4", b"3")


def test_a_process_that_died_between_the_two_steps_is_followed(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    with TrialFiles("ignored", store) as files:
        _save(files, b"1")
        files.push_checkpoint()
        _save(files, b"2")
        with monkeypatch.context() as broken:
            broken.setattr(Store, "upload", _broken)
            with pytest.raises(OSError, match="broken"):
                files.push_checkpoint()
    with TrialFiles("ignored", store) as files:
        files.fetch()
        assert not (files.folder / CHECKPOINT).exists()
        assert (files.folder / PREVIOUS_CHECKPOINT).read_bytes() == b"1"
        _save(files, b"2")
        files.push_checkpoint()
    assert _states(store) == (b"2", b"1")


def test_a_damaged_state_does_not_take_the_place_of_a_whole_one(store: Store):
    store.write(CHECKPOINT, b"damaged")
    store.write(PREVIOUS_CHECKPOINT, b"whole")
    with TrialFiles("ignored", store) as files:
        files.fetch()
        (files.folder / CHECKPOINT).unlink()  # as `LoopState.restore` does
        _save(files, b"next")
        files.push_checkpoint()
        assert _states(store) == (b"next", b"whole")
        _save(files, b"after")
        files.push_checkpoint()
        assert _states(store) == (b"after", b"next")


def _hold_scratch(root: str, folders: "SimpleQueue[str]") -> None:
    files = TrialFiles("", Store(root))
    (files.folder / "large").write_text("x")
    folders.put(str(files.folder))
    time.sleep(60)


def test_scratch_of_killed_processes_goes_and_that_of_running_ones_stays(
    tmp_path: Path, temp: Path
):
    fork = multiprocessing.get_context("fork")  # new interpreters would import for seconds
    running, folders = [], []
    try:
        for _ in range(2):
            told = fork.SimpleQueue()
            running.append(fork.Process(target=_hold_scratch, args=(str(tmp_path), told)))
            running[-1].start()
            folders.append(Path(told.get()))
        running[0].kill()
        running[0].join()
        (temp / "urec-study-trial-no-folder").write_text("of someone else")
        with TrialFiles("ignored", Store(str(tmp_path / "store"))) as files:
            assert not folders[0].exists()
            assert (folders[1] / "large").exists()
            assert files.folder.exists()
    finally:
        for one in running:
            one.kill()
            one.join()


def test_an_error_inside_leaves_no_scratch_folder(store: Store, temp: Path):
    with pytest.raises(ZeroDivisionError), TrialFiles("ignored", store):
        _ = 1 / 0
    assert list(temp.iterdir()) == []


def _broken(*arguments: object) -> None:
    raise OSError("broken")
