"""An orthomosaic and its polygons behind a URL or in a bucket, from dataset.yaml to tiles."""

import tempfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyarrow import fs

import run_study
from trainables.data.access.fetched_files import on_this_machine
from trainables.data.access.remote_files import remote_path
from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.tilesets.tile_changes import changed_files, tile_checksums
from trainables.errors import DataError

SIDE, CUT = 512, 128
SECRETS = ("wo%2Frd", "wo/rd", "SIGNATURE", "someone")
YAML = """\
name: ortho
bands: [grey]
images: ROOT/ortho.tifQUERY
cut: {tile_px: 128}
labels:
  file: ROOT/houses.gpkgQUERY
  background: ground
  area: ROOT/area.gpkgQUERY
classes: [{name: ground}, {name: house}]
splits:
  file: ROOT/splits.gpkgQUERY
  field: split
"""
BY_NAME = "splits: {train: [ortho-r00-c00], val: [ortho-r01-c00], test: [ortho-r02-c00]}\n"


@pytest.fixture
def town(tmp_path):
    """An orthomosaic in blocks of 64 px, houses on it, the area, and a split by columns."""
    folder = tmp_path / "town"
    folder.mkdir()
    with rasterio.open(
        folder / "ortho.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=1,
        dtype="uint8", crs="EPSG:32632", transform=Affine(0.5, 0, 5e5, 0, -0.5, 5_300_000),
        tiled=True, blockxsize=64, blockysize=64,
    ) as target:  # fmt: skip
        noise = np.random.default_rng(0).integers(0, 255, (1, SIDE, SIDE))
        target.write(noise.astype(np.uint8))
    houses = [box(40 * i, 30 * i, 24, 24) for i in range(12)]
    houses += [box(10, 10 + 128 * i, 20, 20) for i in range(4)]
    write(folder / "houses.gpkg", houses)
    write(folder / "area.gpkg", [box(0, 0, 500, 500)])
    columns = [box(0, 0, 256, 512), box(256, 0, 128, 512), box(384, 0, 128, 512)]
    write(folder / "splits.gpkg", columns, split=["train", "val", "test"])
    return folder


def box(left, top, width, height):
    """A rectangle of pixels of the orthomosaic."""
    x, y = 5e5 + left / 2, 5_300_000 - top / 2
    return shapely.box(x, y - height / 2, x + width / 2, y)


def write(file, shapes, driver="GPKG", **fields):
    geopandas.GeoDataFrame(fields, geometry=shapes, crs=32632).to_file(file, driver=driver)


def read(folder, root, text=YAML, query=""):
    folder.mkdir(exist_ok=True)
    (folder / "dataset.yaml").write_text(text.replace("ROOT", root).replace("QUERY", query))
    return read_dataset(load_dataset(folder))


def refusal(folder, root, text=YAML, query=""):
    with pytest.raises(DataError) as raised:
        read(folder, root, text, query)
    said = str(raised.value)
    assert "/vsi" not in said
    assert not any(secret in said for secret in SECRETS), said
    lines = said.splitlines()
    assert len(lines) == 1 or lines[0] == f"{len(lines) - 1} problems:"
    return said


def checksums(data):
    return {split: of.checksum for split, of in data.tiles.items()}


def with_login(url):
    return url.replace("//", "//someone:wo%2Frd@")


def test_an_orthomosaic_and_polygons_behind_a_url_give_the_tiles_of_the_files(
    town, serve_folder, tmp_path
):
    local = read(tmp_path / "local", str(town))
    assert {split: len(of) for split, of in local.tiles.items()} == {
        "train": 8, "val": 4, "test": 4
    }  # fmt: skip
    url, asked = serve_folder(town)
    query = "?sv=1&sig=SIGNATURE%3D"
    found = read(tmp_path / "far", with_login(url), query=query)
    assert checksums(found) == checksums(local)
    lines = asked.read_text().splitlines()
    of_files = [line for line in lines if line.split()[1] != "/"]
    assert all(line.endswith(" sv=1&sig=SIGNATURE%3D Basic c29tZW9uZTp3by9yZA==")
               for line in of_files), "also what may lie beside a file was asked for"  # fmt: skip
    assert not any(secret in note for secret in SECRETS for note in found.notes)


def test_a_cut_image_behind_a_url_is_read_by_window_and_copied_nowhere(
    town, serve_folder, tmp_path, monkeypatch
):
    text = YAML[: YAML.index("splits:")] + BY_NAME
    local = read(tmp_path / "local", str(town), text)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    url, asked = serve_folder(town)
    assert checksums(read(tmp_path / "far", url, text)) == checksums(local)
    sent = 0
    for line in asked.read_text().splitlines():
        method, path, wanted = line.split()[:3]
        if path == "/ortho.tif" and method == "GET":
            first, last = wanted.removeprefix("bytes=").split("-")
            sent += int(last) - int(first) + 1
    assert 0 < sent < (town / "ortho.tif").stat().st_size // 2
    assert [*(tmp_path / "scratch").iterdir()] == []


