"""Logins of tracking servers and databases: told to who connects, and to nobody else.

A tracking URI may hold a user and a password. What goes on record, into a message or into a file is
a `TrackingUri`, whose text holds none; what connects takes its `with_login`. Messages of other
libraries quote what they were given: `hide_logins` takes out of a text what this process was told.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

_HIDDEN: Final = "***"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FILES: Final = ("sqlite://", "sqlite+pysqlite://", "file://")
"""Their text is a path, in which every character may stand for itself."""
_PATHS: Final = (".", "/", "~", "file:", "sqlite:")
"""How a text begins that is a path, whatever else stands in it."""
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_CONTAINERS: Final = ("abfs://", "abfss://", "wasb://", "wasbs://")
"""Azure's, in which a container stands before the "@"."""
_BUCKETS: Final = ("s3://", "gs://", "gcs://", "hdfs://")
"""Addresses of files, whose names may hold an "@"."""
_HOSTS: Final = re.compile(
    r"(\[[^\]]*\]|[^:@\[\]]*)(:\d{0,5})?(,(\[[^\]]*\]|[^:@\[\]]*)(:\d{0,5})?)*"
)
"""One host or several, each with a port or without."""
_HARMLESS: Final = frozenset(
    {
        "application_name", "cache", "charset", "collation", "connect_timeout", "driver", "encrypt",
        "endpoint_override", "host", "mode", "port", "read_timeout", "region", "scheme", "ssl",
        "ssl_ca", "ssl_mode", "sslmode", "sslrootcert", "target_session_attrs", "timeout", "tls",
        "trustservercertificate", "uri", "write_timeout",
    }
)  # fmt: skip
"""Parameters of a query that may be told; any other may hold a secret, and its name need not say
so (`odbc_connect`, say)."""
_SECRET: Final = re.compile(r"(?i)pass|pwd|secret|token|key|credential|auth|\bsig\b|\buser")
"""Names of a file's parameters whose values are not told."""
_SHORT: Final = 4
"""A shorter secret is hidden only as a word of its own: `a` is in every message."""
_FROM_ENVIRONMENT: Final = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_URI_WITH_LOGIN: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s'\"<>/]*:[^\s'\"<>]*|[^\s'\"<>/]*)@"
)
_NAMED_SECRET: Final = re.compile(
    r"(?i)\b((?:\w*_)?(?:password|passwd|passphrase|pwd|token|secret|api_?key|access_key)(?:_key)?)"
    r"(\s?[=:]\s?)"
    r"(?!\*\*\*)('[^']*'|\"[^\"]*\"|[^\s&;,'\")]+)"
)

_known_secrets: set[str] = set()
"""What this process was told, in every spelling that a library may quote."""


class TrackingUri(str):
    """Where studies are recorded; its text holds no login.

    It travels without one too: a copy that was pickled, into a file or to another process, is the
    text alone.
    """

    with_login: str
    """As it was given, for who connects."""

    def __new__(cls, uri: str) -> TrackingUri:
        """Take the login out of a URI, and know it from now on.

        Args:
            uri: As a person gave it; one that is a `TrackingUri` is returned as it is.
        """
        if isinstance(uri, TrackingUri):
            return uri
        made = super().__new__(cls, without_login(uri))
        made.with_login = uri
        _remember(_secrets_of(uri))
        return made

    def __reduce__(self) -> tuple[type[TrackingUri], tuple[str]]:
        """The text alone."""
        return TrackingUri, (str(self),)

    @property
    def is_server(self) -> bool:
        """Whether an MLflow server is asked, rather than a database or a folder."""
        return self.lower().startswith(("http://", "https://"))

    @property
    def is_database(self) -> bool:
        """Whether SQLAlchemy opens it."""
        found = _SCHEME.match(self)
        return found is not None and _is_of_database(found[0])


def without_login(uri: str) -> str:
    """An address without user, password and whatever else may be a secret.

    Of a query stay the parameters that are known to be harmless. A login whose `/`, `?`, `#` or `@`
    is not percent-encoded goes too, as far as it can be told from a path. What is no address, a
    path, say, stays as it is.
    """
    parts = _Address.parse(uri)
    if parts.is_ambiguous:  # the login of `http://user:1/2@host`, or a path: nobody can tell
        return f"{parts.scheme}{_HIDDEN}"
    query = "&".join(part for part in parts.query if _is_told(parts, part))
    return f"{parts.scheme}{parts.rest}{'?' if query else ''}{query}"


def holds_login(uri: str) -> bool:
    """Whether an address holds anything that must not go on record."""
    return without_login(uri) != uri


def hide_logins(text: str) -> str:
    """A text without the logins that this process was told, and without any that look like one."""
    secrets = {*_known_secrets, *_secrets_of_environment()} - {""}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < _SHORT:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
        else:
            text = text.replace(secret, _HIDDEN)
    text = _URI_WITH_LOGIN.sub(r"\1", text)
    return _NAMED_SECRET.sub(rf"\1\2{_HIDDEN}", text)


