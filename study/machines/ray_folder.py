"""Where Ray puts its sockets on this machine: in a folder whose path is short enough for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from contract.names import DISTRIBUTION
from trainables.errors import ConfigError

_MAX_SOCKET_BYTES: Final = 103
"""Longest path of a Unix socket: 107 on Linux, 103 on macOS."""
_BELOW: Final = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
"""What Ray puts after its folder: date, time and process, and the longest name."""
_MAX_BYTES: Final = _MAX_SOCKET_BYTES - len(_BELOW) - len("/ray")
_SHORT: Final = ("/tmp", "/var/tmp", "/dev/shm")


def ray_folder() -> str | None:
    """The folder to start Ray with; None where its own choice, below RAY_TMPDIR or TMPDIR, will do.

    Batch systems give every job a TMPDIR of its own, whose path is often too long. Then it is a
    folder of this person's in one that every machine has.

    Raises:
        ConfigError: If RAY_TMPDIR is too long, or TMPDIR is and no other folder can be written.
    """
    for name in ("RAY_TMPDIR", "TMPDIR"):
        given = os.environ.get(name)
        if given is None:
            continue
        if len(os.fsencode(Path(given).absolute())) <= _MAX_BYTES:
            return None
        found = None if name == "RAY_TMPDIR" else _own_folder()
        if found is None:
            raise ConfigError(
                f"{name} must be a path of at most {_MAX_BYTES} bytes, for Ray's sockets lie below "
                f"it, got {given!r}; set RAY_TMPDIR to a short folder that can be written, such "
                "as RAY_TMPDIR=/tmp"
            )
        return found
    return None


def _own_folder() -> str | None:
    """A folder of this person's with a short path; None where there can be none."""
    for place in _SHORT:
        folder = Path(place) / f"{DISTRIBUTION}-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        is_own = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if is_own and os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    return None