def test_an_orthomosaic_and_polygons_in_a_bucket(town, bucket_apart, tmp_path):
    root, server = bucket_apart
    fs.copy_files(str(town), f"{root.removeprefix('s3://')}/a b", destination_filesystem=server)
    found = read(tmp_path / "far", f"{root}/a b")
    assert checksums(found) == checksums(read(tmp_path / "local", str(town)))
    server.delete_file(f"{root.removeprefix('s3://')}/a b/houses.gpkg")
    assert f"for {root}/a b/houses.gpkg; check" in refusal(tmp_path / "far", f"{root}/a b")
    said = refusal(tmp_path / "far", "s3://there-is-no-such-bucket")
    for name in ("ortho.tif", "splits.gpkg", "houses.gpkg", "area.gpkg"):
        assert f"s3://there-is-no-such-bucket/{name}" in said
    assert said.startswith("4 problems:")


@pytest.mark.parametrize(
    ("name", "driver"),
    [("h.geojson", "GeoJSON"), ("h.fgb", "FlatGeobuf"), ("h.shp", "ESRI Shapefile")],
)
def test_polygons_of_every_format_are_fetched(town, serve_folder, tmp_path, name, driver):
    write(town / name, geopandas.read_file(town / "houses.gpkg").geometry, driver)
    text = YAML.replace("houses.gpkg", name)
    found = read(tmp_path / "far", with_login(serve_folder(town)[0]), text, "?sig=SIGNATURE")
    assert checksums(found) == checksums(read(tmp_path / "local", str(town), text))


def test_a_shapefile_without_a_part_that_it_needs_is_one_line(town, serve_folder):
    write(town / "h.shp", [box(0, 0, 9, 9)], "ESRI Shapefile")
    (town / "h.prj").unlink()
    url, _ = serve_folder(town)
    with on_this_machine(remote_path(f"{url}/h.shp"), "labels") as copy:
        assert {one.suffix for one in copy.parent.iterdir()} == {".shp", ".shx", ".dbf", ".cpg"}
    assert not copy.parent.exists()
    (town / "h.dbf").unlink()
    with (
        pytest.raises(DataError, match=r"got: HTTP 404 Not Found for .*h\.dbf%3Fa%3Db; check"),
        on_this_machine(remote_path(f"{url}/h.shp?a=b"), "labels"),
    ):
        pass


def test_everything_that_is_not_there_is_told_at_once_and_nothing_is_written(
    town, serve_folder, tmp_path, capfd
):
    url, _ = serve_folder(town)
    for name in ("ortho.tif", "splits.gpkg", "houses.gpkg", "area.gpkg"):
        (town / name).unlink()
    said = refusal(tmp_path / "far", with_login(url), query="?sig=SIGNATURE")
    assert said.startswith("4 problems:")
    for name in ("ortho.tif", "splits.gpkg", "houses.gpkg", "area.gpkg"):
        assert f"{url}/{name}?..." in said
    out = tmp_path / "out"
    words = ["--data", str(tmp_path / "far"), "--preset", "smoke", "--output", str(out)]
    capfd.readouterr()
    for more in (["--inspect"], ["--dry-run"], []):
        assert run_study.main([*words, *more]) == 2
    told = capfd.readouterr()
    assert not any(secret in told.out + told.err for secret in SECRETS), told.err
    assert "vsicurl" not in told.err
    assert not out.exists()


def test_a_login_that_is_refused_and_polygons_that_are_none(town, serve_folder, tmp_path):
    said = refusal(tmp_path / "far", with_login(serve_folder(town, 403)[0]))
    assert said.startswith("4 problems:")
    assert said.count("HTTP 403") >= 3
    (town / "houses.gpkg").write_text("no polygons")
    url, _ = serve_folder(town)
    said = refusal(tmp_path / "far", with_login(url), query="?sig=SIGNATURE")
    assert "labels must be a file of polygons that GDAL opens" in said
    assert f"for {url}/houses.gpkg?..." in said
    assert "fetched-" not in said


def test_a_server_that_refuses_in_the_middle_of_an_image_shows_no_login(
    town, serve_folder, tmp_path
):
    """GDAL called the file by the end of its path, with the login percent-encoded in it."""
    text = YAML[: YAML.index("labels:")] + "masks: MASKS/{tile}.tif\n" + (
        "classes: [{name: ground, value: 0}, {name: house, value: 1}]\n"
        "splits: {train: 0.5, val: 0.25, test: 0.25}\n"
    )  # fmt: skip
    (tmp_path / "masks").mkdir()
    with rasterio.open(
        tmp_path / "masks" / "ortho.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=1,
        dtype="uint8", crs="EPSG:32632", transform=Affine(0.5, 0, 5e5, 0, -0.5, 5_300_000),
    ) as target:  # fmt: skip
        target.write(np.random.default_rng(0).integers(0, 2, (1, SIDE, SIDE)).astype(np.uint8))
    text = text.replace("MASKS", str(tmp_path / "masks"))
    url, _ = serve_folder(town, num_answered=5)
    said = refusal(tmp_path / "far", with_login(url), text, "?sig=SIGNATURE")
    assert "IReadBlock failed" in said
    assert f"in {url}/ortho.tif?...; copy" in said


