"""Rasters by whatever a person writes."""

from pathlib import Path

import pytest

from trainables.predict.raster_address import RasterAddress


@pytest.mark.parametrize(
    ("written", "stem", "shown"),
    [
        ("a/b.tif", "b", "a/b.tif"),
        ("a/what?x=1.tif", "what?x=1", "a/what?x=1.tif"),
        ("b.tar.tif", "b.tar", "b.tar.tif"),
        ("https://host/x.tif?token=abc&a=/y.tif", "x", "https://host/x.tif?..."),
        ("https://me:secret@host/a%20b.tif", "a b", "https://host/a%20b.tif"),
        ("https://host/a%2Fb.tif", "b", "https://host/a%2Fb.tif"),
        ("s3://bucket/x.tif", "x", "s3://bucket/x.tif"),
        ("/vsis3/bucket/in/x.tif", "x", "/vsis3/bucket/in/x.tif"),
        ("/vsicurl/http://host/x.tif?k=1", "x", "/vsicurl/http://host/x.tif?..."),
        ("/vsicurl?url=http%3A//host/x.tif%3Fk&header.A=b", "x", "/vsicurl?..."),
        ("/vsizip//abs/a.zip/b.tif", "b", "/vsizip//abs/a.zip/b.tif"),
        ("/vsizip//abs/a.zip", "a", "/vsizip//abs/a.zip"),
        ("/vsizip/{/abs/a.zip}/b.tif", "b", "/vsizip/{/abs/a.zip}/b.tif"),
        ("/vsizip/{/abs/what?x.zip}/b?c.tif", "b?c", "/vsizip/{/abs/what?x.zip}/b?c.tif"),
        (
            "/vsizip/{/vsicurl/https://h/a.zip?t=abcd}/b.tif",
            "b",
            "/vsizip/{/vsicurl/https://h/a.zip?...}/b.tif",
        ),
        ("zip://a.zip!/b.tif", "b", "zip://a.zip!/b.tif"),
        ("zip://a.zip!b.tif", "b", "zip://a.zip!b.tif"),
        ("https://host/", "host", "https://host/"),
        ("https://", "https:", "https://"),
    ],
)
def test_names_and_what_is_shown(written, stem, shown):
    address = RasterAddress(written)
    assert (address.stem, address.shown) == (stem, shown)


def test_what_rasterio_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert RasterAddress("a/b.tif").source == Path("a/b.tif")
    assert RasterAddress("zip:b.tif").source == tmp_path / "zip:b.tif"
    assert RasterAddress("zip://a.zip!/b.tif").source == "/vsizip/a.zip/b.tif"
    for written in ("zip:///x/a.zip!/b.tif", "/vsizip//x/a.zip/b.tif", "/vsis3/b/x.tif"):
        assert RasterAddress(written).source == written
        assert RasterAddress(written).file is None


def test_nothing_secret_is_left_in_a_reason():
    address = RasterAddress("https://me:word@host/x.tif?sig=a%2Fb%3D%3D&x=1&key=longer")
    for written in ("sig=a%2Fb%3D%3D&x=1&key=longer", "a/b==", "a%2Fb%3D%3D", "longer", "me:word@"):
        assert written not in address.redacted(f"'{written}' was not found")
    assert address.redacted("HTTP error 401") == "HTTP error 401"
    assert RasterAddress("what?secret.tif").redacted("secret") == "secret"
    assert RasterAddress("s3://b/in/x 1.tif").source == "/vsis3/b/in/x 1.tif"
    assert RasterAddress("s3://b/in/x 1.tif").file is None
