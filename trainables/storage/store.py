"""Files in a shared folder or in a bucket: each one there whole, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs

from trainables.storage.atomic_files import write_atomically
from trainables.storage.folder_files import copy_whole, is_partial
from trainables.storage.store_address import FOLDER, StoreAddress, refusal

_PART_BYTES: Final = 5 * 2**20
"""Most bytes that go to a bucket in one request."""
_WAITING_BYTES: Final = 64 * 2**20
"""About the most bytes of a file on its way that lie in memory."""
_TRANSFERS: Final = 8
"""Files on their way at once; small ones spend their time waiting for answers."""


class Store:
    """A place for files, by names such as `trials/a/result.json`.

    Errors are OSError of one line that names the place. Can be pickled; a process that unpickles
    it finds credentials by itself, where the URI holds none.
    """

    def __init__(self, uri: str) -> None:
        """Connect to nothing yet.

        Args:
            uri: Path of a folder, `file:///path`, `s3://bucket/prefix` or `gs://bucket/prefix`.
                S3 takes options: `?endpoint_override=host%3Aport&scheme=http&region=…`; what is
                not given comes from AWS_ENDPOINT_URL(_S3) and AWS_REGION.

        Raises:
            ConfigError: For what pyarrow cannot open.
        """
        self._address = StoreAddress.parse(uri)

    def __reduce__(self) -> tuple[Callable[[str], Store], tuple[str]]:
        return Store, (self.uri,)

    def __repr__(self) -> str:
        return f"Store({self.shown!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and self.uri == other.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    @property
    def uri(self) -> str:
        """The complete address, with credentials where they were given in it."""
        return self._address.uri

    @property
    def shown(self) -> str:
        """The address for messages and records: without credentials."""
        return self._address.shown

    def at(self, *parts: str) -> Store:
        """A store below this one."""
        return Store(self._address.below(*parts).uri)

    def names(self) -> list[str]:
        """Files below, as relative POSIX paths, sorted; [] where there is nothing."""
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        with self._errors():
            found = self._filesystem.get_file_info(selector)
        start = len(self._root.rstrip("/")) + 1
        return sorted(
            entry.path[start:]
            for entry in found
            if entry.type == fs.FileType.File and not is_partial(entry.base_name)
        )

    def read(self, name: str) -> bytes | None:
        """Content of a file, or None where there is no such file."""
        try:
            with self._errors(), self._filesystem.open_input_file(self._path(name)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file in place of an older one."""
        with self._errors():
            if self._folder is not None:
                write_atomically(self._folder / name, content)
            else:
                _uninterrupted(partial(self._put, name, pa.py_buffer(content)))

    def upload(self, path: Path, name: str) -> None:
        """Write the content of a local file, in place of an older one; of any size.

        Raises:
            FileNotFoundError: If there is no such local file.
        """
        with self._errors():
            if self._folder is not None:
                with path.open("rb") as file:
                    copy_whole(file, self._folder / name)
            else:
                # Mapped: no error can come from reading it when a part of it has been written.
                with pa.memory_map(str(path)) as mapped:
                    _uninterrupted(partial(self._put, name, mapped.read_buffer()))

    def download(self, name: str, path: Path) -> None:
        """Write a file's content to a local file, in place of an older one; of any size.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        with self._errors(), self._filesystem.open_input_file(self._path(name)) as file:
            copy_whole(file, path)

    def upload_all(self, folder: Path, names: Iterable[str]) -> None:
        """Upload files of a local folder under their names, several at once."""
        _at_once(partial(self.upload, folder / name, name) for name in names)

    def download_all(self, names: Iterable[str], folder: Path) -> None:
        """Download files into a local folder under their names, several at once."""
        _at_once(partial(self.download, name, folder / name) for name in names)

    def move(self, source: str, target: str) -> None:
        """Rename a file, in place of an older one; a bucket holds both names for a moment.

        Raises:
            FileNotFoundError: If there is no such file.
        """
        with self._errors():
            if self._folder is not None:
                (self._folder / target).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / source).replace(self._folder / target)
                return
            if not self._has(source):
                raise FileNotFoundError(2, os.strerror(2), source)
            self._filesystem.move(self._path(source), self._path(target))

    def remove(self, name: str) -> None:
        """Remove a file, where there is one."""
        try:
            with self._errors():
                self._filesystem.delete_file(self._path(name))
        except FileNotFoundError:
            pass

    def remove_all(self) -> None:
        """Remove everything below."""
        with self._errors():
            self._filesystem.delete_dir_contents(
                self._root, accept_root_dir=False, missing_dir_ok=True
            )

    def check(self) -> None:
        """Write, read back and remove a small file.

        Raises:
            ConfigError: If that does not work.
        """
        name, content = f"probe-{uuid.uuid4().hex}", b"urec-study"
        try:
            self.write(name, content)
            found = self.read(name)
            self.remove(name)
        except OSError as error:
            reason = str(error).removesuffix(f" [{self.shown}]")
            raise refusal(self.shown, f"it cannot be used: {reason}") from None
        if found != content:
            raise refusal(self.shown, "what was written there was not there afterwards")

    @property
    def _root(self) -> str:
        return self._address.path

    @property
    def _folder(self) -> Path | None:
        return Path(self._root) if self._address.kind == FOLDER else None

    @cached_property
    def _filesystem(self) -> Any:
        return self._address.open()

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _put(self, name: str, content: pa.Buffer) -> None:
        """Write to a bucket, where a file appears when it is closed.

        Not with `fs.copy_files`: it passes over what the bucket says then.
        """
        filesystem = self._address.open(at_close=content.size <= _PART_BYTES)
        stream = filesystem.open_output_stream(self._path(name))
        for start in range(0, content.size, _WAITING_BYTES):
            stream.write(content.slice(start, min(_WAITING_BYTES, content.size - start)))
            if start + _WAITING_BYTES < content.size:
                stream.flush()
        stream.close()

    def _has(self, name: str) -> bool:
        found = self._filesystem.get_file_info(self._path(name))
        return bool(found.type == fs.FileType.File)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what pyarrow raises into an OSError of one line that names the place."""
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            text = " ".join(str(error).split())
            number = getattr(error, "errno", None)
            if number is None:
                raise OSError(f"{text} [{self.shown}]") from error
            # The number decides which OSError it is, FileNotFoundError say.
            reason = getattr(error, "strerror", None) or text
            raise OSError(number, f"{' '.join(reason.split())} [{self.shown}]") from error


def _uninterrupted(call: Callable[[], None]) -> None:
    """Run a call in a thread, where no signal cuts it: a stream left open commits what it has."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(call).result()


def _at_once(transfers: Iterable[Callable[[], None]]) -> None:
    """Run transfers, several at once; the first error is raised when all have ended."""
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        running = [pool.submit(one) for one in transfers]
    for one in running:
        one.result()
