"""Files in a bucket or behind a URL, as paths that GDAL opens and as a person writes them.

Everything else handles them as paths: `s3://bucket/a.tif` is `/vsis3/bucket/a.tif`, and a URL is
the value of an option, quoted, since a path knows no `//`.
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
_SHOWN_URL: Final = re.compile(re.escape(_OF_URL) + r"([A-Za-z0-9%._~-]+)")
_LOGIN: Final = re.compile(r"(?<=://)[^/?#@\s]*@")


def is_bucket(written: str) -> bool:
    """Whether an address is of a bucket, which can say what lies in it."""
    return written.startswith(_BUCKET)


def is_url(written: str) -> bool:
    """Whether an address is of a web server, which cannot."""
    return written.startswith(_URLS)


def remote_path(written: str) -> Path:
    """The path by which GDAL opens an address of either kind."""
    if is_bucket(written):
        return Path(_OF_BUCKET + written.removeprefix(_BUCKET))
    return Path(_OF_URL + quote(written, safe=""))


def is_remote(path: Path) -> bool:
    """Whether a path is one of these, of which no system call knows whether it exists."""
    return str(path).startswith((_OF_BUCKET, _OF_URL))


def with_addresses(text: str) -> str:
    """A text with addresses in place of such paths; of a URL without its login and its query."""
    return _SHOWN_URL.sub(_shown, text).replace(_OF_BUCKET, _BUCKET)


def _shown(match: re.Match[str]) -> str:
    url, question, _ = unquote(match[1]).partition("?")
    return _LOGIN.sub("", url) + (f"{question}..." if question else "")


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
