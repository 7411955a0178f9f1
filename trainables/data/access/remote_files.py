"""Files in a bucket or behind a URL, as paths that GDAL opens and as a person may read them.

Everything else handles them as paths: `s3://bucket/a.tif` is `/vsis3/bucket/a.tif`, and a URL is
the value of an option, quoted, since a path knows no `//`. What is told of them goes through
`with_addresses`, which lets no login pass.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from trainables.errors import ConfigError, DataError
from trainables.storage.store_address import StoreAddress

_BUCKET: Final = "s3://"
_URLS: Final = ("http://", "https://")
_OF_BUCKET: Final = "/vsis3/"
_OF_URL: Final = "/vsicurl?url="
_OF_QUERY: Final = "/vsicurl?empty_dir=yes&url="
"""For a URL with a query, to which GDAL would append the endings of what may lie beside a file: the
server may take that for the file itself, which is then read whole, as its own mask, say."""
_HIDDEN: Final = "..."
_ADDRESS: Final = re.compile(
    r"(?:/?vsicurl\?(?:empty_dir=yes&)?url=)?"
    r"(?P<quoted>[A-Za-z][A-Za-z0-9+.-]*%3A%2F%2F[A-Za-z0-9%._~-]+)"
    r"|(?P<written>[A-Za-z][A-Za-z0-9+.-]*://[^\s?#]*"
    r"(?:[?#]\.\.\.(?![^\s'\"<>;,.:)\]}])|[?#]\S*[^\s'\"<>;,.:)\]}]|[?#])?)"
)
"""An address in a text, as GDAL opens it, or calls it without its folder, or as a person wrote it;
the signs of a sentence that follow its query are not part of it."""
_SIGNS: Final = "'\"<>;,.:)]}"
_UNWRITTEN: Final = re.compile(r"[\s'\"<>\\^`|]")
"""What no address holds unless it is percent-encoded."""


def is_bucket(written: str) -> bool:
    """Whether an address is of a bucket, which can say what lies in it."""
    return written.lower().startswith(_BUCKET)


def is_url(written: str) -> bool:
    """Whether an address is of a web server, which cannot."""
    return written.lower().startswith(_URLS)


def address_problem(written: str) -> str | None:
    """Why an address cannot be used, in words that follow "got"; None if it can, or is a path."""
    if "://" not in written:
        return None
    if is_url(written):
        found = _UNWRITTEN.search(written)
        return None if found is None else f"an address with {found[0]!r}, which must be encoded"
    if not is_bucket(written):
        return f"{with_addresses(written)!r}, of a kind that is not read"
    bucket = written[len(_BUCKET) :].partition("/")[0]
    if "@" in bucket or ":" in bucket:
        return "a bucket with a login, which belongs into the environment (AWS_ACCESS_KEY_ID)"
    return None


def path_at(written: str, base: Path) -> Path:
    """The path of a file that a person names: an address, or a path relative to a folder."""
    return remote_path(written) if is_bucket(written) or is_url(written) else base / written


def remote_path(written: str) -> Path:
    """The path by which GDAL opens an address of either kind."""
    if is_bucket(written):
        return Path(_OF_BUCKET + written[len(_BUCKET) :])
    return Path((_OF_QUERY if "?" in written else _OF_URL) + quote(written, safe=""))


def address_of(path: Path) -> str:
    """Inverse of `remote_path`: the address with whatever login it has, for who connects."""
    text = str(path)
    if text.startswith(_OF_BUCKET):
        return _BUCKET + text.removeprefix(_OF_BUCKET)
    return unquote(text.removeprefix(_OF_URL).removeprefix(_OF_QUERY))


def is_remote(path: Path) -> bool:
    """Whether a path is one of these, of which no system call knows whether it exists."""
    return str(path).startswith((_OF_BUCKET, _OF_URL, _OF_QUERY))


def name_of(path: Path) -> str:
    """The name of a file, wherever it lies; of an address without its query."""
    if not str(path).startswith((_OF_URL, _OF_QUERY)):
        return path.name
    return unquote(re.split("[?#]", address_of(path))[0]).rpartition("/")[2]


def with_addresses(text: str) -> str:
    """A text with addresses in place of such paths, and no address with its login or its query."""
    return _ADDRESS.sub(_shown, text).replace(_OF_BUCKET, _BUCKET)


def _shown(match: re.Match[str]) -> str:
    scheme, _, rest = (match["written"] or unquote(match["quoted"])).partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    beyond = rest[len(authority) :]
    if "@" in beyond and ("@" in authority or ":" in authority):
        # A login whose "/" is not encoded, or a path: nobody knows.
        return f"{scheme}://{_HIDDEN}{rest[len(rest.rstrip(_SIGNS)) :]}"
    path, *query = re.split("[?#]", beyond, maxsplit=1)
    return f"{scheme}://{authority.rpartition('@')[2]}{path}" + (f"?{_HIDDEN}" if query else "")


def list_bucket(folder: str) -> list[str]:
    """Addresses of all files below a folder of a bucket, sorted.

    Credentials, server and region are those of the environment.

    Args:
        folder: `s3://bucket`, or a prefix in it that ends at a slash.

    Raises:
        DataError: If the bucket does not say.
    """
    from pyarrow import fs

    try:
        address = StoreAddress.parse(folder)
        found = address.open().get_file_info(
            fs.FileSelector(address.path, recursive=True, allow_not_found=True)
        )
    except (OSError, ConfigError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{folder} must be a bucket that can be listed, got: {reason}; check its name, the "
            "credentials and AWS_ENDPOINT_URL, or name all tiles in splits and give https:// "
            "addresses"
        ) from None
    files = (one.path for one in found if one.type == fs.FileType.File)
    return sorted(f"{_BUCKET}{path}" for path in files)
