"""Brings files that are read as a whole, such as polygons, from where they lie to this machine."""

from __future__ import annotations

import base64
import http.client
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from trainables.data.access import gdal_options
from trainables.data.access.remote_files import address_of, is_bucket, is_remote, name_of
from trainables.errors import ConfigError, DataError
from trainables.storage.store_address import StoreAddress

_SHAPEFILE: Final = ".shp"
_NEEDED: Final = (".shx", ".dbf")
_BESIDE: Final = (".prj", ".cpg")
"""Parts of a Shapefile besides the one that is named: those that it needs, and others."""
_GONE: Final = (404, 410)


@contextmanager
def on_this_machine(file: Path, name: str) -> Iterator[Path]:
    """The file, while the block runs: itself, or a copy of what lies in a bucket or behind a URL.

    A Shapefile brings its other parts along. Whether a file of this machine exists is for whoever
    opens it.

    Args:
        file: A path as from `remote_files.path_at`.
        name: What it is, for messages, such as `labels`.

    Raises:
        DataError: If an address has no file, refuses it, or its server says nothing.
    """
    if not is_remote(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="fetched-") as folder:
        copy = Path(folder) / _safe(name_of(file))
        _fetch(file, copy, name)
        if copy.suffix.lower() == _SHAPEFILE:
            for suffix in (*_NEEDED, *_BESIDE):
                part = copy.with_suffix(suffix)
                _fetch(_beside(file, suffix), part, name, is_needed=suffix in _NEEDED)
        yield copy


def _safe(name: str) -> str:
    return "file" if name in ("", ".", "..") else name


def _beside(file: Path, suffix: str) -> Path:
    """The address of another part of a Shapefile; in a query nothing changes."""
    written, is_of_bucket = str(file), is_bucket(address_of(file))
    mark = "" if is_of_bucket else quote("?")
    head, query = (written, "") if is_of_bucket else written.partition(mark)[::2]
    return Path(head[: -len(_SHAPEFILE)] + suffix + (f"{mark}{query}" if query else ""))


def _fetch(file: Path, copy: Path, name: str, *, is_needed: bool = True) -> None:
    """Copy a file to this machine.

    Raises:
        DataError: If that fails; not for one that is not there, if it is not needed.
    """
    try:
        _download(address_of(file), copy)
    except FileNotFoundError as error:
        if not is_needed:
            return
        reason = _reason(error)
    except (OSError, ConfigError) as error:
        reason = _reason(error)
    except http.client.IncompleteRead:
        reason = "the server stopped in the middle of it"
    except (http.client.HTTPException, ValueError):  # whose text may hold a part of a login
        reason = "no address that a web server could have"
    else:
        return
    raise DataError(
        f"{name} must be a file that can be read, got: {reason} for {file}; check the address, and "
        "the login that it needs"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    return " ".join(str(error).split()) or type(error).__name__


def _download(address: str, copy: Path) -> None:
    """Write what lies at an address.

    Raises:
        FileNotFoundError: If nothing does.
        OSError: If the server refuses or says nothing; `ValueError` and `HTTPException` for what
            is no address.
    """
    if is_bucket(address):
        scheme, _, key = address.partition("://")
        store = StoreAddress.parse(f"{scheme}://{quote(key)}")
        with store.open().open_input_stream(store.path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        return
    parts = urlsplit(address)
    login, at, host = parts.netloc.rpartition("@")
    plain = urlunsplit(parts._replace(netloc=host, path=quote(parts.path, "%/:@!$&()*+,;=~")))
    request = urllib.request.Request(plain.partition("#")[0])
    if at:  # not for where it may be sent on to
        text = base64.b64encode(unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {text}")
    try:
        with urllib.request.urlopen(request, timeout=gdal_options.SILENCE_S) as answer:
            copy.write_bytes(answer.read())
    except urllib.error.HTTPError as error:
        if error.code in _GONE:
            raise FileNotFoundError(f"HTTP {error.code} {error.reason}") from None
        raise
