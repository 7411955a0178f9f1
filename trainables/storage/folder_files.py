"""Files of a folder: which are there, without those being written, and copies that are whole."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Final

_CHUNK_BYTES: Final = 16 * 2**20
"""Bytes read at once; in a bucket, every read is a request."""


def files_below(folder: Path, *names: str) -> list[str]:
    """Files of a folder: those named, and all below the folders named, in this order.

    Args:
        folder: The folder.
        names: Relative POSIX paths, "." for everything.

    Returns:
        Relative POSIX paths, those of a folder sorted.

    Raises:
        FileNotFoundError: If there is no file or folder of such a name.
    """
    found: list[str] = []
    for name in names:
        path = folder / name
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file())
            below = [one.relative_to(folder).as_posix() for one in files]
            found += [one for one in below if not is_partial(one)]
        elif path.exists():
            found.append(name)
        else:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return found


def is_partial(name: str) -> bool:
    """Whether the writer of a file has not finished it; see `atomic_files`."""
    last = name.rpartition("/")[2]
    return last.startswith(".") and last.endswith(".partial")


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `NAME.damaged`, or `NAME.damaged-2` and so on; nothing is lost.

    Returns:
        Its new path.
    """
    number, target = 1, path.with_name(f"{path.name}.damaged")
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{number}")
    path.replace(target)
    return target


def copy_whole(source: Any, target: Path) -> None:
    """Write what an open file holds to a folder, of this machine or of the network.

    Like `trainables.storage.atomic_files.write_atomically`, for files of any size.

    Args:
        source: The file, opened for reading bytes.
        target: The file to write, in place of an older one, whole or not at all.

    Raises:
        OSError: If one cannot be read, or the other not be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    copied = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        with copied.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())
        copied.replace(target)
    finally:
        copied.unlink(missing_ok=True)
