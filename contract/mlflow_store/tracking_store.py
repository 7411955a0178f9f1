"""What keeps a tracking store from being used, in one line that says what to do."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from contract.mlflow_store.logins import TrackingUri, hide_logins

DEFAULT_TRACKING_URI: Final = "sqlite:///mlflow.db"

_SETTINGS: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's client asks 8 times, for up to 120 s each, unless a person has set something else."""
_FIRST_CALL: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_FAMILIES: Final = ("alembic", "mlflow", "requests", "sqlalchemy", "urllib3")
"""Libraries between a study and its store, by whose errors the store says no."""
_LONGEST: Final = 300
"""Characters of a reason; a server that is no MLflow answers with whole pages."""

_PACKAGES: Final = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient (or write mysql+pymysql:// and install pymysql)",
    "databricks": "databricks-sdk",
    "google": "google-cloud-storage",
    "azure": "azure-storage-blob",
}
"""What installs a module that is not named like its package."""

_KNOWN: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"No space left on device|database or disk is full|Disk quota exceeded",
        "a full disk",
        "free space",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "a certificate that this machine does not trust",
        "name the certificate, or that of its authority, in MLFLOW_TRACKING_SERVER_CERT_PATH",
    ),
    (
        r"Could not find a suitable TLS CA certificate bundle",
        "",
        "name an existing file in MLFLOW_TRACKING_SERVER_CERT_PATH",
    ),
    (
        r"Could not find the TLS certificate file|Could not find the TLS key file",
        "",
        "name an existing file in MLFLOW_TRACKING_CLIENT_CERT_PATH",
    ),
    (
        r"CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|certificate required",
        "a demand for a certificate of the client",
        "name a file with certificate and key in MLFLOW_TRACKING_CLIENT_CERT_PATH",
    ),
    (
        r"WRONG_VERSION_NUMBER|record layer failure|UNEXPECTED_EOF_WHILE_READING",
        "no TLS",
        "check the port, and whether it is http:// instead of https://",
    ),
    (
        r"error code 401\b|\b401 Client Error|UNAUTHENTICATED|CUSTOMER_UNAUTHORIZED|Unauthorized",
        "401: no login, or a wrong one",
        "give it as https://USER:PASSWORD@HOST, in MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or as MLFLOW_TRACKING_TOKEN",
    ),
    (
        r"error code 403\b|\b403 Client Error|PERMISSION_DENIED|Permission denied.*permissions",
        "403: no permission with this login",
        "ask whoever runs the server for permission, or give another login",
    ),
    (
        r"password authentication failed|no password supplied|Access denied for user|Login failed",
        "no login, or a wrong one",
        "give it as KIND://USER:PASSWORD@HOST/DATABASE",
    ),
    (
        r"too many 5\d\d error responses|error code 5\d\d\b|\b5\d\d Server Error|INTERNAL_ERROR",
        "a failure of the server (500 or above)",
        "look into its log, or try again later",
    ),
    (
        r"not in a valid JSON format|error code 404\b|error code 405\b|\b404 Client Error",
        "an answer that is not one of MLflow",
        "check host, port and path",
    ),
    (
        r"NameResolutionError|Name or service not known|nodename nor servname",
        "an unknown host name",
        "check the host's name",
    ),
    (
        r"Connection refused",
        "connection refused",
        "check host and port, and that it runs",
    ),
    (
        r"failed with timeout|timed out|No route to host|Network is unreachable",
        "nothing in time",
        "check host and port, and that this machine may reach it",
    ),
    (
        r"Connection aborted|RemoteDisconnected|Connection reset|BadStatusLine",
        "a connection that was broken off",
        "check host and port, and whether it is https:// instead of http://",
    ),
    (
        r"[Cc]an't locate revision|out-of-date database schema",
        "the tables of another version of MLflow",
        "install that version, or, if it is an older one, run `mlflow db upgrade` on a copy",
    ),
    (
        r"file is not a database|file is encrypted",
        "a file that is no database",
        "name an SQLite file that MLflow has written",
    ),
    (
        r"database disk image is malformed",
        "a damaged database",
        "restore it from a copy",
    ),
    (
        r"database is locked|database table is locked",
        "a database that another process holds",
        "wait for it, or run `mlflow server` where several write at once",
    ),
    (
        r"readonly database|read-only database",
        "a database that cannot be written",
        "give write permission to the file and to its folder",
    ),
    (
        r"unable to open database file",
        "a database file that cannot be opened",
        "check that its folder exists, and the permissions of both",
    ),
    (
        r"unsupported URI",
        "a kind of store that MLflow does not know",
        "write https://HOST, sqlite:///FILE, postgresql://HOST/DATABASE or "
        "mysql+pymysql://HOST/DATABASE",
    ),
    (
        r"[Ff]ilesystem tracking backend",
        "a folder, which MLflow takes no more",
        "write sqlite:///FILE, or move the folder's runs with `mlflow migrate-filestore`",
    ),
    (
        r"Can't load plugin: sqlalchemy\.dialects:(\S+)",
        "",
        "check what stands before ://, or install the package of that kind of database",
    ),
    (
        r"Invalid url|Invalid URL|Invalid IPv6|invalid literal for int|Port could not be cast|"
        r"Could not parse SQLAlchemy URL|Failed to parse",
        "no valid address",
        "percent-encode what is special in its user and password (/ is %2F, @ is %40)",
    ),
)
"""What is found in a message, what to say for it ("" for the message itself), and what to do."""
_PASSING: Final = frozenset(
    {
        "connection refused",
        "nothing in time",
        "an unknown host name",
        "a connection that was broken off",
        "a failure of the server (500 or above)",
        "a database that another process holds",
    }
)
"""Reasons among them that may be gone in a while, without anybody who changes the address."""


