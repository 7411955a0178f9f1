"""Where a server keeps artifacts: whether what is written there reaches it."""

from __future__ import annotations

import socket
import tempfile
from typing import Final
from urllib.parse import urlsplit

from contract.mlflow_store.artifact_uri import local_folder
from contract.mlflow_store.logins import TrackingUri
from trainables.errors import ConfigError

_ADVICE: Final = (
    "start the server with --serve-artifacts and --artifacts-destination FOLDER, and choose "
    "another --name (an experiment keeps its artifact root)"
)


def check_artifact_root(root: str, uri: TrackingUri, name: str) -> None:
    """Refuse an artifact root that is a path which this machine has not, and cannot make.

    Args:
        root: As the store gives it for the study's experiment.
        uri: The store.
        name: The study.

    Raises:
        ConfigError: With the path, whose it is and what to do.
    """
    folder = local_folder(root)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        of_server = f"a path of the machine of {uri}"
        of_database = f"as {uri} has recorded it, perhaps for a server with a disk of its own"
        raise ConfigError(
            f"artifact root of study {name!r} must be a folder that this machine can write, got "
            f"{str(folder)!r} ({error.strerror or error}), "
            f"{of_server if uri.is_server else of_database}; {_ADVICE}"
        ) from None


def artifact_root_note(root: str, uri: TrackingUri) -> str | None:
    """What to say where artifacts go to a path here that a server elsewhere calls its own.

    It is no mistake where both machines share the folder, which nothing here can tell; where they
    do not, the server shows runs without artifacts. An address of this machine may lead into a
    container or through a tunnel: then nothing lies yet where the server keeps artifacts.

    Args:
        root: As the store gives it for the study's experiment.
        uri: The store.

    Returns:
        The note; None where the server stores artifacts itself, or runs here.
    """
    folder = local_folder(root)
    host = urlsplit(uri).hostname if uri.is_server else None
    if folder is None or host is None or (folder.parent.exists() and _is_here(host)):
        return None
    return (
        f"artifacts are written to {folder} on this machine, since the server {uri} gives that "
        f"path of its own; they reach it only where both share the folder. Otherwise, {_ADVICE}"
    )


def _is_here(host: str) -> bool:
    """Whether a host name is this machine's: an address is, if a socket can be bound to it."""
    try:
        addresses = {(one[0], one[4][0]) for one in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(_can_bind(family, str(address)) for family, address in addresses)


def _can_bind(family: int, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
