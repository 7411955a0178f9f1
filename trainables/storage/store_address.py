"""Where a store lies: a folder, or a bucket and prefix behind S3 or Google Cloud Storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import pyarrow as pa
from pyarrow import fs

from trainables.errors import ConfigError

FOLDER: Final = "file"
_S3: Final = "s3"
_GS: Final = ("gs", "gcs")
_S3_OPTIONS: Final = (
    "endpoint_override",
    "force_virtual_addressing",
    "region",
    "scheme",
    "tls_ca_file_path",
)
_GS_OPTIONS: Final = ("endpoint_override", "project_id", "retry_limit_seconds", "scheme")
_CONNECT_TIMEOUT_S: Final = 5
_REQUEST_TIMEOUT_S: Final = 8
"""Seconds without a byte in either direction until a connection counts as lost."""
_ATTEMPTS: Final = 2
_GS_RETRY_S: Final = 20


@dataclass(frozen=True, kw_only=True)
class StoreAddress:
    """The parts of a store's URI."""

    kind: str
    """`file`, `s3` or `gs`."""
    path: str
    """Absolute path of a folder; bucket and prefix, `bucket/prefix`, not quoted."""
    login: str = field(default="", repr=False)
    """`key:secret` where the URI holds them, quoted as there."""
    options: tuple[tuple[str, str], ...] = ()
    """What follows the question mark, by name."""

    @classmethod
    def parse(cls, uri: str) -> StoreAddress:
        """Read a folder's path or a URI; what the environment says of S3 is added to it.

        So the address holds on machines with another environment, credentials aside.

        Raises:
            ConfigError: If it is neither.
        """
        kind, marked, _ = uri.partition("://")
        kind = kind.lower() if marked else FOLDER
        if kind == FOLDER:
            return cls(kind=FOLDER, path=_folder_path(uri))
        if kind not in (_S3, *_GS):
            raise refusal(uri, f"{kind}:// is not known")
        try:
            parts = urlsplit(uri)
            given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        except ValueError as error:
            if "?" in uri.rstrip("?"):
                raise refusal(uri, str(error)) from None
            given = {}
        login, _, bucket = parts.netloc.rpartition("@")
        if not bucket:
            raise refusal(uri, "there is no bucket in it")
        known = _S3_OPTIONS if kind == _S3 else _GS_OPTIONS
        if unknown := [name for name in given if name not in known]:
            raise refusal(uri, f"options are {', '.join(known)}, not {unknown[0]}")
        if given.get("scheme", "https") not in ("http", "https"):
            raise refusal(uri, "its scheme must be http or https")
        path = "/".join([bucket, *(part for part in unquote(parts.path).split("/") if part)])
        options = _completed(given) if kind == _S3 else given
        kind = _S3 if kind == _S3 else _GS[0]
        return cls(kind=kind, path=path, login=login, options=tuple(options.items()))

    @property
    def uri(self) -> str:
        """What `parse` reads; with credentials where they were given."""
        return self._spelled(f"{self.login}@" if self.login else "")

    @property
    def shown(self) -> str:
        """The same for messages and records: without credentials."""
        return self._spelled("")

    def below(self, *parts: str) -> StoreAddress:
        """An address below this one."""
        return replace(self, path="/".join([self.path.rstrip("/"), *parts]))

    def open(self, *, at_close: bool = False) -> fs.FileSystem:
        """What reads and writes there, one per process and bucket; `path` is meant for it.

        Args:
            at_close: Whether a bucket is to be asked for nothing before a written file is closed.
                One request, then, in place of three; for files of one part alone, since a large
                one whose first request failed would leave an empty file behind.

        Raises:
            OSError: If the region of an S3 bucket is not given and the bucket does not say.
            ConfigError: For options that pyarrow does not take.
        """
        if self.kind == FOLDER:
            return fs.LocalFileSystem()
        try:
            return _open_bucket(replace(self, path=self.path.partition("/")[0]), at_close)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise refusal(self.shown, " ".join(str(error).split())) from None

    def _spelled(self, login: str) -> str:
        if self.kind == FOLDER:
            return self.path
        query = f"?{urlencode(self.options)}" if self.options else ""
        return f"{self.kind}://{login}{quote(self.path)}{query}"


def refusal(uri: str, reason: str) -> ConfigError:
    """The error for an address that cannot be used; credentials in it are not repeated."""
    kind, marked, rest = uri.partition("://")
    bucket, slash, path = rest.partition("/")
    shown = f"{kind}://{bucket.rpartition('@')[2]}{slash}{path}" if marked else uri
    return ConfigError(
        f"--storage must be a folder or a URI such as s3://bucket/prefix, got {shown!r}; {reason}"
    )


@lru_cache
def _open_bucket(address: StoreAddress, at_close: bool) -> fs.FileSystem:
    if address.kind != _S3:
        patient = {"retry_limit_seconds": str(_GS_RETRY_S)} | dict(address.options)
        return fs.FileSystem.from_uri(replace(address, options=tuple(patient.items())).uri)[0]
    options: dict[str, Any] = dict(address.options)
    if "force_virtual_addressing" in options:
        options["force_virtual_addressing"] = options["force_virtual_addressing"] == "true"
    if "region" not in options and "endpoint_override" not in options:
        options["region"] = fs.resolve_s3_region(address.path)
    if address.login:
        key, _, secret = address.login.partition(":")
        options |= {"access_key": unquote(key), "secret_key": unquote(secret)}
    return fs.S3FileSystem(
        **options,
        connect_timeout=_CONNECT_TIMEOUT_S,
        request_timeout=_REQUEST_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        allow_delayed_open=at_close,
        # Otherwise the error of one part is forgotten by the time the file is closed.
        background_writes=True,
    )


def _folder_path(uri: str) -> str:
    path = uri
    if "://" in uri:
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost") or parts.query or not parts.path:
            raise refusal(uri, "write file:///absolute/path")
        path = unquote(parts.path)
    if not path:
        raise refusal(uri, "it is empty")
    return str(Path(path).expanduser().absolute())


def _completed(given: Mapping[str, str]) -> dict[str, str]:
    """Options of S3 with those of the environment, which pyarrow does not read by itself."""
    options = dict(given)
    endpoint = (
        options.get("endpoint_override")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
    )
    if endpoint:
        scheme, marked, host = endpoint.partition("://")
        options["endpoint_override"] = (host if marked else endpoint).rstrip("/")
        if marked:
            options.setdefault("scheme", scheme)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region:
        options.setdefault("region", region)
    return options
