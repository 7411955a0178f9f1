"""Images and masks in a bucket and behind a URL, from dataset.yaml to tiles."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyarrow import fs

import run_study
from trainables.data.access.remote_files import (
    is_bucket,
    is_remote,
    is_url,
    list_bucket,
    remote_path,
    with_addresses,
)
from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.errors import DataError

TILES = ("a 1", "a2", "b1", "c1")
YAML = """\
name: far
bands: [grey]
images: ROOT/images/{tile}.tif
masks: ROOT/masks/{tile}.png
classes: [{name: land, value: 0}, {name: water, value: 1}]
splits: {train: [a 1, a2], val: [b1], test: [c1]}
"""


def write_tiles(folder):
    noise = np.random.default_rng(0)
    for kind, driver in (("images", "GTiff"), ("masks", "PNG")):
        (folder / kind).mkdir(parents=True)
        for number, tile in enumerate(TILES):
            place = Affine.translation(5e5 + 30 * number, 5_300_000) @ Affine.scale(0.5, -0.5)
            with rasterio.open(
                folder / kind / f"{tile}.{'tif' if driver == 'GTiff' else 'png'}", "w",
                driver=driver, width=40, height=40, count=1, dtype="uint8", crs="EPSG:32632",
                transform=place,
            ) as target:  # fmt: skip
                top = 250 if kind == "images" else 2
                target.write(noise.integers(0, top, (1, 40, 40)).astype(np.uint8))
    for beside in (folder / "masks").glob("*.aux.xml"):
        beside.unlink()
    return folder


def read(folder, root, text=YAML):
    (folder / "dataset.yaml").write_text(text.replace("ROOT", root))
    return read_dataset(load_dataset(folder))


def refusal(folder, root, text=YAML):
    with pytest.raises(DataError) as raised:
        read(folder, root, text)
    lines = str(raised.value).splitlines()
    assert len(lines) == 1 or lines[0] == f"{len(lines) - 1} problems:"
    assert "/vsi" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def local(tmp_path):
    """The tiles as files of this machine, and what is read of them."""
    folder = write_tiles(tmp_path / "local")
    return folder, read(folder, str(folder)).tiles


@pytest.fixture
def bucket(local, bucket_apart):
    """The same in a bucket, which the environment leads to."""
    root, server = bucket_apart
    fs.copy_files(str(local[0]), f"{root[5:]}/far", destination_filesystem=server)
    return f"{root}/far", server


@pytest.fixture
def serve(local, serve_folder):
    """Starts servers of the folder, and gives their address and what they were asked for."""
    return lambda answer=200: serve_folder(local[0], answer)


def assert_equal_tiles(found, expected):
    assert {split: of.checksum for split, of in found.items()} == {
        split: of.checksum for split, of in expected.items()
    }


def test_a_bucket_gives_the_tiles_of_its_files(local, bucket, tmp_path):
    data = read(tmp_path, bucket[0])
    assert_equal_tiles(data.tiles, local[1])
    globs = YAML.replace("[a 1, a2]", "['a*']")
    assert_equal_tiles(read(tmp_path, bucket[0], globs).tiles, local[1])


def test_a_bucket_can_be_cut_and_split_by_its_places(local, bucket, tmp_path):
    text = YAML.replace("{train: [a 1, a2], val: [b1], test: [c1]}",
                        "{train: 0.5, val: 0.25, test: 0.25}") + "cut: {tile_px: 20}\n"  # fmt: skip
    found = read(tmp_path, bucket[0], text)
    expected = read(local[0], str(local[0]), text)
    assert sum(map(len, found.tiles.values())) == 16
    assert_equal_tiles(found.tiles, expected.tiles)


def test_unlabelled_imagery_may_lie_in_a_bucket(local, bucket, tmp_path):
    text = YAML.replace("[a 1, a2]", "[a2]") + "unlabelled: ROOT/images/{tile}.tif\n"
    assert read(tmp_path, bucket[0], text).unlabelled == {"a 1"}


def test_a_url_gives_the_tiles_of_its_files_and_is_asked_for_parts(local, serve, tmp_path):
    url, asked = serve()
    assert_equal_tiles(read(tmp_path, url).tiles, local[1])
    assert "bytes=" in asked.read_text()
    mixed = YAML.replace("ROOT/images", str(local[0] / "images"))
    assert_equal_tiles(read(tmp_path, url, mixed).tiles, local[1])


def test_a_table_names_the_tiles_of_a_url(local, serve, tmp_path):
    (tmp_path / "s.csv").write_text("tile,split\na 1,train\na2,train\nb1,val\nc1,test\n")
    text = YAML.replace("{train: [a 1, a2], val: [b1], test: [c1]}", "{file: s.csv}")
    assert_equal_tiles(read(tmp_path, serve()[0], text).tiles, local[1])


def test_all_files_that_are_not_there_are_named_as_they_were_written(local, serve, tmp_path):
    (local[0] / "images" / "a2.tif").unlink()
    (local[0] / "masks" / "c1.png").unlink()
    url, _ = serve()
    said = refusal(tmp_path, f"{url.replace('//', '//me:pass@')}", YAML)
    assert f"{url}/images/a2.tif" in said
    assert f"{url}/masks/c1.png" in said
    assert said.count("file must be a readable raster") == 2
    assert "pass" not in said


def test_files_that_a_bucket_lacks_are_named_as_they_were_written(local, bucket, tmp_path):
    root, server = bucket
    for lost in ("images/a2.tif", "masks/c1.png"):
        server.delete_file(f"{root.removeprefix('s3://')}/{lost}")
    said = refusal(tmp_path, root)
    assert f"{root}/masks/c1.png" in said
    assert f"{root}/images/a2.tif" in said
    none = refusal(tmp_path, root, YAML.replace("images/", "pictures/"))
    assert "images must match at least one file, got none for" in none


def test_a_bucket_that_is_not_there_is_one_line(bucket, tmp_path):
    said = refusal(tmp_path, "s3://there-is-no-such-bucket")
    assert "must be a bucket that can be listed" in said or "got none for" in said


def test_refused_credentials_are_one_line(serve, tmp_path, monkeypatch):
    url, _ = serve(403)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    said = refusal(tmp_path, "s3://secret-place/far")
    assert "s3://secret-place/far/images must be a bucket that can be listed" in said
    assert "ACCESS_DENIED" in said or "403" in said
    said = refusal(tmp_path, url)
    assert said.count("403") == 8, "each image and each mask"


def test_a_query_is_sent_and_never_shown(local, serve, tmp_path):
    url, _ = serve()
    text = YAML.replace(".tif", ".tif?token=SECRET").replace(".png", ".png?token=SECRET")
    assert_equal_tiles(read(tmp_path, url, text).tiles, local[1])
    (local[0] / "images" / "a2.tif").unlink()
    said = refusal(tmp_path, serve()[0], text)
    assert "/images/a2.tif?..." in said
    assert "SECRET" not in said


@pytest.mark.parametrize("kind", ["url", "bucket"])
def test_a_server_that_says_nothing_is_one_line(kind, silent, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    root = f"http://{silent}" if kind == "url" else "s3://silent-place/far"
    said = refusal(tmp_path, root)
    assert f"{root}/images" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[a 1, a2]", "['a*']", "splits must name every tile of images at a URL.*got 'a.'"),
        ("{train: [a 1, a2], val: [b1], test: [c1]}", "{train: 0.5, val: 0.25, test: 0.25}",
         "splits must name every tile of images at a URL.*got no names"),
        ("name: far", "name: far\ncut: {tile_px: 20}", "images that are cut must be named one by"),
        ("name: far", "name: far\nunlabelled: ROOT/m/{tile}.tif", "unlabelled must be files that"),
    ],
)  # fmt: skip
def test_what_would_need_a_list_is_refused_at_a_url(tmp_path, old, new, words):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=words):
        read(tmp_path, "http://127.0.0.1:9", YAML.replace(old, new).replace("ROOT", "https://h"))


def test_the_command_writes_nothing_where_a_file_is_not_there(local, serve, tmp_path, capsys):
    (local[0] / "images" / "a2.tif").unlink()
    (tmp_path / "dataset.yaml").write_text(YAML.replace("ROOT", serve()[0]))
    out = tmp_path / "out"
    words = ["--data", str(tmp_path), "--preset", "smoke", "--output", str(out), "--inspect"]
    assert run_study.main(words) == 2
    assert capsys.readouterr().err.count("\n") <= 2, "that tiles are read, and why not"
    assert not out.exists()


def test_addresses_go_there_and_back():
    for address in ("s3://b/a b/{x}.tif", "https://h:8/a/b%20c.tif", "http://127.0.0.1/x.tif"):
        path = remote_path(address)
        assert is_remote(path)
        assert (is_bucket(address), is_url(address)) == (address[:2] == "s3", address[:2] != "s3")
        assert with_addresses(f"got {path}; mend it in {path}, or") == (
            f"got {address}; mend it in {address}, or"
        )
    hidden = with_addresses(f"in {remote_path('https://me:word@h/a.tif?key=word')}; mend it")
    assert hidden == "in https://h/a.tif?...; mend it"
    assert not is_remote(Path("/data/s3/a.tif"))


def test_a_bucket_lists_what_lies_below_a_folder(bucket):
    root, _ = bucket
    assert list_bucket(f"{root}/images") == [f"{root}/images/{tile}.tif" for tile in TILES]
    assert list_bucket(f"{root}/none") == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://me:word@h/a.tif", "https://h/a.tif"),
        ("https://me:wo@rd@h:8080/a.tif?k=word#word", "https://h:8080/a.tif?..."),
        ("https://me:wo/rd@h/a.tif", "https://..."),
        ("https://me:wo?rd@h/a.tif", "https://..."),
        ("https://me:12/rd@h/a.tif", "https://..."),
        ("HTTPS://word@h/{tile}.tif?sig=word%3D&x='word'", "HTTPS://h/{tile}.tif?..."),
        ("s3://KEY:wo/rd@bucket/a.tif", "s3://..."),
        ("s3://KEY:word@bucket/a@2.tif", "s3://..."),
        ("s3://bucket/a@2.tif", "s3://bucket/a@2.tif"),
        ("https://h/a@2.tif", "https://h/a@2.tif"),
        ("gs://me:word@bucket/a.tif", "gs://bucket/a.tif"),
    ],
)
def test_no_login_and_no_query_is_shown_however_it_is_written(written, shown):
    opened = str(remote_path(written)) if is_url(written) else written
    # GDAL says of a part that cannot be read: "vsicurl?url=http..., band 1: IReadBlock failed".
    for text in (written, opened, opened.removeprefix("/"), opened.rpartition("url=")[2]):
        for sentence in (f"got {text!r} in x; mend it", f"got {text}; mend it", f"({text}, b)"):
            once = with_addresses(sentence)
            assert shown in once
            assert "rd" not in once
            assert once.endswith(("; mend it", ", b)"))
            assert with_addresses(once) == once