@dataclass(frozen=True, kw_only=True)
class _Address:
    """An address, cut where its login and its query begin and end."""

    scheme: str
    """The scheme with its `://`; empty for a path."""
    login: str
    """User and password as they were given; empty without any."""
    rest: str
    """Hosts and path."""
    query: tuple[str, ...]
    is_ambiguous: bool = False
    """Whether `login` may be a part of the path."""

    @classmethod
    def parse(cls, uri: str) -> _Address:
        found = _SCHEME.match(uri)
        if found is None:
            login, at, host = uri.rpartition("@")
            is_login = at and ":" in login and not uri.startswith(_PATHS)
            named = (login, host) if is_login else ("", uri)
            return cls(scheme="", login=named[0], rest=named[1], query=())
        scheme, rest = found[0], uri[found.end() :]
        if scheme.lower() in _FILES:
            path, mark, query = rest.partition("?")
            return cls(
                scheme=scheme, login="", rest=path, query=tuple(query.split("&")) if mark else ()
            )
        login, hosts, after = _cut_authority(rest)
        if scheme.lower() in _CONTAINERS and ":" not in login:
            return cls(scheme=scheme, login="", rest=rest.partition("?")[0], query=())
        if not _HOSTS.fullmatch(hosts) and "@" in after:  # the password goes on behind its "/"
            login = rest.rpartition("@")[0]
            _, hosts, after = _cut_authority(rest.rpartition("@")[2])
        path, _, query = after.partition("#")[0].partition("?")
        is_ambiguous = "@" in path and (":" in hosts or scheme.lower() not in _BUCKETS)
        if is_ambiguous:
            login = rest[: rest.rindex("@")]
        return cls(
            scheme=scheme,
            login=login,
            rest=f"{hosts}{path}",
            query=tuple(query.split("&")) if query else (),
            is_ambiguous=is_ambiguous,
        )


def _cut_authority(rest: str) -> tuple[str, str, str]:
    """Login, hosts and what follows them."""
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    login, _, hosts = authority.rpartition("@")
    return login, hosts, rest[len(authority) :]


def _is_told(address: _Address, part: str) -> bool:
    name, equals, _ = part.partition("=")
    if address.scheme.lower() in _FILES:
        return not (equals and _SECRET.search(name))
    return name.lower() in _HARMLESS


def _secrets_of(uri: str) -> Iterator[str]:
    """Passwords, tokens and what encodes them, of an address as it was given."""
    address = _Address.parse(uri)
    if address.login:
        user, _, password = address.login.partition(":")
        if password:
            yield address.login
            yield from _spellings(password)
        elif not _is_of_database(address.scheme):  # a token stands for the user
            yield from _spellings(user)
        for pair in ((user, password), (unquote(user), unquote(password))):
            yield base64.b64encode(":".join(pair).encode("utf-8", "surrogateescape")).decode()
    for part in address.query:
        name, _, value = part.partition("=")
        if not _is_told(address, part) and not name.lower().startswith("user"):
            yield from _spellings(value)
            for inner in unquote_plus(value).split(";"):  # of `odbc_connect`: UID=...;PWD=...
                key, equals, held = inner.partition("=")
                if equals and _SECRET.search(key):
                    yield from _spellings(held)


def _is_of_database(scheme: str) -> bool:
    return re.split(r"[+:]", scheme.lower())[0] in ("sqlite", "postgresql", "mysql", "mssql")


def _spellings(secret: str) -> Iterator[str]:
    """A secret as given, decoded, and encoded in the ways that libraries do it."""
    for plain in (secret, unquote(secret), unquote_plus(secret)):
        yield plain
        yield repr(plain)[1:-1]
        yield json.dumps(plain)[1:-1]
        yield quote(plain, safe="")
        yield quote(plain)
        yield quote(plain, safe="!#$%&'()*+,/:;=?@[]~")  # as `requests` writes addresses
        yield quote_plus(plain)


def _secrets_of_environment() -> Iterator[str]:
    for name in _FROM_ENVIRONMENT:
        if os.environ.get(name):
            yield from _spellings(os.environ[name])
    if os.environ.get("MLFLOW_TRACKING_URI"):
        yield from _secrets_of(os.environ["MLFLOW_TRACKING_URI"])


def _remember(secrets: Iterable[str]) -> None:
    """Hide these from now on, in logs and in the tracebacks of this process too."""
    told = {secret for secret in secrets if secret}
    if told and not _known_secrets:
        _watch_logs()
        _watch_tracebacks()
    _known_secrets.update(told)


def _watch_logs() -> None:
    make = logging.getLogRecordFactory()

    def make_hidden(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit: logging will say so
            return record
        if hide_logins(text) != text:
            record.msg, record.args = hide_logins(text), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = hide_logins("".join(traceback.format_exception(*record.exc_info)))
        return record

    logging.setLogRecordFactory(make_hidden)


def _watch_tracebacks() -> None:
    show = sys.excepthook

    def show_hidden(
        kind: type[BaseException], error: BaseException, frames: TracebackType | None
    ) -> None:
        text = "".join(traceback.format_exception(kind, error, frames))
        if hide_logins(text) == text:
            show(kind, error, frames)
        else:
            sys.stderr.write(hide_logins(text))

    sys.excepthook = show_hidden
