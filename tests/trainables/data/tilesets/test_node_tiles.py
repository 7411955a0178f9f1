import dataclasses
import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.data.tilesets import node_tiles
from trainables.data.tilesets.node_tiles import NodeTiles, remove_tiles, upload_tiles
from trainables.data.tilesets.tileset import TileSet, allocate_tiles, seal_tiles
from trainables.storage.store import Store

SIZES = [(70, 45), (20, 90)]
_PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of copies on this node, which has none yet."""
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(node_tiles, "_held", {})
    return temp / f"urec-study-tiles-{os.getuid()}"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_uri")).at("a study")
    return Store(str(tmp_path / "store"))


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[..., TileSet]:
    """Factory of random mapped tiles."""

    def make(seed: int = 0, *, eroded: bool = True) -> TileSet:
        tiles = allocate_tiles(
            ["t0", "t1"], SIZES, num_bands=3, dtype=np.dtype(np.uint8),
            has_eroded=eroded, has_hidden=True, folder=tmp_path / f"driver{seed}",
        )  # fmt: skip
        generator = np.random.default_rng(seed)
        for array in (tiles.images, tiles.masks, tiles.eroded_masks, tiles.shown):
            if array is not None:
                array[:] = generator.integers(0, 2, array.shape)
        return seal_tiles(tiles)

    return make


def _elsewhere(tiles: NodeTiles) -> NodeTiles:
    """As it arrives on another node, which has no such folder."""
    other: NodeTiles = pickle.loads(pickle.dumps(tiles))  # noqa: S301
    return dataclasses.replace(other, folder=Path("/no/such/folder"))


def _folders(node: Path) -> set[str]:
    return {one.name for one in node.iterdir() if one.is_dir()}


def _same(one: TileSet, other: TileSet) -> bool:
    fields = ("shapes", "starts", "images", "masks", "eroded_masks", "shown")
    return (one.names, one.checksum) == (other.names, other.checksum) and all(
        np.array_equal(getattr(one, field), getattr(other, field))
        if getattr(one, field) is not None
        else getattr(other, field) is None
        for field in fields
    )


@pytest.mark.parametrize("eroded", [True, False])
def test_another_node_maps_the_same_tiles(
    store: Store, mapped: Callable[..., TileSet], node: Path, eroded: bool
):
    tiles = mapped(eroded=eroded)
    opened = _elsewhere(upload_tiles(tiles, store)).open()
    assert _same(opened, tiles)
    assert isinstance(opened.images, np.memmap)
    assert not opened.images.flags.writeable
    assert opened.folder == node / tiles.checksum
    assert node.stat().st_mode & 0o777 == 0o700


def test_the_machine_that_sent_them_maps_its_own_files(
    store: Store, mapped: Callable[..., TileSet], node: Path
):
    tiles = mapped()
    opened = pickle.loads(pickle.dumps(upload_tiles(tiles, store))).open()  # noqa: S301
    assert opened.folder == tiles.folder
    assert not node.exists()


def test_other_files_of_that_size_in_that_folder_are_not_taken(
    store: Store, mapped: Callable[..., TileSet], node: Path
):
    tiles = mapped()
    sent = upload_tiles(tiles, store)
    images = np.array(tiles.images)
    assert tiles.folder
    path = tiles.folder / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    opened = sent.open()
    assert opened.folder == node / tiles.checksum
    assert np.array_equal(opened.images, images)


def test_they_are_sent_once(
    store: Store, mapped: Callable[..., TileSet], monkeypatch: pytest.MonkeyPatch
):
    tiles, other = mapped(), mapped(1)
    upload_tiles(tiles, store)
    sent: list[str] = []
    upload = Store.upload

    def note(self: Store, path: Path, name: str) -> None:
        sent.append(name)
        upload(self, path, name)

    monkeypatch.setattr(Store, "upload", note)
    upload_tiles(tiles, store)
    assert sent == []
    place = store.at("tiles", tiles.checksum)
    place.remove("masks.npy")
    upload_tiles(tiles, store)
    assert "masks.npy" in sent
    del sent[:]
    place.remove("complete.json")  # as if the upload had been cut off
    upload_tiles(tiles, store)
    upload_tiles(other, store)
    assert len(sent) == 8
    assert _same(_elsewhere(upload_tiles(other, store)).open(), other)


def test_tiles_in_memory_are_refused(store: Store, random_tiles: Callable[..., TileSet]):
    with pytest.raises(ValueError, match="must lie in mapped files"):
        upload_tiles(random_tiles(), store)


def _open_and_wait(tiles: NodeTiles, barrier: object, answers: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    opened = tiles.open()
    answers.put((os.getpid(), int(opened.images.sum())))  # type: ignore[attr-defined]
    barrier.wait()  # type: ignore[attr-defined]


def test_processes_that_ask_at_once_download_once(
    store: Store, mapped: Callable[..., TileSet], node: Path
):
    tiles = mapped()
    sent = _elsewhere(upload_tiles(tiles, store))
    barrier, answers = _PROCESSES.Barrier(4), _PROCESSES.Queue()
    processes = [
        _PROCESSES.Process(target=_open_and_wait, args=(sent, barrier, answers)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    sums = {answers.get(timeout=25)[1] for _ in processes}
    assert _folders(node) == {tiles.checksum}
    inode = (node / tiles.checksum / "images.npy").stat().st_ino
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sums == {int(tiles.images.sum())}
    store.at("tiles").remove_all()  # a second download would fail
    assert _same(sent.open(), tiles)
    assert (node / tiles.checksum / "images.npy").stat().st_ino == inode


def _open_slowly(tiles: NodeTiles, ready: object) -> None:
    download = Store.download

    def slow(self: Store, name: str, path: Path) -> None:
        download(self, name, path)
        if name == "masks.npy":
            ready.set()  # type: ignore[attr-defined]
            time.sleep(60)

    Store.download = slow  # type: ignore[method-assign]
    tiles.open()


def test_a_killed_download_is_begun_again(store: Store, mapped: Callable[..., TileSet], node: Path):
    tiles = mapped()
    sent = _elsewhere(upload_tiles(tiles, store))
    ready = _PROCESSES.Event()
    process = _PROCESSES.Process(target=_open_slowly, args=(sent, ready))
    process.start()
    assert ready.wait(60)
    process.kill()
    process.join()
    assert not (node / tiles.checksum).exists()
    assert _same(sent.open(), tiles)
    assert _folders(node) == {tiles.checksum}


def test_a_copy_that_lost_a_file_is_made_again(
    store: Store, mapped: Callable[..., TileSet], node: Path
):
    tiles = mapped()
    sent = _elsewhere(upload_tiles(tiles, store))
    first = sent.open()
    (node / tiles.checksum / "masks.npy").unlink()  # a cleaner of temp folders
    assert _same(sent.open(), tiles)
    assert _same(first, tiles)


def test_damaged_tiles_are_refused(store: Store, mapped: Callable[..., TileSet], node: Path):
    tiles = mapped()
    sent = _elsewhere(upload_tiles(tiles, store))
    place = store.at("tiles", tiles.checksum)
    content = bytearray(place.read("images.npy") or b"")
    content[-1] ^= 1
    place.write("images.npy", bytes(content))
    with pytest.raises(OSError, match="must have the checksum of their name"):
        sent.open()
    assert _folders(node) == set()
    place.write("images.npy", b"cut off")
    with pytest.raises(OSError, match="got None"):
        sent.open()


def test_copies_that_nobody_maps_go_when_others_come(
    store: Store, mapped: Callable[..., TileSet], node: Path, monkeypatch: pytest.MonkeyPatch
):
    used, unused, new = mapped(0), mapped(1), mapped(2)
    _elsewhere(upload_tiles(unused, store)).open()
    for descriptor in node_tiles._held.values():  # as when its process ends
        os.close(descriptor)
    node_tiles._held.clear()
    opened = _elsewhere(upload_tiles(used, store)).open()
    assert not (node / unused.checksum).exists()
    _elsewhere(upload_tiles(new, store)).open()
    assert _folders(node) == {used.checksum, new.checksum}
    assert _same(opened, used)


def test_a_folder_of_somebody_else_is_refused(
    store: Store, mapped: Callable[..., TileSet], node: Path, tmp_path: Path
):
    (tmp_path / "theirs").mkdir()
    node.symlink_to(tmp_path / "theirs")
    with pytest.raises(PermissionError, match="must belong to user"):
        _elsewhere(upload_tiles(mapped(), store)).open()


def test_tiles_of_a_study_that_has_ended_go(store: Store, mapped: Callable[..., TileSet]):
    upload_tiles(mapped(), store)
    store.write("study.yaml", b"x")
    remove_tiles(store)
    assert store.names() == ["study.yaml"]
    remove_tiles(store)