def resolve(tracking_uri: str | None) -> TrackingUri:
    """The tracking URI given, else MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.

    A URI from the record of a study has no login; that of the environment is taken where it is of
    the same address.
    """
    known = TrackingUri(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI)
    given = TrackingUri(tracking_uri or known)
    return known if given == known and given.with_login == given else given


def limit_client() -> None:
    """Let MLflow's client ask for minutes only if a person wants it so, and tell failures once.

    It would log every try, and a traceback of what it raises besides.
    """
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def first_call() -> Iterator[None]:
    """Let a server that is not there be known within seconds, as MLflow's settings allow it."""
    before = {name: os.environ.get(name) for name in _FIRST_CALL}
    for name, value in _FIRST_CALL.items():
        if before[name] in (None, _SETTINGS[name]):
            os.environ[name] = value
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = earlier


@contextmanager
def store_failures(refuse: Callable[[str, str], Exception]) -> Iterator[None]:
    """Turn what a store, its server or a missing driver raises into an error of one line.

    Args:
        refuse: Makes the error of what went wrong and what to do, which hold no login.

    Raises:
        Exception: What `refuse` made; anything that is not the store's goes through as it is.
    """
    try:
        yield
    except Exception as error:
        if not is_of_store(error):
            raise
        raise refuse(*describe(error)) from None


def is_passing(reason: str) -> bool:
    """Whether a reason, as from `describe`, is that a store is away or busy for now."""
    return reason in _PASSING


def is_of_store(error: BaseException) -> bool:
    """Whether an error is the store's, and neither ours nor a mistake of our own."""
    if isinstance(error, (OSError, ImportError)) or type(error) is ValueError:
        return True
    return any(base.__module__.partition(".")[0] in _FAMILIES for base in type(error).__mro__)


def describe(error: BaseException) -> tuple[str, str]:
    """What went wrong with a store and what to do, each in one line and without any login."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        return f"no module {module}", f"install {_PACKAGES.get(module, module)}"
    if isinstance(error, ImportError):
        return _first_line(error), "install what it names"
    whole = f"{type(error).__name__}: {error}"
    for pattern, reason, advice in _KNOWN:
        if re.search(pattern, whole):
            return reason or _first_line(error), advice
    return _first_line(error), "check the address, and that it can be used from here"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in hide_logins(str(error)).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
