"""Mapped tiles for the nodes of a cluster: one download per node, mapped by all its processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from contract.names import DISTRIBUTION
from trainables.data.tilesets.tileset import TileSet, open_mapped, tiles_checksum

if TYPE_CHECKING:
    from trainables.storage.store import Store

_TILES: Final = "tiles"
_COMPLETE: Final = "complete.json"
"""Sizes of a set's files in bytes; it comes to the store when all of them are there."""
_held: dict[Path, int] = {}
"""Copies that this process maps, and the locks by which it keeps them until it ends."""

_Stamp = tuple[int, int, int, int]
"""Device, inode, size in bytes and time of change (ns), which no other file shares."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeTiles:
    """Tiles in a store, to be handed to processes on any node in place of a mapped `TileSet`."""

    store: Store
    """The store that holds the files."""
    names: tuple[str, ...]
    """Names of the tiles (T)."""
    shapes: NDArray[np.int64]
    """Height and width in pixels (T, 2)."""
    checksum: str
    """`TileSet.checksum`."""
    folder: Path
    """Folder of the files on the machine that sent them to the store."""
    stamps: Mapping[str, _Stamp]
    """Identity of each file in that folder, by its name."""

    def open(self) -> TileSet:
        """Map the tiles, after a download where this node has none yet.

        The copy lies in `urec-study-tiles-<user>/<checksum>` of the system's temp folder. Processes
        that ask at once wait for one of them. It compares the whole content with the checksum,
        once per node, at the pace of SHA-256; later ones compare sizes. Copies that no running
        process maps go when another set is downloaded. The machine that sent the tiles maps its
        own files.

        Raises:
            OSError: If the store does not answer, the disk is full or the tiles are not those.
        """
        own = {name: _stamp(self.folder / name) for name in self.stamps}
        if own == dict(self.stamps):
            return self._map(self.folder)
        copy = _own_folder() / self.checksum
        _hold(copy)
        if not self._is_whole(copy):
            with _alone(copy):
                if not self._is_whole(copy):  # nobody was faster
                    _remove_unused(copy.parent)
                    self._download(copy)
        return self._map(copy)

    def _download(self, copy: Path) -> None:
        partial = _partial(copy)
        for left in (partial, copy):
            if left.exists():
                shutil.rmtree(left)
        try:
            place = self.store.at(_TILES, self.checksum)
            place.download_all(self.stamps, partial)
            found = tiles_checksum(self._map(partial)) if self._is_whole(partial) else None
            if found != self.checksum:
                raise OSError(
                    f"tiles in {place.shown} must have the checksum of their name, got {found}; "
                    "remove them there"
                )
            partial.replace(copy)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _is_whole(self, folder: Path) -> bool:
        sizes = {name: _stamp(folder / name) for name in self.stamps}
        return all(
            size is not None and size[2] == self.stamps[name][2] for name, size in sizes.items()
        )

    def _map(self, folder: Path) -> TileSet:
        return open_mapped(folder, self.names, self.shapes, self.checksum)


def upload_tiles(tiles: TileSet, store: Store) -> NodeTiles:
    """Put mapped tiles into a store, below `tiles/<checksum>`, unless they are there.

    Args:
        tiles: Tiles in mapped files; those in memory travel by themselves.
        store: The study's place in the store.

    Returns:
        What to hand to the trials.

    Raises:
        OSError: If the store does not take them.
        ValueError: If the tiles lie in memory.
    """
    if tiles.folder is None:
        raise ValueError("tiles must lie in mapped files, got tiles in memory; hand them as such")
    arrays = {
        "images.npy": tiles.images,
        "masks.npy": tiles.masks,
        "eroded_masks.npy": tiles.eroded_masks,
        "shown.npy": tiles.shown,
    }
    folder = tiles.folder.resolve()
    stamps = {name: _stamp(folder / name) for name, array in arrays.items() if array is not None}
    known = {name: stamp for name, stamp in stamps.items() if stamp is not None}
    if len(known) < len(stamps):
        raise FileNotFoundError(f"{folder} must hold {', '.join(stamps)}, got {', '.join(known)}")
    place = store.at(_TILES, tiles.checksum)
    complete = json.dumps({name: stamp[2] for name, stamp in known.items()}).encode()
    if place.read(_COMPLETE) != complete or not set(known) <= set(place.names()):
        for name in known:
            place.upload(folder / name, name)
        place.write(_COMPLETE, complete)
    return NodeTiles(
        store=store,
        names=tiles.names,
        shapes=tiles.shapes,
        checksum=tiles.checksum,
        folder=folder,
        stamps=known,
    )


def remove_tiles(store: Store) -> None:
    """Remove all tiles from a study's store: it has ended, or sends them again.

    Raises:
        OSError: If the store does not answer.
    """
    store.at(_TILES).remove_all()


def _own_folder() -> Path:
    """The folder on this machine that holds this person's copies.

    Raises:
        PermissionError: If somebody else has made such a folder.
    """
    folder = Path(tempfile.gettempdir()) / f"{DISTRIBUTION}-tiles-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} must belong to user {os.getuid()}; remove it")
    return folder


def _hold(copy: Path) -> None:
    """Keep others from removing a copy for as long as this process runs."""
    if copy not in _held:
        descriptor = _open_lock(copy, ".used")
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        _held[copy] = descriptor


@contextmanager
def _alone(copy: Path) -> Iterator[None]:
    """Let one process of this node at a time into the block."""
    descriptor = _open_lock(copy, ".download")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_unused(copies: Path) -> None:
    """Remove copies that no process holds, and those whose download was cut off."""
    for lock in copies.glob("*.used"):
        copy = lock.with_suffix("")
        descriptor = _open_lock(copy, ".used")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in (copy, _partial(copy)):
                if left.exists():
                    shutil.rmtree(left)
        except BlockingIOError:
            pass  # held
        finally:
            os.close(descriptor)


def _open_lock(copy: Path, suffix: str) -> int:
    return os.open(copy.with_suffix(suffix), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _partial(copy: Path) -> Path:
    return copy.with_suffix(".partial")


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
