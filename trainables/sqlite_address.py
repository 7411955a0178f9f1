"""SQLite files by URI: how a path is written, and which file SQLAlchemy opens for what is given.

`sqlite:///` and a path is no such URI: of `what?x=1` the file `what` is opened, of `Urban%20Study`
`Urban Study` (SQLAlchemy 2.1) or `Urban%20Study` (before), and Optuna fills in what stands in
braces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVER: Final = "sqlite+pysqlite"
"""Named in full: for `sqlite:///` MLflow creates folders of the name that is written, quoted."""


def sqlite_url(path: Path) -> str:
    """The URL under which SQLAlchemy, and so Optuna and MLflow, opens a file, whatever its name.

    Args:
        path: The file; a relative one is taken from the working folder as it is now.
    """
    database = f"file:{quote(str(path.absolute()))}"
    return URL.create(_DRIVER, database=database, query={"uri": "true"}).render_as_string()


def sqlite_file(uri: str) -> Path | None:
    """The file that SQLAlchemy opens for a URI; None for one in memory or of another kind.

    Args:
        uri: Of a database or a server, as MLflow and Optuna take it.
    """
    if not uri.startswith("sqlite"):
        return None
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