@pytest.mark.parametrize("kind", ["url", "bucket"])
def test_a_server_of_polygons_that_says_nothing_is_one_line(
    town, silent, tmp_path, kind, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "test")
    root = f"http://{silent}" if kind == "url" else "s3://silent"
    text = YAML.replace("ROOT/houses.gpkg", f"{root}/h.gpkg")
    text = text.replace("  area: ROOT/area.gpkgQUERY\n", "")
    said = refusal(tmp_path / "far", str(town), text)
    assert said.startswith("labels must be a file that can be read, got: ")
    assert f"for {root}/h.gpkg; check the address" in said


def test_polygons_that_changed_where_they_lie_are_noticed(town, serve_folder, tmp_path):
    url, _ = serve_folder(town)
    before = read(tmp_path / "far", url)
    recorded = tile_checksums(before.tiles["train"])
    write(town / "houses.gpkg", [box(10, 10 + 128 * i, 8, 8) for i in range(4)]
          + [box(300, 9, 9, 9), box(400, 9, 9, 9)])  # fmt: skip
    after = read(tmp_path / "far", url)
    assert checksums(after)["train"] != checksums(before)["train"]
    names = before.tiles["train"].names
    said = changed_files(after.tiles["train"], [], names, recorded)
    assert "the labels of ortho-r00-c00 changed" in said


def test_imagery_without_annotations_is_named_file_by_file_at_a_url(town, serve_folder, tmp_path):
    with rasterio.open(
        town / "more.tif", "w", driver="GTiff", width=200, height=128, count=1, dtype="uint8",
        crs="EPSG:32632", transform=Affine(0.5, 0, 6e5, 0, -0.5, 5_300_000),
    ) as target:  # fmt: skip
        target.write(np.full((1, 128, 200), 7, np.uint8))
    text = f"{YAML}unlabelled:\n- ROOT/more.tifQUERY\n"
    url, _ = serve_folder(town)
    found = read(tmp_path / "far", url, text, "?sig=SIGNATURE")
    assert found.unlabelled == {"more-r00-c00", "more-r00-c01"}
    said = refusal(tmp_path / "far", with_login(url), text.replace("more", "{tile}"))
    assert "cannot be listed" in said or "must be files that can be listed" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ROOT/ortho.tifQUERY", "[ROOT/a/x.tif, ROOT/b/x.tif]", "images must be files of differ"),
        ("ROOT/ortho.tifQUERY", "[]", "images must not be an empty list"),
        ("ROOT/ortho.tifQUERY", "'ROOT/o rtho.tif'", "an address with ' ', which must be encoded"),
        ("ROOT/ortho.tifQUERY", "ftp://someone:wo%2Frd@h/o.tif", "got 'ftp://h/o.tif', of a kind"),
        ("ROOT/ortho.tifQUERY", "s3://someone:wo%2Frd@b/o.tif", "a bucket with a login"),
        ("ROOT/houses.gpkgQUERY", "'ROOT/a\"b'", "labels.file must be a path, or an address"),
        ("ROOT/splits.gpkgQUERY", "az://c/s.gpkg", "splits.file must be a path, or an address"),
        ("field: split", "feld: split", "splits must have a file alone, got feld besides"),
        ("bands: [grey]", "bands: [grey]\nROOT/ortho: 1: 2", "dataset must be valid YAML"),
    ],
)
def test_addresses_that_cannot_be_used_are_one_line_without_their_login(tmp_path, old, new, said):
    assert old in YAML
    found = refusal(tmp_path / "far", "https://someone:wo%2Frd@h", YAML.replace(old, new))
    assert said in found
    assert found.count("\n") == 0


def test_an_address_as_data_is_one_line_without_its_login(capsys):
    assert run_study.main(["--data", "https://someone:wo%2Frd@h/d.yaml?sig=SIGNATURE"]) == 2
    said = capsys.readouterr().err
    assert "data must be a folder or a YAML file of this machine" in said
    assert not any(secret in said for secret in SECRETS)


def test_the_page_and_the_record_name_the_file_and_not_its_address(town, serve_folder, tmp_path):
    read(tmp_path / "far", with_login(serve_folder(town)[0]), query="?sig=SIGNATURE")
    out = tmp_path / "out"
    words = ["--data", str(tmp_path / "far"), "--preset", "smoke", "--output", str(out)]
    more = ["--space", "w1,label_frac=0.5/1", "--name", "far", "--inspect"]
    assert run_study.main([*words, *more]) == 0
    page = (out / "far-data.html").read_text()
    assert "labels from houses.gpkg" in page
    assert not any(secret in page for secret in (*SECRETS, "vsicurl", "127.0.0.1"))
    spec = load_dataset(tmp_path / "far")
    assert spec.labels.source.name == "houses.gpkg"
    assert Path(spec.labels.area.name) == Path("area.gpkg")
