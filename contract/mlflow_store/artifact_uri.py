"""Where the artifacts of a run lie: which of their addresses are folders of this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit


def local_folder(artifact_uri: str) -> Path | None:
    """The folder behind an artifact URI; None if it is not on this machine's disk."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "":
        return Path(artifact_uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return None
