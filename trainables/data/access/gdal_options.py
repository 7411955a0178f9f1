"""GDAL as this project needs it: no guesses at broken files, and patience that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import rasterio

CACHE_MIB: Final = 512
"""GDAL's block cache; its own default is a share of the machine's memory."""
CONNECT_S: Final = 5
"""Seconds after which a server that takes no connection counts as lost."""
SILENCE_S: Final = 8
"""Seconds without a byte after which a server that took one does."""

_OPTIONS: Final = {
    "GDAL_CACHEMAX": CACHE_MIB,
    # Otherwise the rest of a JPEG that breaks off is grey, and nothing is said.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
    # The fast way (GDAL 3.10) returns whatever lay in memory for a PNG that breaks off.
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": False,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
}


@contextmanager
def gdal_options() -> Iterator[None]:
    """GDAL's options while the block runs; blocks may lie in each other alone."""
    with rasterio.Env(**_OPTIONS, **_patience(), **_endpoint()):
        yield


def _patience() -> dict[str, int]:
    return {"GDAL_HTTP_CONNECTTIMEOUT": CONNECT_S, "GDAL_HTTP_LOW_SPEED_TIME": SILENCE_S}


def _endpoint() -> dict[str, str]:
    """The S3 server that the environment names as other programs read it, in GDAL's words."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    scheme, _, host = endpoint.rpartition("://")
    return {
        "AWS_S3_ENDPOINT": host.rstrip("/"),
        "AWS_HTTPS": "NO" if scheme == "http" else "YES",
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }
