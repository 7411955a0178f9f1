"""Where a raster lies, as a person writes it: a file, a URL, or a path that GDAL understands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from trainables.data.access.remote_files import is_bucket, remote_path

_REMOTE: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|/vsi[a-z0-9_]+[/?])")
_DRIVER: Final = re.compile(r"[A-Z][A-Z0-9_]+:.")
"""GDAL's way to name a part of a file, such as NETCDF:"a.nc":band."""
_RELATIVE_ARCHIVE: Final = re.compile(r"(zip|tar|gzip)://([^/!][^!]*)!/*(.+)", re.DOTALL)
_LOGIN: Final = re.compile(r"(?<=://)[^/?#@]*@")
_HIDDEN: Final = "..."
_MIN_SECRET: Final = 4
"""Shorter values of a query are not taken for secrets: too many words contain them."""


@dataclass(frozen=True)
class RasterAddress:
    """A raster, as written on the command line."""

    written: str

    @property
    def file(self) -> Path | None:
        """The file on this machine's disk; None where it is read by URL or through GDAL."""
        path = Path(self.written)
        is_other = _REMOTE.match(self.written) or _DRIVER.match(self.written)
        return None if is_other and not path.exists() else path

    @property
    def source(self) -> Path | str:
        """What rasterio opens, which takes `a:b.tif` for a URL and no relative `zip://a.zip!/b`."""
        file = self.file
        if file is not None:
            return file.absolute() if ":" in self.written else file
        if match := _RELATIVE_ARCHIVE.fullmatch(self.written):
            return f"/vsi{match[1]}/{match[2]}/{match[3]}"
        if is_bucket(self.written):  # rasterio's own way wants a library for the credentials
            return str(remote_path(self.written))
        return self.written

    @property
    def shown(self) -> str:
        """The address for messages: as written, but without login and query of a URL."""
        if self.file is not None:
            return self.written
        start = self._query_start
        query = "" if start is None else f"?{_HIDDEN}{self._closing}"
        return _LOGIN.sub("", self.written[:start]) + query

    @property
    def stem(self) -> str:
        """Name of the file without its suffix, after which results are named; may be empty."""
        if self.file is not None:
            return self.file.stem
        options = dict(parse_qsl(self.written.partition("?")[2]))
        if self.written.startswith("/vsicurl?") and "url" in options:
            return RasterAddress(options["url"]).stem
        start = self._query_start
        path = self.written[:start] + ("" if start is None else self._closing)
        if "://" in path:
            path = unquote(path)
        name = re.split(r"[/!]", path.rstrip("/}"))[-1]
        return Path(name.strip('"')).stem

    def redacted(self, text: str) -> str:
        """A text, such as GDAL's reason, with nothing of the query or login that was written."""
        if self.file is not None:
            return text
        start = self._query_start
        secrets = [match[0] for match in _LOGIN.finditer(self.written)]
        if start is not None:
            query = self.written[start + 1 :].partition("}")[0]
            values = [value for _, value in parse_qsl(query)]
            values += [part.partition("=")[2] for part in query.split("&")]
            secrets += [query, *(value for value in values if len(value) >= _MIN_SECRET)]
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "" if secret.endswith("@") else _HIDDEN)
        return text

    @property
    def _query_start(self) -> int | None:
        """Index of a URL's question mark, None without one; names of files may hold one."""
        start = self.written.find("?")
        is_url = "://" in self.written[:start] or re.match(r"/vsi[a-z0-9_]+\?", self.written)
        return start if start >= 0 and is_url else None

    @property
    def _closing(self) -> str:
        """What follows an archive's URL in braces: /vsizip/{https://host/a.zip?token}/b.tif."""
        _, brace, inner = self.written.partition("}")
        return brace + inner
