"""SQLite files by URI: how a path is written, and which file SQLAlchemy opens for what is given.

`sqlite:///` and a path is no such URI: of `what?x=1` the file `what` is opened, of `Urban%20Study`
`Urban Study` (SQLAlchemy 2.1) or `Urban%20Study` (before), and Optuna fills in what stands in
braces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

_DRIVER: Final = "sqlite+pysqlite"
"""Named in full: for `sqlite:///` MLflow creates folders of the name that is written, quoted."""


def sqlite_url(path: Path) -> str:
    """The URL under which SQLAlchemy, and so Optuna and MLflow, opens a file, whatever its name.

    Args:
        path: The file; a relative one is taken from the working folder as it is now.
    """
    from sqlalchemy import URL

    database = f"file:{quote(str(path.absolute()))}"
    return URL.create(_DRIVER, database=database, query={"uri": "true"}).render_as_string()


def sqlite_file(uri: str) -> Path | None:
    """The file that SQLAlchemy opens for a URI; None for one in memory or of another kind.

    SQLAlchemy itself says what is opened: whether `%20` in a URI is a space depends on its
    version.

    Args:
        uri: Of a database or a server, as MLflow and Optuna take it.

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
    except (ArgumentError, ValueError):  # whoever opens it says why
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
