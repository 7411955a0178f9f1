"""The files of one trial as its process sees them: a folder, and the store behind it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from contract.names import DISTRIBUTION
from trainables.storage.folder_files import files_below
from trainables.training.checkpoint import remove_checkpoints

if TYPE_CHECKING:
    from trainables.storage.store import Store

CHECKPOINT: Final = "checkpoint.pt"
PREVIOUS_CHECKPOINT: Final = "checkpoint-previous.pt"
"""The state before it, which `trainables.training.checkpoint` keeps beside it."""
_SCRATCH: Final = f"{DISTRIBUTION}-trial-"

_Stamp = tuple[int, int, int]
"""Inode, size and time of change (ns): another one, another content."""


class TrialFiles:
    """A trial's folder; with a store, a scratch folder of this machine and what goes to the store.

    Without a store the folder itself is used and nothing is transferred. As a context manager it
    removes the scratch folder at the end; those of processes that died go when the next one of
    this person is made.
    """

    def __init__(self, folder: Path, store: Store | None) -> None:
        """Take the folder, or make a scratch folder.

        Args:
            folder: Where the files lie, without a store; ignored with one.
            store: The trial's place in the store.
        """
        self._store = store
        self._lock: int | None = None
        self._stored: dict[str, _Stamp | None] = {}
        if store is None:
            self.folder = folder
        else:
            _remove_abandoned()
            self.folder, self._lock = _make_scratch()

    def __enter__(self) -> TrialFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            os.close(self._lock)
            self._lock = None

    def fetch(self) -> None:
        """Bring all files of the trial that the store has, of an interrupted attempt say.

        Raises:
            OSError: If the store does not answer or the disk is full.
        """
        if self._store is None:
            return
        self._store.download_all(self._store.names(), self.folder)
        for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
            self._stored[name] = self._stamp(name)

    def push(self, *names: str) -> None:
        """Bring files and folders to the store, in this order, in place of older ones.

        Raises:
            FileNotFoundError: If there is no such file here.
            OSError: If the store does not take them.
        """
        if self._store is None:
            return
        for name in names:
            self._store.upload_all(self.folder, files_below(self.folder, name))

    def push_checkpoint(self) -> None:
        """Bring the newest checkpoint to the store, unless it is there; the one before it stays.

        Raises:
            OSError: If the store does not take it.
        """
        stamp = self._stamp(CHECKPOINT)
        if self._store is None or stamp is None or stamp == self._stored.get(CHECKPOINT):
            return
        previous = self._stamp(PREVIOUS_CHECKPOINT)
        # Where the store has the state before this one already, its newest one was damaged and
        # has been removed here: it must not take the place of a whole one.
        if previous is None or previous != self._stored.get(PREVIOUS_CHECKPOINT):
            with suppress(FileNotFoundError):  # the first one
                self._store.move(CHECKPOINT, PREVIOUS_CHECKPOINT)
            self._stored[PREVIOUS_CHECKPOINT] = self._stored.pop(CHECKPOINT, None)
        self._store.upload(self.folder / CHECKPOINT, CHECKPOINT)
        self._stored[CHECKPOINT] = stamp

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints of a trial that has ended, here and in the store."""
        remove_checkpoints(self.folder / CHECKPOINT)
        if self._store is not None:
            for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
                self._store.remove(name)
        self._stored.clear()

    def _stamp(self, name: str) -> _Stamp | None:
        try:
            found = (self.folder / name).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this machine that goes at the end; where it cannot, with the next one made."""
    _remove_abandoned()
    folder, lock = _make_scratch()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make_scratch() -> tuple[Path, int]:
    """A new folder and the lock that says that its process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
        lock = _lock(folder)
        if lock is not None:
            return folder, lock
        # Taken for abandoned by another process in the moment before it was locked.


def _remove_abandoned() -> None:
    """Remove scratch folders whose processes were killed: the system dropped their locks."""
    with os.scandir(tempfile.gettempdir()) as entries:
        folders = [entry.path for entry in entries if entry.name.startswith(_SCRATCH)]
    for folder in map(Path, folders):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder; None where another process or person has it, or has removed it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None
