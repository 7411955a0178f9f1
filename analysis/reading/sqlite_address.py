"""Which file SQLAlchemy, and so MLflow, opens for the URI of an SQLite database."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote


def sqlite_file(uri: str) -> Path | None:
    """The file behind a URI; None for one in memory or of another kind.

    SQLAlchemy itself says what is opened: whether `%20` in a URI is a space depends on its
    version.

    Args:
        uri: Of a database or a server, as MLflow takes it.

    Raises:
        ModuleNotFoundError: If it is of an SQLite database and SQLAlchemy is not installed.
    """
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy import make_url  # not there where only exported studies are read
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
        (filename,), options = url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError):  # MLflow says why when it opens it
        return None
    if not options.get("uri"):
        return None if filename == ":memory:" else Path(filename)
    name, _, query = str(filename).partition("?")
    if not name.startswith("file:"):
        return Path(name).absolute()
    path = unquote(name.removeprefix("file:"))
    if not path or path == ":memory:" or "mode=memory" in query.split("&"):
        return None
    if path.startswith("//"):  # an authority, which must be empty or localhost
        path = "/" + path[2:].partition("/")[2]
    return Path(path).absolute()
