"""GDAL's options, for this machine and for servers."""

import pytest
from rasterio.env import getenv

from trainables.data.access.gdal_options import CACHE_MIB, gdal_options


@pytest.mark.parametrize(
    ("name", "given", "host", "https"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/", "127.0.0.1:9000", "NO"),
        ("AWS_ENDPOINT_URL_S3", "https://minio.example", "minio.example", "YES"),
        ("AWS_ENDPOINT_URL", "minio.example:9", "minio.example:9", "YES"),
    ],
)
def test_the_server_of_the_environment_is_told_in_the_words_of_gdal(
    monkeypatch, name, given, host, https
):
    for one in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(one, raising=False)
    with gdal_options():
        assert "AWS_S3_ENDPOINT" not in getenv()
    monkeypatch.setenv(name, given)
    with gdal_options():
        found = getenv()
    assert (found["AWS_S3_ENDPOINT"], found["AWS_HTTPS"]) == (host, https)
    assert found["AWS_VIRTUAL_HOSTING"] == "FALSE"
    assert found["GDAL_CACHEMAX"] == CACHE_MIB
    assert found["GDAL_HTTP_LOW_SPEED_TIME"] > 0
